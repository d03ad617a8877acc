"""``sessiongate purge`` and ``sessiongate stats``."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sessiongate.cli._output import facts, note, print_json, tell
from sessiongate.cli._store import URL, AsJSON, Scan, Timeout, sessions_at

__all__ = ["purge", "stats"]

_COLUMNS: Final = (TextColumn("removing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())


def purge(*, store: URL = None, timeout: Timeout = 3, as_json: AsJSON = False) -> None:
    """Remove the expired sessions, a few at a time."""
    removed = 0
    watched = sys.stderr.isatty()
    with sessions_at(store, timeout) as sessions:
        total = sessions.counts().expired if watched else None
        progress = Progress(
            *_COLUMNS, console=Console(stderr=True), transient=True, disable=not watched
        )
        try:
            with progress:
                bar = progress.add_task("", total=total)
                for bite in sessions.purge():
                    removed += bite
                    progress.update(bar, completed=removed)
        except KeyboardInterrupt:
            note(f"{removed} expired sessions were removed before the interruption.")
            raise
    if as_json:
        print_json({"removed": removed})
    else:
        tell(f"removed {removed} expired session{'' if removed == 1 else 's'}")


def stats(
    *,
    users: Annotated[
        bool, typer.Option("--users", help="Count the users as well: reads every session.")
    ] = False,
    scan: Scan = False,
    store: URL = None,
    timeout: Timeout = 3,
    as_json: AsJSON = False,
) -> None:
    """Count the live sessions, and the expired ones.

    Expired sessions are not valid any more; the next purge removes them.
    """
    with sessions_at(store, timeout) as sessions:
        counts = sessions.counts()
        by_user = Counter(row.username for row in sessions.all(scan=scan)) if users else None
        found = {"store": str(sessions), **counts._asdict()}
    if by_user is not None:
        found |= {"users": len(by_user), "most_of_one_user": max(by_user.values(), default=0)}
    if as_json:
        print_json(found)
    else:
        facts({name.replace("_", " "): value for name, value in found.items()})
