"""Count the work of fixed operations: a number that no busy machine changes.

Prints JSON. A call counts where our own code makes it, of a function in Python
or in C; what the libraries do inside is theirs. ``--write`` keeps the numbers
of this version of Python in ``budget.toml``.
"""

from __future__ import annotations

import json
import logging
import sys
import tomllib
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sessiongate
from sessiongate import JWTSessionManager, SessionManager
from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.testing import ManualClock
from sessiongate.wsgi import SessionAuthMiddleware as WSGIMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import FrameType

__all__ = ["BUDGET", "VERSION"]

BUDGET: Final = Path(__file__).with_name("budget.toml")
VERSION: Final = ".".join(map(str, sys.version_info[:2]))

_OURS: Final = str(Path(sessiongate.__file__).parent)
_SECRET: Final = "s" * 64
_SESSIONS: Final = 5_000
_UNSEEN: Final = frozenset({"append", "isinstance", "len"})
"""Functions for which the interpreter has instructions of its own: not always is a call seen."""


def calls(once: Callable[[], object]) -> int:
    """How many calls our code makes, when it is warm."""
    once()
    once()
    count = 0

    def profile(frame: FrameType | None, event: str, function: Any) -> None:
        nonlocal count
        if event == "call" and frame is not None:
            frame = frame.f_back  # who calls
        elif event != "c_call" or function.__name__ in _UNSEEN:
            return
        count += frame is not None and frame.f_code.co_filename.startswith(_OURS)

    sys.setprofile(profile)
    once()
    sys.setprofile(None)
    return count


def _run(coroutine: Coroutine[Any, Any, object]) -> None:
    """Run what never waits, without the calls of a loop."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    msg = "that did wait"
    raise RuntimeError(msg)


def _requests(manager: SessionManager, header: tuple[str, str] | None) -> dict[str, int]:
    """One request of each kind of server."""

    async def asgi(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    async def forget(_: object) -> None: ...

    def wsgi(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"ok"]

    asgi_app, wsgi_app = ASGIMiddleware(asgi, manager), WSGIMiddleware(wsgi, manager)
    environ = {"REQUEST_METHOD": "GET"}
    fields = [(b"host", b"localhost"), (b"accept", b"*/*")]
    if header is not None:
        name, value = header
        environ["HTTP_" + name.upper()] = value
        fields.append((name.encode(), value.encode()))

    async def receive() -> Any: ...

    def once_asgi() -> None:
        scope = {"type": "http", "method": "GET", "headers": fields}
        _run(asgi_app(scope, receive, forget))

    return {
        "ASGI": calls(once_asgi),
        "WSGI": calls(lambda: wsgi_app(dict(environ), lambda *_: forget)),
    }


def _counted(clock: ManualClock) -> dict[str, int]:
    """The calls of each operation."""
    kinds = {"opaque": SessionManager, "JWT": JWTSessionManager}
    found = {
        f"{edge} request, anonymous": count
        for edge, count in _requests(SessionManager(secret_key=_SECRET), None).items()
    }
    for name, kind in kinds.items():
        manager = kind(secret_key=_SECRET, clock=clock, existing="new")
        token = manager.create_session("alice") or ""
        for way, header in (
            ("cookie", ("cookie", f"a=b; __Host-session={token}; c=d")),
            ("bearer", ("authorization", f"Bearer {token}")),
        ):
            for edge, count in _requests(manager, header).items():
                found[f"{edge} request, {name} by {way}"] = count
        found |= {f"{verb}, {name}": n for verb, n in _verbs(manager, token).items()}
    return found


def _verbs(manager: SessionManager, token: str) -> dict[str, int]:
    """The verbs of a manager on the memory store."""
    current = [manager.create_session("bob") or ""]

    def refresh() -> None:
        current[0] = manager.refresh_session(current[0]) or ""

    def log_in_and_out() -> None:
        manager.invalidate_session(manager.create_session("carol") or "")

    return {
        "validate_session": calls(lambda: manager.validate_session(token)),
        "refresh_session": calls(refresh),
        "create_session and invalidate_session": calls(log_in_and_out),
        "user_sessions": calls(lambda: manager.user_sessions("alice")),
        "n_active_sessions": calls(manager.n_active_sessions),
        "refusing a forged token": calls(lambda: manager.validate_session(f"{token}0")),
    }


def _bytes_of_a_session() -> int:
    """What a session of a user of its own takes in memory, its token not included."""
    clock = ManualClock()
    manager = SessionManager(max_concurrent_sessions=None, secret_key=_SECRET, clock=clock)
    manager.create_session("first")
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(_SESSIONS):
        clock.advance(0.01)
        manager.create_session(f"user{number:06}")
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) // _SESSIONS


def main() -> None:
    """Count, and print or keep."""
    logging.disable(logging.CRITICAL)
    found = _counted(ManualClock()) | {"bytes of a session in memory": _bytes_of_a_session()}
    if sys.argv[1:] != ["--write"]:
        print(json.dumps(found))  # noqa: T201 - for the test
        return
    kept: dict[str, Any] = {}
    if BUDGET.exists():
        kept = tomllib.loads(BUDGET.read_text(encoding="utf-8"))
    lines = [
        "# What operations cost: calls that our code makes, by version of Python. Counted by",
        "# `make budget`; tests/budget says when a change makes an operation dearer or cheaper.",
    ]
    for version, numbers in sorted({**kept, VERSION: found}.items()):
        lines += ["", f'["{version}"]', *(f'"{name}" = {n}' for name, n in numbers.items())]
    BUDGET.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
