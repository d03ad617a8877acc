"""Measure what users pay: ``make bench``. Prints tables, never fails on a number.

Redis and PostgreSQL are measured where a URL is given:

    make bench ARGS="--redis redis://localhost:6379/9 --postgres postgresql:///test"
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import platform
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from measure import Case, interleaved
from per_request import asgi_cases, flask_cases
from per_store import memory_cases, postgres_cases, redis_cases, sqlite_cases

if TYPE_CHECKING:
    from collections.abc import Sequence

console = Console()


def show(title: str, cases: Sequence[Case], *, over_first: bool) -> None:
    """Print one table; the first case is what the others are compared with."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for heading in ("minimum µs", "median µs", "over bare µs" if over_first else "of the first"):
        table.add_column(heading, justify="right")
    first = cases[0].minimum
    for case in cases:
        last = f"{case.minimum - first:.1f}" if over_first else f"{case.minimum / first:.2f}"
        table.add_row(case.name, f"{case.minimum:.1f}", f"{case.median:.1f}", last)
    console.print(table)


async def main() -> None:
    """Take all measurements in one run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--redis", metavar="URL")
    parser.add_argument("--postgres", metavar="URL")
    options = parser.parse_args()
    logging.getLogger("sessiongate").setLevel(logging.CRITICAL)
    packages = ("sessiongate", "starlette", "flask", "pyjwt", "werkzeug")
    console.print(f"{platform.platform()}, Python {platform.python_version()}")
    console.print(", ".join(f"{name} {version(name)}" for name in packages))
    asgi = await asgi_cases()
    flask = flask_cases()
    await interleaved([*asgi, *flask])
    show("ASGI: one request through the app", asgi, over_first=True)
    show("Flask: one request through the app", flask, over_first=True)
    with TemporaryDirectory() as folder:
        tables = [("Memory", memory_cases()), ("SQLite", sqlite_cases(Path(folder)))]
        if options.redis:
            tables.append(("Redis", redis_cases(options.redis)))
        if options.postgres:
            tables.append(("PostgreSQL", postgres_cases(options.postgres)))
        for title, cases in tables:
            await interleaved(cases)
            show(f"{title}: verbs of a manager", cases, over_first=False)


if __name__ == "__main__":
    asyncio.run(main())
