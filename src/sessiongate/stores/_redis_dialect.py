"""Commands as Lua scripts with arguments, and replies as outcomes. No I/O, no driver."""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha1
from importlib.resources import files
from struct import Struct, pack
from struct import error as StructError  # noqa: N812
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from sessiongate.core.commands import (
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
from sessiongate.core.recent import remembering
from sessiongate.core.row import FOREVER
from sessiongate.errors import StoreError
from sessiongate.stores._stored import FORMAT, sound, warn_unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sessiongate.core.commands import Command, Outcome
    from sessiongate.core.row import Row

__all__ = ["Dialect"]

_Parts: TypeAlias = tuple[bytes, ...]
"""The key that a command is about, its numbers, and its texts."""

_NUMBERS: Final = Struct(">B9qB")
"""Of a row: its format, and those of ``Row``."""
_TOUCH: Final = Struct(">8q")
_parse: Final = json.JSONDecoder().raw_decode
"""JSON at the beginning of a text, and where it ends; in a third of the time of ``loads``."""


class _Script(NamedTuple):
    """How a script is asked for, up to its arguments, as it goes over the wire (RESP2)."""

    by_digest: bytes
    by_text: bytes
    """This makes it known as well."""


class Dialect:
    """The commands in the language of Redis, for keys under one prefix. Immutable."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix.encode()
        self._begins = _string(self._prefix)
        self._scripts: dict[type, tuple[_Script, Callable[[Any], _Parts]]] = {
            Open: (_script("row", "rows", "rotation", "admission", "open"), self._open),
            Touch: (
                _script("row", "judgement", "check", "rows", "rotation", "touch"),
                self._touch,
            ),
            Read: (_script("row", "rows", "read"), self._read),
            Close: (_script("row", "judgement", "rows", "close"), self._close),
            CloseUser: (_script("row", "rows", "close_user"), self._close_user),
            Sweep: (_script("row", "rows", "sweep"), self._sweep),
            List: (_script("row", "rows", "list"), self._list),
            Count: (_script("row", "rows", "count"), self._count),
        }

    def by_digest(self, command: Command) -> bytes:
        """The request for a script that the server knows."""
        script, translate = self._scripts[type(command)]
        return self._request(script.by_digest, *translate(command))

    def by_text(self, command: Command) -> bytes:
        """The request that brings the script along, which also makes it known."""
        script, translate = self._scripts[type(command)]
        return self._request(script.by_text, *translate(command))

    def _request(self, asking: bytes, key: bytes, numbers: bytes, *texts: bytes) -> bytes:
        return b"*%d\r\n%b$%d\r\n%b\r\n$%d\r\n%b\r\n%b%b" % (
            6 + len(texts),
            asking,
            len(key),
            key,
            len(numbers),
            numbers,
            self._begins,
            b"".join(map(_string, texts)),
        )

    def outcome(self, command: Command, reply: Any) -> Outcome:
        """What the server's reply, undecoded, means."""
        if type(reply) is bytes:
            return _row(command.sid, reply)  # type: ignore[union-attr] # Touch, Read
        match reply:
            case [b"unreadable", sids, rest]:
                for sid in sids:
                    warn_unreadable(_readable(sid))
                return self.outcome(command, rest)
            case [kind, *parts]:
                return _ANSWERS[kind](command, *parts)
        return reply  # type: ignore[no-any-return] # a number, or nothing

    def _open(self, command: Open) -> _Parts:
        numbers = _packed(
            command.now,
            command.looks_at_user,
            _limited(command.limit),
            _limited(command.user_limit),
            command.evict,
        )
        texts = command.existing.encode(), (command.replaces or "").encode()
        return self._user_key(command.row.username), numbers, _text(command.row), *texts

    def _touch(self, command: Touch) -> _Parts:
        sid, generation, now, policy, rotation = command
        return self._session_key(sid), _TOUCH.pack(now, generation, rotation, *policy)

    def _read(self, command: Read) -> _Parts:
        return self._session_key(command.sid), _packed(command.now)

    def _close(self, command: Close) -> _Parts:
        generation = -1 if command.generation is None else command.generation
        owner = () if command.username is None else (command.username.encode(),)
        return self._session_key(command.sid), _packed(command.now, generation), *owner

    def _close_user(self, command: CloseUser) -> _Parts:
        texts = command.username.encode(), (command.keep or "").encode()
        return self._user_key(command.username), _packed(command.now), *texts

    def _sweep(self, command: Sweep) -> _Parts:
        limit = _limited(max(command.limit, 0))
        return self._prefix + b"expiry", _packed(command.now, limit)

    def _list(self, command: List) -> _Parts:
        now = _packed(command.now)
        if command.username is None:
            return self._prefix + b"order", now
        return self._user_key(command.username), now, command.username.encode()

    def _count(self, command: Count) -> _Parts:
        return self._prefix + b"expiry", _packed(command.now)

    def _session_key(self, sid: str) -> bytes:
        return b"%bsession:%b" % (self._prefix, sid.encode())

    def _user_key(self, username: str) -> bytes:
        return self._prefix + b"user:" + username.encode()


@cache
def _script(*names: str) -> _Script:
    """Scripts share their parts, so that every rule is written once."""
    directory = files("sessiongate.stores") / "lua"
    text = b"\n".join((directory / f"{name}.lua").read_bytes() for name in names)
    digest = sha1(text, usedforsecurity=False).hexdigest().encode()
    keys = _string(b"1")
    return _Script(
        _string(b"EVALSHA") + _string(digest) + keys, _string(b"EVAL") + _string(text) + keys
    )


def _string(text: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text), text)


