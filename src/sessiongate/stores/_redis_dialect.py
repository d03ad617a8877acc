"""Commands as Lua scripts with arguments, and replies as outcomes. No I/O, no driver."""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from sessiongate.commands import (
    Close,
    CloseUser,
    Count,
    Ended,
    Existing,
    LimitReached,
    List,
    Open,
    Opened,
    Read,
    Replayed,
    Rotated,
    Sweep,
    Touch,
)
from sessiongate.errors import StoreError
from sessiongate.stores._stored import FORMAT, restored, warn_unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sessiongate.commands import Command, Outcome
    from sessiongate.records import Row

__all__ = ["Call", "Dialect"]

Argument: TypeAlias = bytes | int


class _Script(NamedTuple):
    text: bytes
    sha: bytes


class Call(NamedTuple):
    """One script with its key and arguments."""

    script: _Script
    arguments: tuple[Argument, ...]

    @property
    def by_digest(self) -> bytes:
        """The request for a script that the server knows."""
        return _request(b"EVALSHA", self.script.sha, 1, *self.arguments)

    @property
    def by_text(self) -> bytes:
        """The request that brings the script along, which also makes it known."""
        return _request(b"EVAL", self.script.text, 1, *self.arguments)


class Dialect:
    """The commands in the language of Redis, for keys under one prefix. Immutable."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix.encode()
        self._scripts = {
            Open: _script("rotation", "admission", "open"),
            Touch: _script("rotation", "touch"),
            Read: _script("read"),
            Close: _script("rotation", "close"),
            CloseUser: _script("close_user"),
            Sweep: _script("sweep"),
            List: _script("list"),
            Count: _script("count"),
        }
        self._translations: dict[type, Callable[[Any], tuple[bytes, tuple[Argument, ...]]]] = {
            Open: self._open,
            Touch: self._touch,
            Read: self._read,
            Close: self._close,
            CloseUser: self._close_user,
            Sweep: self._sweep,
            List: self._list,
            Count: self._count,
        }

    def call(self, command: Command) -> Call:
        """What to ask of the server."""
        kind = type(command)
        key, arguments = self._translations[kind](command)
        return Call(self._scripts[kind], (key, self._prefix, command.now, *arguments))

    def outcome(self, command: Command, reply: Any) -> Outcome:
        """What the server's reply, undecoded, means."""
        match reply:
            case bytes():
                return _row(command.sid.encode(), reply)  # type: ignore[union-attr] # Touch, Read
            case [b"unreadable", sids, rest]:
                for sid in sids:
                    warn_unreadable(sid.decode(errors="replace"))
                return self.outcome(command, rest)
            case [kind, *parts]:
                return _ANSWERS[kind](command, *parts)
        return reply  # type: ignore[no-any-return] # a number, or nothing

    # The key that a command is about, and the arguments of its script.

    def _open(self, command: Open) -> tuple[bytes, tuple[Argument, ...]]:
        return self._user_key(command.row.username), (
            _text(command.row),
            command.existing.encode(),
            (command.replaces or "").encode(),
            int(command.looks_at_user),
            _optional(command.limit),
            _optional(command.user_limit),
            int(command.evict),
        )

    def _touch(self, command: Touch) -> tuple[bytes, tuple[Argument, ...]]:
        sid = command.sid.encode()
        return self._session_key(sid), (
            sid,
            command.generation,
            command.rotation,
            *command.policy,
        )

    def _read(self, command: Read) -> tuple[bytes, tuple[Argument, ...]]:
        sid = command.sid.encode()
        return self._session_key(sid), (sid,)

    def _close(self, command: Close) -> tuple[bytes, tuple[Argument, ...]]:
        sid = command.sid.encode()
        owner = () if command.username is None else (command.username.encode(),)
        return self._session_key(sid), (sid, _optional(command.generation), *owner)

    def _close_user(self, command: CloseUser) -> tuple[bytes, tuple[Argument, ...]]:
        username = command.username.encode()
        return self._user_key(command.username), (username, (command.keep or "").encode())

    def _sweep(self, command: Sweep) -> tuple[bytes, tuple[Argument, ...]]:
        return self._prefix + b"expiry", (max(command.limit, 0),)

    def _list(self, command: List) -> tuple[bytes, tuple[Argument, ...]]:
        if command.username is None:
            return self._prefix + b"order", ()
        return self._user_key(command.username), (command.username.encode(),)

    def _count(self, command: Count) -> tuple[bytes, tuple[Argument, ...]]:  # noqa: ARG002
        return self._prefix + b"expiry", ()

    def _session_key(self, sid: bytes) -> bytes:
        return self._prefix + b"session:" + sid

    def _user_key(self, username: str) -> bytes:
        return self._prefix + b"user:" + username.encode()


