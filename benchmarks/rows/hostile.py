"""What bad input costs: each request is refused, or nobody's, before any store is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from measure import Case
from requesting import SECRET, request
from rows.plain_asgi import bare
from sessiongate import JWTSessionManager, SessionManager
from sessiongate.asgi import SessionAuthMiddleware

if TYPE_CHECKING:
    from requesting import Header

__all__ = ["LIMIT", "PREFIX", "cases"]

LIMIT: Final = 20_000.0
"""Microseconds that the worst of them may take."""
PREFIX: Final = "bad input: "
_NAME: Final = b"__Host-session="
_MEGABYTE: Final = 1_000_000

_FIELDS: Final[dict[str, Header]] = {
    "a cookie of a megabyte": (b"cookie", _NAME + b"a" * _MEGABYTE),
    "a megabyte of other cookies": (b"cookie", b"a=b; " * (_MEGABYTE // 5)),
    "a thousand cookies of our name": (b"cookie", b"; ".join([_NAME + b"a"] * 1000)),
    "our name a hundred thousand times": (b"cookie", b"x" + _NAME * 100_000),
    "a bearer token of a megabyte": (b"authorization", b"Bearer " + b"a" * _MEGABYTE),
    "a million dots": (b"authorization", b"Bearer " + b"." * _MEGABYTE),
    "a megabyte of commas": (b"authorization", b"Bearer a" + b"," * _MEGABYTE),
    "a forged token": (b"authorization", b"Bearer sg_" + b"A" * 22 + b".0." + b"0" * 32),
}


def cases() -> list[Case]:
    """Each field at an opaque and at a JWT manager."""
    managers = {
        "opaque": SessionManager(secret_key=SECRET),
        "JWT": JWTSessionManager(secret_key=SECRET),
    }
    return [
        _case(f"{PREFIX}{name}, {kind}", SessionAuthMiddleware(bare, manager), header)
        for kind, manager in managers.items()
        for name, header in _FIELDS.items()
    ]


def _case(name: str, app: Any, header: Header) -> Case:
    async def send(_message: Any) -> None:
        pass

    async def once() -> None:
        await request(app, send, header)

    return Case(name, once, "ours")
