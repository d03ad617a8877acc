"""What each URL of “my devices” does, once for all frameworks: one store step, one answer.

A view is a flow of flows: it yields a manager and what is to be run on its store.
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from sessiongate.core.arguments import check_scopes, is_handle
from sessiongate.core.row import device_of, to_datetime
from sessiongate.core.steps import arun, run
from sessiongate.devices import Device, DevicesPage, page
from sessiongate.devices.labels import ip_of, name_of
from sessiongate.errors import StoreError
from sessiongate.kits.guard import GuardOptions, SessionDemands
from sessiongate.kits.page import quote_path

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from sessiongate.core.row import Row
    from sessiongate.core.steps import Call, Flow
    from sessiongate.http.request_session import RequestSession
    from sessiongate.managers import SessionManager

T = TypeVar("T")

OK: Final = 200
LONGEST_BODY: Final = 8192
"""Bytes; frameworks read one more at most, so that a longer one is seen."""


class DevicesOptions(SessionDemands, total=False):
    """The keywords of ``my_devices``: what it demands of a session, and one more."""

    home_url: str


def on(manager: SessionManager, flow: Flow[T]) -> Flow[T]:
    """Run a flow on the store of this manager, within a view."""
    outcome: T | Exception = yield manager, _settled(flow)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _settled(flow: Flow[T]) -> Flow[T | Exception]:
    """What the flow returns or raises: a driver throws nothing into a view but ``StoreError``."""
    try:
        return (yield from flow)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - raised again
        return error


class Asked(NamedTuple):
    """A request to one of the endpoints, and what its user may do."""

    session: RequestSession
    path: str
    """As routed, so decoded, with whatever the app is mounted under."""
    handle: str
    """The one in the path, ``""`` where there is none."""
    query: Mapping[str, str] = MappingProxyType({})
    """The parameters of the query, the last of each name or the first, as the framework does."""
    content_type: str = ""
    body: bytes = b""
    """What was sent, where the endpoint reads it; cut off behind ``LONGEST_BODY`` and one more."""

    @property
    def now(self) -> int:
        """The time, in microseconds."""
        return self.session.settings.manager.now()

    @property
    def _user(self) -> tuple[int, str]:
        """The time, and whose sessions: ``""`` for nobody, as no name means everybody's."""
        return self.now, self.session.user.identity

    def devices(self) -> Flow[tuple[Device, ...]]:
        """The sessions of the user, in the order of a page."""
        listing = self.session.settings.manager.administration.listing
        rows = yield from self._here(listing.of_user(*self._user))
        devices = [Device(**device_fields(self, row)) for row in rows]
        devices.sort(key=lambda device: (device.is_current, device.last_accessed), reverse=True)
        return tuple(devices)

    def end(self, *, anybodys: bool = False) -> Flow[bool]:
        """End the named session, if it is this user's or ``anybodys``; one's own is a logout."""
        if self.handle == self.session.session:
            return (yield from self._here(self.session.closing()))
        manager, transport = self.session.settings.manager, self.session.transport
        if not anybodys:
            closing_own = manager.administration.close_of(*self._user, self.handle, transport)
            return (yield from self._here(closing_own))
        if not is_handle(self.handle):
            return False
        closing = manager.operations.close(self.now, self.handle, transport=transport)
        return (yield from self._here(closing)) is not None

    def end_user(self, username: str) -> Flow[int]:
        """End all sessions of a user, but for the one that asks: how many."""
        manager, session = self.session.settings.manager, self.session
        here, transport = session.session, session.transport
        return self._here(manager.administration.close_user(self.now, username, here, transport))

    def end_others(self) -> Flow[int]:
        """End all other sessions of the user: how many."""
        return self.end_user(self.session.user.identity)

    def _here(self, flow: Flow[T]) -> Flow[T]:
        return on(self.session.settings.manager, flow)

    def ask(self, call: Call) -> Any:
        """Run what a view yields; a store that fails makes the request's answer a 503."""
        manager, flow = call
        return manager.run(self.session.noting_failure(flow))

    def aask(self, call: Call) -> Awaitable[Any]:
        """``ask``, to await."""
        manager, flow = call
        outcome: Awaitable[Any] = manager.arun(self.session.noting_failure(flow))
        return outcome

    def page_url(self, *below: str) -> str:
        """Where the page is, by where this is below it. With one slash: two would name a host."""
        return "/" + quote_path(self.path.removesuffix("".join(below))).strip("/")


class Answer(NamedTuple):
    """A whole response, for the framework to send."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: Any = ""
    """A text, or the page for the app's own ``render``."""

    def complete(self, response: Any) -> None:
        """Give what the app has rendered our status, and the header fields that it left out."""
        for name, value in self.headers:
            response.headers.setdefault(name, value)
        if self.status != OK:  # with a new API token in it
            response.status_code = self.status
            response.headers["Cache-Control"] = "no-store"


class Endpoint(NamedTuple):
    """One URL below the page's own."""

    name: str
    method: str
    rule: str
    """With ``{handle}`` for the handle of a session."""
    demands: GuardOptions | None
    """Who is let in, as in ``login_required``; ``None``: everybody."""
    view: Callable[[Asked], Flow[Answer]]
    reads_body: bool = False

    def run(self, asked: Asked) -> Answer:
        """Answer a request."""
        return run(self.view(asked), asked.ask)

    async def arun(self, asked: Asked) -> Answer:
        """``run``, to await."""
        return await arun(self.view(asked), asked.aask)