@cache
def _script(*names: str) -> _Script:
    """Scripts share their first parts, so that every rule is written once."""
    directory = files("sessiongate.stores") / "lua"
    text = b"\n".join((directory / f"{name}.lua").read_bytes() for name in ("rows", *names))
    return _Script(text, sha1(text, usedforsecurity=False).hexdigest().encode())


def _request(*parts: Argument) -> bytes:
    """As it goes over the wire (RESP2), in a quarter of the time of redis-py's own packer."""
    flat: list[Argument] = [len(parts)]
    for part in parts:
        text = part if isinstance(part, bytes) else b"%d" % part
        flat += len(text), text
    return (b"*%d\r\n" + b"$%d\r\n%b\r\n" * len(parts)) % tuple(flat)


def _text(row: Row) -> bytes:
    """The stored form; lua/rows.lua says what it is, and why."""
    texts = json.dumps([*row[:2], *row[12:]], ensure_ascii=False, separators=(",", ":"))
    return f"{FORMAT} {' '.join(map(str, map(int, row[2:12])))} {texts}".encode()


def _row(sid: bytes, text: bytes) -> Row | None:
    """A stored row, or ``None`` and a line in the log if it is not to be understood."""
    try:
        version, *numbers, texts = text.decode().split(" ", 11)
        named, username, grants, device = json.loads(texts)
        fields = [named, username, *map(int, numbers), grants, device]
        if named == sid.decode():
            return restored(int(version), fields)
    except (ValueError, TypeError, RecursionError):  # not of this shape
        pass
    warn_unreadable(sid.decode(errors="replace"))
    return None


def _pairs(flat: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _some_ended(flat: list[bytes]) -> tuple[Ended, ...]:
    return tuple(Ended(sid.decode(), username.decode()) for sid, username in _pairs(flat))


def _rotated(_: Any, sid: bytes, text: bytes) -> Rotated | None:
    row = _row(sid, text)
    return None if row is None else Rotated(row)


def _replayed(_: Any, sid: bytes, username: bytes) -> Replayed:
    return Replayed(sid.decode(), username.decode())


def _ended(_: Any, sid: bytes, username: bytes) -> Ended:
    return Ended(sid.decode(), username.decode())


def _all_ended(_: Any, flat: list[bytes]) -> tuple[Ended, ...]:
    return _some_ended(flat)


def _opened(command: Open, flat: list[bytes]) -> Opened:
    return Opened(command.row, _some_ended(flat))


def _existing(_: Any, sid: bytes, text: bytes) -> Existing:
    row = _row(sid, text)
    if row is None:  # its script could read it, so this is nothing to go on from
        msg = "Redis answered with a corrupt session"
        raise StoreError(msg)
    return Existing(row)


def _limit(_: Any, scope: bytes) -> LimitReached:
    return LimitReached("user" if scope == b"user" else "total")


def _rows(command: List, flat: list[bytes]) -> tuple[Row, ...]:
    rows = (_row(sid, text) for sid, text in _pairs(flat))
    return tuple(row for row in rows if row is not None and command.now < row.expires_at)


_ANSWERS: Final[Mapping[bytes, Callable[..., Outcome]]] = {
    b"rotated": _rotated,
    b"replayed": _replayed,
    b"ended": _ended,
    b"all ended": _all_ended,
    b"opened": _opened,
    b"existing": _existing,
    b"limit": _limit,
    b"rows": _rows,
}
"""What the scripts answer beside a row, a number and nothing."""


def _optional(number: int | None) -> Argument:
    return b"" if number is None else number
