"""``sessiongate sessions``, ``purge`` and ``stats``: who is logged in, and their end."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Final

import typer

from sessiongate.cli._kinds import SESSIONS
from sessiongate.cli._output import answer, note, print_json, tell
from sessiongate.cli._rows import all_rows, commands, watched
from sessiongate.cli._store import URL, AsJSON, Timeout, sessions_at

app: Final = commands(SESSIONS)


@app.callback()
def main() -> None:
    """Show who is logged in, and end sessions."""


def purge(*, store: URL = None, timeout: Timeout = 3, as_json: AsJSON = False) -> None:
    """Remove the expired sessions, a few at a time."""
    removed = 0
    with sessions_at(store, timeout) as sessions:
        try:
            for bite in watched(sessions.purge(), "removing", sessions.counts()[1]):
                removed += bite
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
    store: URL = None,
    timeout: Timeout = 3,
    as_json: AsJSON = False,
) -> None:
    """Count the live sessions, and the expired ones.

    Expired sessions are not valid any more; the next purge removes them.
    """
    with sessions_at(store, timeout) as sessions:
        live, expired = sessions.counts()
        found = {"store": repr(sessions.store), "live": live, "expired": expired}
        if users:
            by_user = Counter(row.username for row in all_rows(sessions))
            found |= {"users": len(by_user), "most_of_one_user": max(by_user.values(), default=0)}
    answer(found, as_json=as_json)
