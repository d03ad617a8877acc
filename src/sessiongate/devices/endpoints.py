"""What each URL of “my devices” does, once for all frameworks: one store step, one answer."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sessiongate.core.arguments import check_scopes, is_handle
from sessiongate.core.row import device_of, to_datetime
from sessiongate.devices import Device, DevicesPage, page
from sessiongate.devices.labels import ip_of, name_of
from sessiongate.kits.guard import GuardOptions
from sessiongate.kits.page import quote_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sessiongate.core.row import Row
    from sessiongate.core.steps import Flow
    from sessiongate.http.request_session import RequestSession


class DevicesOptions(GuardOptions, total=False):
    """The keywords of ``my_devices``: those of ``login_required``, and one more."""

    home_url: str


class Asked(NamedTuple):
    """A request to one of the endpoints, and what its user may do."""

    session: RequestSession
    path: str
    """As routed, so decoded, with whatever the app is mounted under."""
    handle: str
    """The one in the path, ``""`` where there is none."""
    query: Mapping[str, str] = MappingProxyType({})
    """The parameters of the query, the last of each name or the first, as the framework does."""

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
        rows = yield from self.session.settings.manager.operations.listing.of_user(*self._user)
        devices = [Device(**device_fields(self, row)) for row in rows]
        devices.sort(key=lambda device: (device.is_current, device.last_accessed), reverse=True)
        return tuple(devices)

    def end(self, *, anybodys: bool = False) -> Flow[bool]:
        """End the named session, if it is this user's or ``anybodys``; one's own is a logout."""
        if self.handle == self.session.session:
            return (yield from self.session.closing())
        operations, transport = self.session.settings.manager.operations, self.session.transport
        if not anybodys:
            return (yield from operations.close_of(*self._user, self.handle, transport=transport))
        if not is_handle(self.handle):
            return False
        closing = operations.close(self.now, self.handle, transport=transport)
        return (yield from closing) is not None

    def end_user(self, username: str) -> Flow[int]:
        """End all sessions of a user, but for the one that asks: how many."""
        operations, transport = self.session.settings.manager.operations, self.session.transport
        here = self.session.session
        return (yield from operations.close_user(self.now, username, here, transport=transport))

    def end_others(self) -> Flow[int]:
        """End all other sessions of the user: how many."""
        return self.end_user(self.session.user.identity)

    def page_url(self, *below: str) -> str:
        """Where the page is, by where this is below it. With one slash: two would name a host."""
        return "/" + quote_path(self.path.removesuffix("".join(below))).strip("/")


class Answer(NamedTuple):
    """A whole response, for the framework to send."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str = ""


class Endpoint(NamedTuple):
    """One URL below the page's own."""

    name: str
    method: str
    rule: str
    """With ``{handle}`` for the handle of a session."""
    demands: GuardOptions | None
    """Who is let in, as in ``login_required``; ``None``: everybody."""
    view: Callable[[Asked], Flow[Any]]
    """Gives an ``Answer``, or the page for the app's own ``render``."""


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

    def _page(self, asked: Asked) -> Flow[Answer | DevicesPage]:
        devices, moment = (yield from asked.devices()), to_datetime(asked.now)
        username = asked.session.user.identity
        found = DevicesPage(username, devices, moment, asked.page_url(), self._home_url)
        return Answer(200, HTML, page.render(found)) if self._is_default else found

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
        "device": recorded,
    }


def see_other(location: str) -> Answer:
    """A redirect after a form (RFC 9110, section 15.4.4)."""
    return Answer(303, (*PRIVATE, ("Location", location)))


def json_answer(status: int, value: dict[str, Any]) -> Answer:
    """An answer for programs."""
    return Answer(status, (*PRIVATE, ("Content-Type", "application/json")), json.dumps(value))
