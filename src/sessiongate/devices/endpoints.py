"""What each URL of “my devices” does, once for all frameworks: one store step, one answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sessiongate.core.arguments import check_scopes
from sessiongate.core.row import device_of, to_datetime
from sessiongate.devices import Device, DevicesPage, page
from sessiongate.devices.labels import ip_of, name_of
from sessiongate.kits.guard import GuardOptions
from sessiongate.kits.page import quote_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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

    @property
    def _user(self) -> tuple[int, str]:
        """The time, and whose sessions: ``""`` for nobody, as no name means everybody's."""
        return self.session.settings.manager.now(), self.session.user.identity

    def devices(self) -> Flow[tuple[Device, ...]]:
        """The sessions of the user, in the order of a page."""
        rows = yield from self.session.settings.manager.operations.listing.of_user(*self._user)
        devices = [_device(self.session, row) for row in rows]
        devices.sort(key=lambda device: (device.is_current, device.last_accessed), reverse=True)
        return tuple(devices)

    def end(self) -> Flow[bool]:
        """End the session that is named, if it is this user's; one's own is a logout."""
        if self.handle == self.session.session:
            return (yield from self.session.closing())
        operations, transport = self.session.settings.manager.operations, self.session.transport
        return (yield from operations.close_of(*self._user, self.handle, transport=transport))

    def end_others(self) -> Flow[int]:
        """End all other sessions of the user: how many."""
        operations, transport = self.session.settings.manager.operations, self.session.transport
        here = self.session.session
        return (yield from operations.close_user(*self._user, here, transport=transport))

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
    view: Callable[[Asked], Flow[Answer | DevicesPage]]


PRIVATE: Final = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),  # the buttons are worth a clickjacker's while
    ("Referrer-Policy", "same-origin"),  # no-referrer would hide the Origin of the forms
)
"""For all answers; an app that renders the page itself may say otherwise there."""

# No form-action: Chromium asks it about redirects too, and the login page may be elsewhere.
_POLICY: Final = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
_HTML: Final = (
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

    def __iter__(self) -> Iterator[Endpoint]:
        person: Any = self._demands
        program: Any = {**person, "login_url": None}  # a person is redirected, a program told 401
        yield Endpoint("page", "GET", "", person, self._page)
        yield Endpoint("end", "POST", "/end/{handle}", person, self._end)
        yield Endpoint("end_others", "POST", "/end-others", person, self._end_others)
        yield Endpoint("api_list", "GET", "/api", program, self._api_list)
        yield Endpoint("api_end", "DELETE", "/api/{handle}", program, self._api_end)
        yield Endpoint("api_end_others", "POST", "/api/end-others", program, self._api_end_others)
        if self._is_default:  # a strict policy forbids to write it into the page
            yield Endpoint("style", "GET", "/style.css", None, self._style)

    def _page(self, asked: Asked) -> Flow[Answer | DevicesPage]:
        devices, now = (yield from asked.devices()), asked.session.settings.manager.now()
        username, moment = asked.session.user.identity, to_datetime(now)
        found = DevicesPage(username, devices, moment, asked.page_url(), self._home_url)
        return Answer(200, _HTML, page.render(found)) if self._is_default else found

    def _style(self, _asked: Asked) -> Flow[Answer]:
        yield from ()
        return Answer(200, _STYLE, page.STYLE)

    def _end(self, asked: Asked) -> Flow[Answer]:
        yield from asked.end()
        is_out = not asked.session.user.is_authenticated
        return _see_other(self._home_url if is_out else asked.page_url("/end/", asked.handle))

    def _end_others(self, asked: Asked) -> Flow[Answer]:
        yield from asked.end_others()
        return _see_other(asked.page_url("/end-others"))

    def _api_list(self, asked: Asked) -> Flow[Answer]:
        devices = yield from asked.devices()
        return _json(200, {"devices": [device.as_json() for device in devices]})

    def _api_end(self, asked: Asked) -> Flow[Answer]:
        ended = yield from asked.end()
        return Answer(204, PRIVATE) if ended else _json(404, {"error": "There is no such device."})

    def _api_end_others(self, asked: Asked) -> Flow[Answer]:
        return _json(200, {"ended": (yield from asked.end_others())})


def _device(session: RequestSession, row: Row) -> Device:
    recorded = device_of(row)
    return Device(
        handle=row.sid,
        name=name_of(recorded),
        ip=ip_of(recorded),
        created_at=to_datetime(row.created_at),
        last_accessed=to_datetime(row.last_accessed),
        expires_at=session.settings.manager.operations.expires_at(row),
        is_current=row.sid == session.session,
        device=recorded,
    )


def _see_other(location: str) -> Answer:
    return Answer(303, (*PRIVATE, ("Location", location)))


def _json(status: int, value: dict[str, Any]) -> Answer:
    return Answer(status, (*PRIVATE, ("Content-Type", "application/json")), json.dumps(value))
