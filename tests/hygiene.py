"""What no log record may hold: tokens, keys, digests, passwords; in any message or traceback."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["PASSWORDS", "TOKEN", "each_record", "every_record", "leaks"]

TOKEN: Final = re.compile(
    r"sg_[A-Za-z0-9_-]{22}\.\d+\.[0-9a-f]{32}|sgp_[0-9A-Za-z]{50}"
    r"|eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"
)
"""Any token of ours, opaque or JWT, whoever minted it."""

PASSWORDS: Final[set[str]] = set()
"""What a test adds here is looked for as well, from then on."""

_SECRET: Final = re.compile(
    TOKEN.pattern
    + r"|-----BEGIN"
    + r"|(?<![\w/.-])[\w-]{86}(?![\w/-])"  # a key that the package made
    + r"|(?<!\w)([a-z])\1{63}(?!\w)|my_secret"  # the keys of the tests
    + r"|(?<![0-9a-f])(?:[0-9a-f]{32}|[0-9a-f]{64}|[0-9a-f]{128})(?![0-9a-f])",  # a digest
    re.ASCII,
)

_PEERS: Final = ("httpcore", "httpx", "websockets", "uvicorn.error")
"""Clients and servers, which on DEBUG log the header fields that they send and receive."""

_FORMATTER: Final = logging.Formatter()


def leaks(lines: Iterable[str]) -> list[str]:
    """Those that say too much."""
    return [
        line for line in lines if _SECRET.search(line) or any(word in line for word in PASSWORDS)
    ]


def _shown(record: logging.LogRecord) -> str:
    """All that any handler could make of a record: its text, its arguments, its traceback."""
    said = f"{record.name}: {record.getMessage()} {record.args!r} {record.stack_info or ''}"
    if record.exc_info and record.exc_info[1] is not None:
        said += _FORMATTER.formatException(record.exc_info)
    return said


@contextmanager
def each_record(tell: Callable[[str], object]) -> Iterator[None]:
    """Tell of each record of every logger, from DEBUG up, whatever the logger does with it."""
    make, root = logging.getLogRecordFactory(), logging.getLogger()
    before = root.level

    def watching(*args: Any, **keywords: Any) -> logging.LogRecord:
        record = make(*args, **keywords)
        if record.levelno > logging.DEBUG or not record.name.startswith(_PEERS):
            tell(_shown(record))
        return record

    logging.setLogRecordFactory(watching)
    root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.setLevel(before)
        logging.setLogRecordFactory(make)


@contextmanager
def every_record() -> Iterator[list[str]]:
    """What is logged meanwhile, by whomever, from DEBUG up."""
    lines: list[str] = []
    with each_record(lines.append):
        yield lines
