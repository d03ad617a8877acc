"""What is printed. Results go to stdout, all else to stderr.

Names and devices come from strangers: nothing in them may steer a terminal. A
session's generation is no secret; a token of it is nowhere to be shown.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from functools import partial
from itertools import compress
from typing import TYPE_CHECKING, Any, Final, cast

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sessiongate.core.row import FOREVER, SECOND, device_of, scopes_and_claims_of, to_datetime
from sessiongate.devices.labels import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sessiongate.core.row import Row

_STEERING: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Controls, changes of direction, surrogates, line separators, and what no font shows."""

_UNITS: Final = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))

_COLUMNS: Final = ("HANDLE", "USER", "OPENED", "LAST SEEN", "ENDS", "SCOPES", "DEVICE")
_FOLDED: Final = ("USER", "SCOPES", "DEVICE")
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


def date(microseconds: int) -> str:
    """The instant for people."""
    return "never" if microseconds >= FOREVER else f"{to_datetime(microseconds):%Y-%m-%d %H:%M:%SZ}"


def instant(microseconds: int) -> str | None:
    """The instant for programs (ISO 8601), ``None`` for never."""
    return None if microseconds >= FOREVER else to_datetime(microseconds).isoformat()


def distance(microseconds: int, now: int) -> str:
    """How far away an instant is, in either direction: ``2h``, ``59m``, ``never``."""
    if microseconds >= FOREVER:
        return "never"
    seconds = abs(microseconds - now) // SECOND
    unit, size = next((known for known in _UNITS if seconds >= 2 * known[1]), _UNITS[-1])
    return f"{seconds // size}{unit}"


def ago(microseconds: int, now: int) -> str:
    """The instant for people, and how far away it is: ``… (2h ago)``, ``… (in 59m)``."""
    if microseconds >= FOREVER:
        return "never"
    away = distance(microseconds, now)
    away = f"{away} ago" if microseconds <= now else f"in {away}"
    return f"{date(microseconds)} ({away})"


def print_rows(rows: Sequence[Row], now: int, *, as_json: bool) -> None:
    """Print many, a line each: for programs, for a terminal of 80 columns, or for a pipe."""
    if as_json:
        print_json([_brief(row, instant) for row in rows])
        return
    is_terminal = sys.stdout.isatty()
    when = partial(distance, now=now) if is_terminal else date
    lines: list[tuple[str, ...]] = []
    for row in rows:
        *cells, scopes, _ = _brief(row, when).values()
        lines.append((*cells, " ".join(scopes), device(row)))
    if is_terminal:
        _print_table(lines)
    else:
        for line in (_COLUMNS, *lines):
            tell(*line)


def device(row: Row) -> str:
    """What the client is, such as “Firefox on Linux”; ``""`` where nothing was recorded."""
    known = device_of(row)
    return "" if known is None else name_of(known)


def details(row: Row, now: int, when: Callable[[int], str | None]) -> dict[str, Any]:
    """All of one; ``when`` writes the instants."""
    return {
        **_brief(row, when),
        "lifetime_ends_at": when(row.lifetime_ends_at),
        "generation": row.generation,
        "rotated_at": when(row.rotated_at),
        "shared": row.shared,
        "remembered": row.remembered,
        "claims": scopes_and_claims_of(row)[1],
        "live": now < row.expires_at,
    }


def _brief(row: Row, when: Callable[[int], str | None]) -> dict[str, Any]:
    return {
        "handle": row.sid,
        "username": row.username,
        "created_at": when(row.created_at),
        "last_accessed": when(row.last_accessed),
        "expires_at": when(row.expires_at),
        "scopes": list(scopes_and_claims_of(row)[0]),
        "device": device_of(row),
    }


def _print_table(lines: list[tuple[str, ...]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    columns = zip(_COLUMNS, *lines, strict=True)
    shown = [name not in _IF_ANY or any(cells) for name, *cells in columns]
    for name in compress(_COLUMNS, shown):
        heading = name.removeprefix("LAST ")
        table.add_column(heading, overflow="fold", no_wrap=name not in _FOLDED)
    for line in lines:
        table.add_row(*(Text(plain(cell)) for cell in compress(line, shown)))
    Console().print(table)
