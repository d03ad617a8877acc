"""What is printed. Results go to stdout, all else to stderr.

Names and devices come from strangers: nothing in them may steer a terminal.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import TYPE_CHECKING, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sessiongate.core.row import FOREVER, SECOND, to_datetime

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

__all__ = [
    "ago",
    "amount",
    "confirm",
    "date",
    "distance",
    "facts",
    "for_people",
    "instant",
    "note",
    "plain",
    "print_json",
    "table",
    "tell",
]

_STEERING: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Controls, changes of direction, surrogates, line separators, and what no font shows."""

_UNITS: Final = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def plain(text: object) -> str:
    """A text that only shows: what would steer the terminal becomes an escape sequence."""
    shown = str(text)
    if shown.isascii() and shown.isprintable():
        return shown
    return "".join(_escaped(c) if unicodedata.category(c) in _STEERING else c for c in shown)


def _escaped(character: str) -> str:
    return character.encode("unicode-escape", "surrogatepass").decode()


def tell(text: str) -> None:
    """A line of the result."""
    _echo(plain(text), err=False)


def note(text: str) -> None:
    """A line for whoever watches."""
    _echo(plain(text), err=True)


def _echo(text: str, *, err: bool) -> None:
    encoding = (sys.stderr if err else sys.stdout).encoding or "utf-8"
    # A terminal that cannot show a letter is no reason to fail.
    typer.echo(text.encode(encoding, "backslashreplace").decode(encoding), err=err)


def confirm(question: str) -> bool:
    """Ask whoever watches; typer's own question would put a blank into the result."""
    typer.echo(f"{plain(question)} [y/N] ", err=True, nl=False)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def print_json(value: object) -> None:
    """The result for a program: one JSON value, in ASCII."""
    typer.echo(json.dumps(value, indent=2))


def facts(values: Mapping[str, object]) -> None:
    """Lines of a name and a value; without those that are unknown."""
    known = {name: value for name, value in values.items() if value is not None}
    width = max(map(len, known), default=0)
    for name, value in known.items():
        tell(f"{name:{width}}  {value}")


def for_people() -> bool:
    """Whether results go to a terminal."""
    return sys.stdout.isatty()


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], whole: Container[str] = ()
) -> None:
    """Rows for people on a terminal; otherwise lines with tabs, the first one naming them.

    The first column, and those named in ``whole``, stay on one line where the others are folded.
    """
    if not for_people():
        for row in (columns, *rows):
            _echo("\t".join(map(plain, row)), err=False)
        return
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for at, name in enumerate(columns):
        # The first one is what gets copied.
        shown.add_column(name, overflow="fold", no_wrap=at == 0 or name in whole)
    for row in rows:
        shown.add_row(*(Text(plain(cell)) for cell in row))
    Console(highlight=False, emoji=False, markup=False).print(shown)


def date(microseconds: int) -> str:
    """The instant for people."""
    if microseconds >= FOREVER:
        return "never"
    return f"{to_datetime(microseconds):%Y-%m-%d %H:%M:%SZ}"


def instant(microseconds: int) -> str | None:
    """The instant for programs (ISO 8601), ``None`` for never."""
    return None if microseconds >= FOREVER else to_datetime(microseconds).isoformat()


def ago(microseconds: int, now: int) -> str:
    """The instant for people, and how far away it is."""
    if microseconds >= FOREVER:
        return "never"
    return f"{date(microseconds)} ({distance(microseconds, now)})"


def distance(microseconds: int, now: int) -> str:
    """How far away an instant is, roughly: ``2h ago``, ``in 59m``."""
    away = amount(microseconds, now)
    return f"{away} ago" if microseconds <= now else f"in {away}"


def amount(microseconds: int, now: int) -> str:
    """The same where a heading says in which direction: ``2h``, ``59m``, ``never``."""
    if microseconds >= FOREVER:
        return "never"
    seconds = abs(microseconds - now) // SECOND
    unit, size = next((known for known in _UNITS if seconds >= 2 * known[1]), _UNITS[-1])
    return f"{seconds // size}{unit}"
