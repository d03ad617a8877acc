"""Device-bound sessions: a request of one, and a proof, beside what a proof cannot do without."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from measure import Case
from requesting import SECRET, asgi_case, cookie, request
from rows.plain_asgi import bare, somebody
from sessiongate import SessionManager
from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.stores import MemoryStore

if TYPE_CHECKING:
    from sessiongate.core.row import Row

__all__ = ["cases"]

_TYPE: Final = {"typ": "dbsc+jwt"}


class _Browser:
    """A browser over an app in this process: it logs in, binds, and proves its key."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.key = ec.generate_private_key(ec.SECP256R1())
        self._path = "/login"
        self._challenge = ""
        self.token = self.sid = ""
        public = jwt.get_algorithm_by_name("ES256").to_jwk(self.key.public_key(), as_dict=True)
        self.jwk: dict[str, Any] = {name: public[name] for name in ("kty", "crv", "x", "y")}

    async def post(self, proof: str | None = None, *, keep: bool = True) -> int:
        """Post to where the answer before has led; ``keep`` what the answer brings."""
        sent: list[Any] = []
        headers = [(b"sec-fetch-site", b"same-origin"), (b"sec-secure-session-id", b'"id"')]
        if proof is not None:
            headers.append((b"secure-session-response", proof.encode()))
        scope = {"type": "http", "method": "POST", "path": self._path, "headers": headers}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._app(scope, None, send)
        status: int = sent[0]["status"]
        if not keep:
            return status
        found = {name: value.decode() for name, value in sent[0]["headers"]}
        if b"set-cookie" in found:
            self.token = found[b"set-cookie"].partition("=")[2].partition(";")[0]
        registration = found.get(b"secure-session-registration", "")
        offered = re.search(r'path="(.*)";challenge="(.*)"', registration)
        if offered is not None:
            self._path, self._challenge = offered[1], offered[2]
        if b"secure-session-challenge" in found:
            self._challenge = found[b"secure-session-challenge"].split('"')[1]
        return status

    async def bind(self) -> None:
        """Log in, and register the key."""
        await self.post()
        header = {**_TYPE, "jwk": self.jwk}
        assert await self.post(self._signed(header)) == 200  # noqa: S101, PLR2004
        self.sid = self.token.removeprefix("sg_").partition(".")[0]
        self._path = f"/.sessiongate/refresh/{self.sid}"

    def sign(self) -> str:
        """The proof for the challenge that came last."""
        return self._signed(_TYPE)

    def _signed(self, header: dict[str, Any]) -> str:
        return jwt.encode({"jti": self._challenge}, self.key, "ES256", header)


async def cases() -> list[Case]:
    """Requests, and a proof that is sent again and again: its session is put back each time."""
    store = MemoryStore()
    manager = SessionManager(86400, None, secret_key=SECRET, store=store)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/login":
            await scope["sessiongate"].alogin("alice")
            await bare(scope, receive, send)
        else:
            await somebody(scope, receive, send)

    binding = SessionAuthMiddleware(app, manager, device_bound=True, bound_for=86400)
    browser = _Browser(binding)
    await browser.bind()
    row = store.read(browser.sid)
    proof, public = browser.sign(), browser.key.public_key()
    rotating_store = MemoryStore()
    rotating_manager = SessionManager(rotate_after=0, secret_key=SECRET, store=rotating_store)
    rotating_app = SessionAuthMiddleware(somebody, rotating_manager)
    rotating = cookie(rotating_manager.create_session("alice"))
    (opened,) = rotating_manager.list_sessions()
    old = rotating_store.read(opened["handle"])
    assert row is not None  # noqa: S101
    assert old is not None  # noqa: S101

    def put_back(store: MemoryStore, row: Row) -> None:
        now = store.read(row.sid)
        assert now is not None  # noqa: S101
        store.replace(now, row)

    async def prove() -> None:
        put_back(store, row)
        assert await browser.post(proof, keep=False) == 200  # noqa: S101, PLR2004

    async def forget(_message: Any) -> None:
        pass

    async def floor() -> None:
        jwt.decode(proof, public, ["ES256"], options={"verify_jti": False})
        put_back(rotating_store, old)
        await request(rotating_app, forget, rotating)

    unbound = manager.create_session("bob")
    return [
        asgi_case("bare", bare, kind="bare"),
        asgi_case(
            "sessiongate: a session that is not bound",
            SessionAuthMiddleware(somebody, manager),
            cookie(unbound),
            kind="ours",
        ),
        asgi_case("sessiongate: a bound session", binding, cookie(browser.token), kind="ours"),
        Case("PyJWT's decode of a proof, and a request that rotates", floor, "floor"),
        Case("sessiongate: a proof", prove, "ours"),
    ]
