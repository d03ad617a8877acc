"""Makes JWTs that a manager did not make, with the very secret that it has."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any

from tests.http.harness import COOKIE, Site, Stack, bearer, cookie

from sessiongate import JWTSessionManager
from sessiongate.stores import MemoryStore
from sessiongate.testing import CountingStore

if TYPE_CHECKING:
    from sessiongate.testing import ManualClock

__all__ = ["SECRET", "Forger", "decode", "encode"]

SECRET = "s" * 64
LIMIT = 4096 - len(COOKIE)
"""Characters of a token that fit into a cookie."""


def encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


class Forger:
    """A manager with one live session, and what of its JWT can be changed and signed again.

    That unchanged parts make a valid token is asserted here, so that no test
    passes because its token was wrong in some other way.
    """

    def __init__(self, clock: ManualClock, timeout: float = 600, **options: Any) -> None:
        self.store = CountingStore(MemoryStore())
        self.manager = JWTSessionManager(
            timeout, secret_key=SECRET, store=self.store, clock=clock, **options
        )
        self.token = self.manager.create_session("alice") or ""
        stacks: tuple[Stack, ...] = ("wsgi", "asgi")
        self._sites = [Site(stack, self.manager, clock, self.store, []) for stack in stacks]
        header, payload, _ = self.token.split(".")
        self.header: dict[str, Any] = json.loads(decode(header))
        self.payload: dict[str, Any] = json.loads(decode(payload))
        assert self.accepts(self.sign(decode(header), decode(payload)))
        self.store.reset()

    def accepts(self, token: object) -> bool:
        """Whether the manager does; that both middlewares agree is asserted."""
        accepted = self.manager.validate_session(token) is not None  # type: ignore[arg-type]
        if isinstance(token, str) and token == token.strip(" \t"):  # around it they are HTTP's
            for site in self._sites:
                by_bearer, by_cookie = site.ask(bearer(token)), site.ask(cookie(token))
                assert by_bearer.who == ("alice" if accepted else None)
                assert by_bearer.reached is accepted
                assert by_bearer.status in ({200} if accepted else {400, 401})
                assert by_cookie.who == ("alice" if accepted and len(token) <= LIMIT else None)
        return accepted

    def sign(self, header: bytes, payload: bytes, digest: str = "sha512") -> str:
        """A token of these very bytes, its signature right."""
        body = f"{encode(header)}.{encode(payload)}"
        return f"{body}.{encode(hmac.digest(SECRET.encode(), body.encode(), digest))}"

    def with_header(self, header: bytes | dict[str, Any], digest: str = "sha512") -> str:
        return self.sign(self._bytes(header), self._bytes(self.payload), digest)

    def with_payload(self, payload: bytes | dict[str, Any]) -> str:
        return self.sign(self._bytes(self.header), self._bytes(payload))

    @staticmethod
    def _bytes(value: bytes | dict[str, Any]) -> bytes:
        if isinstance(value, bytes):
            return value
        return json.dumps(value, separators=(",", ":")).encode()
