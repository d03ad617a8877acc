"""What is printed. Results go to stdout, all else to stderr.

Names and devices come from strangers: nothing in them may steer a terminal.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from functools import partial
from itertools import compress
from typing import TYPE_CHECKING, Final, cast

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sessiongate.core.row import FOREVER, SECOND, to_datetime

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sessiongate.cli._kinds import Kind
    from sessiongate.core.row import Row

_STEERING: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Controls, changes of direction, surrogates, line separators, and what no font shows."""

UNITS: Final = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))

_FOLDED: Final = ("USER", "NAME", "SCOPES", "DEVICE")
"""What a terminal shows on several lines if need be. A handle stays whole, to be copied."""
_IF_ANY: Final = ("SCOPES", "DEVICE")
"""Columns that a terminal shows only if there is something in them."""


def plain(text: object) -> str:
    """A text that only shows: what would steer the terminal becomes an escape sequence."""
    return "".join(
        c.encode("unicode-escape", "surrogatepass").decode()
        if unicodedata.category(c) in _STEERING
        else c
        for c in str(text)
    )


def tell(*cells: object) -> None:
    """A line of the result, with tabs between the cells."""
    _echo("\t".join(map(plain, cells)), err=False)


def note(text: str) -> None:
    """A line for whoever watches."""
    _echo(plain(text), err=True)


def _echo(text: str, *, err: bool) -> None:
    encoding = (sys.stderr if err else sys.stdout).encoding or "utf-8"
    # A terminal that cannot show a letter is no reason to fail.
    typer.echo(text.encode(encoding, "backslashreplace").decode(encoding), err=err)


def print_json(value: object) -> None:
    """The result for a program: one JSON value, in ASCII."""
    typer.echo(json.dumps(value, indent=2))


def answer(values: Mapping[str, object], *, as_json: bool, indent: str = "") -> None:
    """The result as JSON, or as lines of a name and a value: then without what is unknown."""
    if as_json:
        print_json(values)
        return
    known = {name: value for name, value in values.items() if value not in (None, [], {})}
    width = max(map(len, known), default=0)
    for name, value in known.items():
        if isinstance(value, dict):
            tell(indent + name)
            answer(cast(dict[str, object], value), as_json=False, indent=f"{indent}  ")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            tell(f"{indent}{name:{width}}  {text}")


def _is_never(microseconds: int) -> bool:
    return not 0 < microseconds < FOREVER


def date(microseconds: int) -> str:
    """The instant for people."""
    return "never" if _is_never(microseconds) else f"{to_datetime(microseconds):%Y-%m-%d %H:%M:%SZ}"


def instant(microseconds: int) -> str | None:
    """The instant for programs (ISO 8601), ``None`` for never."""
    return None if _is_never(microseconds) else to_datetime(microseconds).isoformat()


def distance(microseconds: int, now: int) -> str:
    """How far away an instant is, in either direction: ``2h``, ``59m``, ``never``."""
    if _is_never(microseconds):
        return "never"
    seconds = abs(microseconds - now) // SECOND
    unit, size = next((known for known in UNITS if seconds >= 2 * known[1]), UNITS[-1])
    return f"{seconds // size}{unit}"


def ago(microseconds: int, now: int) -> str:
    """The instant for people, and how far away it is: ``… (2h ago)``, ``… (in 59m)``."""
    if _is_never(microseconds):
        return "never"
    away = distance(microseconds, now)
    away = f"{away} ago" if microseconds <= now else f"in {away}"
    return f"{date(microseconds)} ({away})"


def print_rows(kind: Kind, rows: Sequence[Row], now: int, *, as_json: bool) -> None:
    """Print many, a line each: for programs, for a terminal of 80 columns, or for a pipe."""
    if as_json:
        print_json([kind.brief(row, instant) for row in rows])
        return
    is_terminal = sys.stdout.isatty()
    when = partial(distance, now=now) if is_terminal else date
    lines = [kind.cells(row, when) for row in rows]
    if is_terminal:
        _print_table(kind.columns, lines)
    else:
        for line in (kind.columns, *lines):
            tell(*line)


def _print_table(names: tuple[str, ...], lines: list[tuple[str, ...]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    columns = zip(names, *lines, strict=True)
    shown = [name not in _IF_ANY or any(cells) for name, *cells in columns]
    for name in compress(names, shown):
        heading = name.removeprefix("LAST ")
        table.add_column(heading, overflow="fold", no_wrap=name not in _FOLDED)
    for line in lines:
        table.add_row(*(Text(plain(cell)) for cell in compress(line, shown)))
    Console().print(table)
