"""What people are told: not too often, without secrets, and at the line that can mend it."""

from __future__ import annotations

import inspect
import math
import re
import warnings
from typing import Final

from sessiongate.core.locks import fork_safe_lock
from sessiongate.core.row import SECOND

_PERIOD: Final = 60 * SECOND

_READ: Final = 4000
_KEPT: Final = 300
"""Characters."""
_REMOVED: Final = "…"
_CREDENTIALS: Final = re.compile(
    r"\bsgp?_[\w.~+/=-]{16,}"  # a token of ours
    r"|\beyJ[\w-]*(?:\.[\w-]*){1,4}"  # a JWT, signed or encrypted
    r"|(?<=://)\S*(?=@)"  # a user and a password in a URL
    r"|(?:(?<=\bpassword=)|(?<=\bpasswd=)|(?<=\bpwd=)|(?<=\bsecret=)|(?<=\btoken=))"
    r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s&,;)]+)"""
    r"|(?<![0-9A-Fa-f])[0-9A-Fa-f]{32,}(?![0-9A-Fa-f])",  # a digest
    re.IGNORECASE | re.ASCII,
)
_ID_LIKE: Final = re.compile(r"(?<![\w-])(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[\w-]{22,}", re.ASCII)
"""The id of a session is random letters of both cases, digits, ``-`` and ``_``."""
_CLASS_NAME: Final = re.compile(r"[A-Z][A-Za-z]+")
_FEW: Final = 4
"""One letter in as many, at most, is a capital in a name that a person chose."""


class Throttle:
    """Passes once a minute. Thread-safe; ``now`` in microseconds."""

    __slots__ = ("_lock", "_passed_at")

    def __init__(self) -> None:
        self._lock = fork_safe_lock()
        self._passed_at = -math.inf

    def passes(self, now: int) -> bool:
        """Whether the last pass is a minute away; then this is the last one."""
        if self.is_closed(now):  # all that a flood costs
            return False
        with self._lock:
            if self.is_closed(now):
                return False
            self._passed_at = now
            return True

    def is_closed(self, now: int) -> bool:
        """Whether none passes at the moment."""
        # In both directions: threads read the clock in any order, and a clock that was set back
        # must not silence the log until it has caught up.
        return -_PERIOD < now - self._passed_at < _PERIOD


class Outages:
    """Counts the failures of one manager's store, for few log lines. Thread-safe.

    The first failure is logged at once, then one line a minute at most, with the count, and one
    line when the store answers again. A store that comes and goes leaves two lines a minute at
    most. ``now`` in microseconds.
    """

    def __init__(self) -> None:
        self.pending: bool = False
        """True while a log line is pending: "answers again", or a failure count."""
        self._lock = fork_safe_lock()
        self._throttle = Throttle()
        self._down = False
        self._unlogged = 0

    def failed(self, now: int) -> int:
        """The failures to log, this one included; 0: no line for the moment."""
        with self._lock:
            self._unlogged += 1
            self.pending = True
            if not self._throttle.passes(now):
                return 0
            self._down = True
            return self._take_count()

    def answered(self, now: int) -> int | None:
        """The failures since the last line, if it is time to log that the store answers."""
        with self._lock:
            if not self._down and not (self._unlogged and self._throttle.passes(now)):
                return None
            self._down = self.pending = False
            return self._take_count()

    def _take_count(self) -> int:
        count, self._unlogged = self._unlogged, 0
        return count


def scrubbed(text: str) -> str:
    """The text of a driver's error, safe to log: one line, at most 300 characters, no credentials.

    Drivers quote a URL with its password, or a key that holds a session's id. The stores remove
    these; this is the second net. ``…`` stands in place of what may be secret.
    """
    if len(text) > _READ:
        text = text[:_READ].rpartition(" ")[0]  # half a secret would not be known as one
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    line = _ID_LIKE.sub(_unless_a_class, _CREDENTIALS.sub(_REMOVED, line))
    return line if len(line) <= _KEPT else f"{line[: _KEPT - 1]}…"


def _unless_a_class(found: re.Match[str]) -> str:
    """Such as ``AuthenticationWrongNumberOfArgsError``, which is no id."""
    word = found[0]
    capitals = sum(map(str.isupper, word))
    chosen = _CLASS_NAME.fullmatch(word) is not None and capitals * _FEW <= len(word)
    return word if chosen else _REMOVED


def warn(message: str, category: type[Warning]) -> None:
    """Warn of the line outside of this package that can mend the cause."""
    level, frame = 0, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith("sessiongate."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level + 1)