def _packed(*numbers: int) -> bytes:
    return pack(f">{len(numbers)}q", *numbers)


def _limited(number: int | None) -> int:
    """No limit is -1; a higher one than can be counted is none either."""
    return -1 if number is None else min(number, FOREVER)


def _text(row: Row) -> bytes:
    """The stored form; lua/row.lua says what it is, and why."""
    texts = json.dumps([*row[:2], *row[12:]], ensure_ascii=False, separators=(",", ":"))
    return _NUMBERS.pack(FORMAT, *row[2:12]) + texts.encode()


def _row(sid: str, stored: bytes) -> Row | None:
    """A stored row, or ``None`` and a line in the log if it is not to be understood."""
    row = _decoded(stored)
    if row is not None and row.sid == sid:
        return row
    warn_unreadable(sid)
    return None


@remembering
def _decoded(stored: bytes) -> Row | None:
    try:
        version, *numbers = _NUMBERS.unpack_from(stored)
        texts = stored[_NUMBERS.size :].decode()
        (named, username, scopes_and_claims, device), end = _parse(texts)
    except (StructError, ValueError, TypeError, RecursionError):  # not of this shape
        return None
    if end != len(texts):
        return None
    return sound((version, named, username, *numbers, scopes_and_claims, device))


def _readable(sid: bytes) -> str:
    """What an index says may be no UTF-8, and then it names no session."""
    return sid.decode(errors="replace")


def _pairs(flat: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _some_ended(flat: list[bytes]) -> tuple[Ended, ...]:
    return tuple(Ended(sid.decode(), username.decode()) for sid, username in _pairs(flat))


def _rotated(_: Any, sid: bytes, text: bytes) -> Rotated | None:
    row = _row(_readable(sid), text)
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
    row = _row(_readable(sid), text)
    if row is None:  # its script could read it, so this is nothing to go on from
        msg = "Redis answered with a corrupt session"
        raise StoreError(msg)
    return Existing(row)


def _limit(_: Any, scope: bytes) -> LimitReached:
    return LimitReached("user" if scope == b"user" else "total")


def _rows(command: List, flat: list[bytes]) -> tuple[Row, ...]:
    rows = (_row(_readable(sid), text) for sid, text in _pairs(flat))
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
