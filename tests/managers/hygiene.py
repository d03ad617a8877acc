"""What no log record may hold: a token, in any message, argument or traceback."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TOKEN", "every_record"]

TOKEN = re.compile(
    r"sg_[A-Za-z0-9_-]{22}\.\d+\.[0-9a-f]{32}|eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"
)
"""Any token of ours, opaque or JWT, whoever minted it."""


class _Formatted(logging.Handler):
    """Keeps the records and how a log file would show them, traceback and all."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{self.format(record)} {record.args!r}")


@contextmanager
def every_record() -> Iterator[list[str]]:
    """What is logged meanwhile, by whomever, from DEBUG up."""
    handler, root = _Formatted(), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield handler.lines
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
