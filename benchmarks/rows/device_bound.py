"""Device-bound sessions: a request of one, and a proof, beside what a proof cannot do without."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from measure import Case
from requesting import SECRET, asgi_case, cookie
from rows.plain_asgi import bare, somebody
from sessiongate import SessionManager
from sessiongate.asgi import SessionAuthMiddleware

__all__ = ["cases"]

_TYPE: Final = {"typ": "dbsc+jwt"}


class _Browser:
    """A browser over an app in this process: it logs in, binds, and proves its key."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._path = "/login"
        self._challenge = ""
        self.token = ""

    async def post(self, proof: str | None = None) -> int:
        """Post to where the answer before has led; keep what the answer brings."""
        sent: list[Any] = []
        headers = [(b"origin", b"https://localhost"), (b"host", b"localhost")]
        if proof is not None:
            headers.append((b"secure-session-response", proof.encode()))
        scope = {"type": "http", "method": "POST", "path": self._path, "headers": headers}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._app(scope, None, send)
        found = {name: value.decode() for name, value in sent[0]["headers"]}
        if b"set-cookie" in found:
            self.token = found[b"set-cookie"].partition("=")[2].partition(";")[0]
        offered = re.search(r'path="(.*)";challenge="(.*)"', found.get(b"secure-session-registration", ""))
        if offered is not None:
            self._path, self._challenge = offered[1], offered[2]
        if b"secure-session-challenge" in found:
            self._challenge = found[b"secure-session-challenge"].split('"')[1]
        status: int = sent[0]["status"]
        return status

    async def bind(self) -> None:
        """Log in, and register the key."""
        await self.post()
        public = jwt.get_algorithm_by_name("ES256").to_jwk(self._key.public_key(), as_dict=True)
        header = {**_TYPE, "jwk": public}
        assert await self.post(self._signed(header)) == 200  # noqa: S101, PLR2004
        sid = self.token.removeprefix("sg_").partition(".")[0]
        self._path = f"/.sessiongate/refresh/{sid}"

    def sign(self) -> str:
        """The proof for the challenge that came last."""
        return self._signed(_TYPE)

    def _signed(self, header: dict[str, Any]) -> str:
        return jwt.encode({"jti": self._challenge}, self._key, "ES256", header)


async def cases() -> list[Case]:
    """Requests, and what a proof costs: less the signature, which the browser makes."""
    manager = SessionManager(86400, None, secret_key=SECRET)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/login":
            await scope["sessiongate"].alogin("alice")
            await bare(scope, receive, send)
        else:
            await somebody(scope, receive, send)

    binding = SessionAuthMiddleware(app, manager, device_bound=True, bound_for=86400)
    browser = _Browser(binding)
    await browser.bind()
    unbound = manager.create_session("bob")
    return [
        asgi_case("bare", bare, kind="bare"),
        asgi_case("sessiongate: not bound", SessionAuthMiddleware(somebody, manager), cookie(unbound), kind="ours"),
        asgi_case("sessiongate: not bound, device_bound=True", binding, cookie(unbound), kind="ours"),
        asgi_case("sessiongate: bound", binding, cookie(browser.token), kind="ours"),
    ]
