"""A browser that binds sessions, played on the sites of ``tests.http.harness``."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from tests.device_bound.device import Device
from tests.http.harness import Call, Header, Reply, Response, Site, cookie, enter, set_cookies, show

if TYPE_CHECKING:
    from tests.http.harness import View

__all__ = ["BIND", "BOUND_FOR", "OVER", "SLACK", "Browser", "entering", "places"]

BIND: Final = "/.sessiongate/bind"
BOUND_FOR: Final = 600
SLACK: Final = 30
OVER: Final = BOUND_FOR + SLACK
"""Seconds after a proof, from which on its cookie counts for nothing."""
ORIGIN: Final[Header] = (b"origin", b"https://app.example.com")

_REGISTRATION: Final = re.compile(r'\(ES256\);path="([^"]+)";challenge="([^"]+)"')
_CHALLENGE: Final = re.compile(r'"([^"]+)";id="([^"]+)"')


def places(site: Site, path: str, root: str = "") -> dict[str, Any]:
    """Where environ or scope have a path below a mount."""
    if site.stack == "wsgi":
        return {"PATH_INFO": path, "SCRIPT_NAME": root}
    return {"path": f"{root}{path}", "root_path": root}


def entering(username: str, **options: Any) -> View:
    """The view that logs this user in."""

    async def view(call: Call) -> Reply:
        assert await call.login(username, **options) is not None
        return Reply()

    return view


class Browser:
    """What a browser keeps: a cookie, and for a bound session the key and where it proves it."""

    def __init__(self, site: Site, device: Device | None = None, root: str = "") -> None:
        self.site, self.device, self.root = site, device or Device(), root
        self.token: str | None = None
        self.max_age: int | None = None
        """Seconds of the cookie that came last; ``None``: it ends with the browser."""
        self.offered: tuple[str, str] | None = None
        """The path and the challenge of a registration."""
        self.instructions: dict[str, Any] = {}
        self.challenge: str | None = None

    def ask(
        self, *headers: Header, view: View = show, method: str = "GET", path: str = "/page"
    ) -> Response:
        """Send a request with the cookie, if there is one, and keep what comes back."""
        held = [] if self.token is None else [cookie(self.token)]
        asked = places(self.site, path, self.root)
        return self._kept(self.site.ask(*held, *headers, view=view, method=method, **asked))

    def _kept(self, response: Response) -> Response:
        for given in set_cookies(response):
            value = given.partition(";")[0].partition("=")[2]
            self.token = value or None
            found = re.search(r"Max-Age=(\d+)", given)
            self.max_age = None if found is None else int(found[1])
        registration = response.one("secure-session-registration")
        if registration is not None:
            found = _REGISTRATION.fullmatch(registration)
            assert found is not None, registration
            self.offered = found[1], found[2]
        challenge = response.one("secure-session-challenge")
        if challenge is not None:
            found = _CHALLENGE.fullmatch(challenge)
            assert found is not None, challenge
            self.challenge = found[1]
            assert found[2] == self.instructions.get("session_identifier", found[2])
        return response

    def log_in(self, *headers: Header, view: View = enter) -> Response:
        return self.ask(*headers, view=view, method="POST")

    def logged_in(self, *headers: Header, view: View = enter) -> Browser:
        """The same, after a login and the binding that it offers."""
        assert self.log_in(*headers, view=view).status == 200
        response = self.bind()
        assert response.status == 200, response
        return self

    def bind(self, *headers: Header, proof: str | None = None, bare: bool = False) -> Response:
        """Register at the offered path; ``bare``: without the cookie."""
        assert self.offered is not None
        path, challenge = self.offered
        if proof is None:
            proof = self.device.registers(challenge)
        response = self.prove(path.removeprefix(self.root), proof, *headers, bare=bare)
        if response.status == 200:
            self.instructions = json.loads(response.body)
        return response

    def refresh(self, *headers: Header, proof: str | None = None, bare: bool = True) -> Response:
        """Prove the key for the challenge that came last."""
        path: str = self.instructions["refresh_url"]
        if proof is None and self.challenge is not None:
            proof = self.device.answers(self.challenge)
        identifier = self.instructions["session_identifier"].encode()
        named = (b"sec-secure-session-id", b'"' + identifier + b'"')
        return self.prove(path.removeprefix(self.root), proof, named, *headers, bare=bare)

    def prove(self, path: str, proof: str | None, *headers: Header, bare: bool = True) -> Response:
        """Post to one of the paths, as a browser does."""
        held = [] if bare or self.token is None else [cookie(self.token)]
        if proof is not None:
            held.append((b"secure-session-response", proof.encode()))
        asked = places(self.site, path, self.root)
        return self._kept(self.site.ask(*held, ORIGIN, *headers, method="POST", **asked))

    def proving(self) -> Response:
        """Refresh as a browser does: a 403 brings a challenge, which is answered once."""
        response = self.refresh()
        return self.refresh() if response.status == 403 else response

    @property
    def who(self) -> str | None:
        """Whom the app takes the browser for."""
        return self.ask().who
