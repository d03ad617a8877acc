"""What each URL of “my devices” does, once for all frameworks: one store step, one answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from sessiongate.core.row import to_datetime
from sessiongate.devices import page
from sessiongate.devices.listing import DevicesPage, devices_of
from sessiongate.kits.page import quote_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sessiongate.core.steps import Flow
    from sessiongate.devices.listing import Device
    from sessiongate.http.request_session import RequestSession

__all__ = ["PRIVATE", "STYLESHEET", "Answer", "Asked", "Endpoint", "Endpoints"]


class Asked(NamedTuple):
    """A request of a user who is logged in."""

    session: RequestSession
    path: str
    """As routed, so decoded, with whatever the app is mounted under."""
    named: str
    """The handle in the path, ``""`` where there is none."""


class Answer(NamedTuple):
    """A whole response, for the edge to send."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str = ""


View: TypeAlias = "Callable[[Asked], Flow[Answer | DevicesPage]]"


class Endpoint(NamedTuple):
    """One URL below the page's own."""

    name: str
    method: str
    rule: str
    """With ``{handle}`` for the handle of a session."""
    audience: Literal["person", "program"]
    """A person is sent to the login page, a program is told 401."""
    view: View


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
_JSON: Final = (*PRIVATE, ("Content-Type", "application/json"))

STYLESHEET: Final = Answer(
    200,
    (
        ("Content-Type", "text/css; charset=utf-8"),
        ("Cache-Control", "public, max-age=31536000, immutable"),  # its URL changes with it
        ("X-Content-Type-Options", "nosniff"),
    ),
    page.STYLE,
)
"""Of the default page, for everybody: a strict policy forbids to write it into the page."""


class Endpoints:
    """The page with its two forms, and the same for programs.

    A handle that is unknown and one of somebody else are the same to it: the
    name of the user is part of the question that the store is asked.
    """

    def __init__(self, path: str, home_url: str, render: Callable[..., Any] | None) -> None:
        if not isinstance(path, str) or not path.startswith("/") or path.endswith("/"):
            msg = "path must be where the page is, such as '/devices': no slash at its end"
            raise ValueError(msg)
        if render is not None and not callable(render):
            msg = f"render must be a function that makes the page, not {type(render).__name__}"
            raise TypeError(msg)
        if not isinstance(home_url, str) or not home_url:
            msg = "home_url must be the address that the page leads back to, such as '/'"
            raise TypeError(msg)
        self._home_url = home_url

    def __iter__(self) -> Iterator[Endpoint]:
        yield Endpoint("page", "GET", "", "person", self._page)
        yield Endpoint("end", "POST", "/end/{handle}", "person", self._end)
        yield Endpoint("end_others", "POST", "/end-others", "person", self._end_others)
        yield Endpoint("api_list", "GET", "/api", "program", self._api_list)
        yield Endpoint("api_end", "DELETE", "/api/{handle}", "program", self._api_end)
        yield Endpoint("api_end_others", "POST", "/api/end-others", "program", self._api_end_others)

    def render(self, found: Answer | DevicesPage) -> Answer:
        """The answer as it is, and the page as it looks by default."""
        return found if isinstance(found, Answer) else Answer(200, _HTML, page.render(found))

    def _page(self, asked: Asked) -> Flow[DevicesPage]:
        devices = yield from _list(asked)
        return DevicesPage(
            username=asked.session.user.identity,
            devices=devices,
            now=to_datetime(asked.session.settings.manager.now()),
            url=_url(asked.path),
            home_url=self._home_url,
        )

    def _end(self, asked: Asked) -> Flow[Answer]:
        yield from _end(asked)
        if not asked.session.user.is_authenticated:
            return _see_other(self._home_url)
        return _see_other(_url(asked.path, "/end/", asked.named))

    def _end_others(self, asked: Asked) -> Flow[Answer]:
        yield from _end_others(asked)
        return _see_other(_url(asked.path, "/end-others"))

    def _api_list(self, asked: Asked) -> Flow[Answer]:
        devices = yield from _list(asked)
        return _json(200, {"devices": [device.as_json() for device in devices]})

    def _api_end(self, asked: Asked) -> Flow[Answer]:
        ended = yield from _end(asked)
        return Answer(204, PRIVATE) if ended else _json(404, {"error": "There is no such device."})

    def _api_end_others(self, asked: Asked) -> Flow[Answer]:
        ended = yield from _end_others(asked)
        return _json(200, {"ended": ended})


def _list(asked: Asked) -> Flow[tuple[Device, ...]]:
    session, manager = asked.session, asked.session.settings.manager
    # The identity, which is "" for nobody: no name at all would list everybody's.
    rows = yield from manager.operations.list(manager.now(), session.user.identity)
    return devices_of(session, rows)


def _end(asked: Asked) -> Flow[bool]:
    """End the session that is named, if it is this user's; one's own is a logout."""
    session, manager = asked.session, asked.session.settings.manager
    if asked.named == session.session:
        yield from session.closing()
        return True
    username = session.user.identity
    return (
        yield from manager.operations.close_of(
            manager.now(), username, asked.named, transport=session.transport
        )
    )


def _end_others(asked: Asked) -> Flow[int]:
    session, manager = asked.session, asked.session.settings.manager
    return (
        yield from manager.operations.close_user(
            manager.now(),
            session.user.identity,
            session.session,
            transport=session.transport,
        )
    )


def _url(path: str, *below: str) -> str:
    """Where the page is, told by the path of something below it.

    Begins with one slash: two would name a host.
    """
    return "/" + quote_path(path.removesuffix("".join(below))).strip("/")


def _see_other(location: str) -> Answer:
    return Answer(303, (*PRIVATE, ("Location", location)))


def _json(status: int, value: dict[str, Any]) -> Answer:
    return Answer(status, _JSON, json.dumps(value))