PRIVATE: Final = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),  # the buttons are worth a clickjacker's while
    ("Referrer-Policy", "same-origin"),  # no-referrer would hide the Origin of the forms
)
"""For all answers; an app that renders the page itself may say otherwise there."""

# No form-action: Chromium asks it about redirects too, and the login page may be elsewhere.
_POLICY: Final = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
HTML: Final = (
    *PRIVATE,
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Security-Policy", _POLICY),
)
_STYLE: Final = (
    ("Content-Type", "text/css; charset=utf-8"),
    ("Cache-Control", "public, max-age=31536000, immutable"),  # its URL changes with it
    ("X-Content-Type-Options", "nosniff"),
)


class Endpoints:
    """The page with its two forms, and the same for programs.

    A handle that is unknown and one of somebody else are the same to it: the
    name of the user is part of the question that the store is asked.
    """

    def __init__(
        self,
        path: str,
        render: Callable[..., Any] | None,
        *,
        home_url: str = "/",
        **demands: Any,
    ) -> None:
        if not isinstance(path, str) or not path.startswith("/") or path.endswith("/"):
            msg = "path must be where the page is, such as '/devices': no slash at its end"
            raise ValueError(msg)
        if render is not None and not callable(render):
            msg = f"render must be a function that makes the page, not {type(render).__name__}"
            raise TypeError(msg)
        if not isinstance(home_url, str) or not home_url:
            msg = "home_url must be the address that the page leads back to, such as '/'"
            raise TypeError(msg)
        demands["scopes"] = check_scopes(demands.get("scopes", ()))
        if "api_tokens" in demands:
            msg = "api_tokens is no argument here: this page is for sessions only"
            raise TypeError(msg)
        demands["api_tokens"] = False  # its manager is not that of the sessions
        self._demands, self._home_url, self._is_default = demands, home_url, render is None

    def _audiences(self) -> tuple[Any, Any]:
        """What a person and a program must have: a person is redirected, a program told 401."""
        return self._demands, {**self._demands, "login_url": None}

    def __iter__(self) -> Iterator[Endpoint]:
        person, program = self._audiences()
        yield Endpoint("page", "GET", "", person, self._page)
        yield Endpoint("end", "POST", "/end/{handle}", person, self._end)
        yield Endpoint("end_others", "POST", "/end-others", person, self._end_others)
        yield Endpoint("api_list", "GET", "/api", program, self._api_list)
        yield Endpoint("api_end", "DELETE", "/api/{handle}", program, self._api_end)
        yield Endpoint("api_end_others", "POST", "/api/end-others", program, self._api_end_others)
        if self._is_default:  # a strict policy forbids to write it into the page
            yield Endpoint("style", "GET", "/style.css", None, style)

    def _page(self, asked: Asked) -> Flow[Answer]:
        return self._show(asked)

    def _show(self, asked: Asked, status: int = OK, **more: Any) -> Flow[Answer]:
        """The page, with ``more`` of what it is made of."""
        found = DevicesPage(
            username=asked.session.user.identity,
            devices=(yield from asked.devices()),
            now=to_datetime(asked.now),
            url=asked.page_url(),
            home_url=self._home_url,
            **more,
        )
        return self._answer(found, page.render, status)

    def _answer(self, found: Any, render: Callable[[Any], str], status: int = OK) -> Answer:
        if self._is_default:
            return Answer(status, HTML, render(found))
        return Answer(status, PRIVATE, found)

    def _end(self, asked: Asked) -> Flow[Answer]:
        yield from asked.end()
        is_out = not asked.session.user.is_authenticated
        return see_other(self._home_url if is_out else asked.page_url("/end/", asked.handle))

    def _end_others(self, asked: Asked) -> Flow[Answer]:
        yield from asked.end_others()
        return see_other(asked.page_url("/end-others"))

    def _api_list(self, asked: Asked) -> Flow[Answer]:
        devices = yield from asked.devices()
        return json_answer(200, {"devices": [device.as_json() for device in devices]})

    def _api_end(self, asked: Asked) -> Flow[Answer]:
        ended = yield from asked.end()
        return (
            Answer(204, PRIVATE)
            if ended
            else json_answer(404, {"error": "There is no such device."})
        )

    def _api_end_others(self, asked: Asked) -> Flow[Answer]:
        return json_answer(200, {"ended": (yield from asked.end_others())})


def style(_asked: Asked) -> Flow[Answer]:
    """The stylesheet of the default pages."""
    yield from ()
    return Answer(200, _STYLE, page.STYLE)


def device_fields(asked: Asked, row: Row) -> dict[str, Any]:
    """What a page shows of a session."""
    recorded = device_of(row)
    return {
        "handle": row.sid,
        "name": name_of(recorded),
        "ip": ip_of(recorded),
        "created_at": to_datetime(row.created_at),
        "last_accessed": to_datetime(row.last_accessed),
        "expires_at": asked.session.settings.manager.operations.expires_at(row),
        "is_current": row.sid == asked.session.session,
        "is_remembered": row.remembered,
        "is_device_bound": bool(row.bound_key),
        "device": recorded,
    }


def see_other(location: str) -> Answer:
    """A redirect after a form (RFC 9110, section 15.4.4)."""
    return Answer(303, (*PRIVATE, ("Location", location)))


def json_answer(status: int, value: dict[str, Any]) -> Answer:
    """An answer for programs."""
    return Answer(status, (*PRIVATE, ("Content-Type", "application/json")), json.dumps(value))
