"""``sessiongate sessions``, ``purge`` and ``stats``: who is logged in, and their end."""

from __future__ import annotations

import sys
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer
from rich.console import Console
from rich.progress import track

from sessiongate.cli._output import (
    ago,
    answer,
    date,
    details,
    device,
    instant,
    note,
    plain,
    print_json,
    print_rows,
    tell,
)
from sessiongate.cli._store import URL, AsJSON, Sessions, Timeout, checked, sessions_at
from sessiongate.core.arguments import check_username, is_handle
from sessiongate.core.listing import BATCH_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sessiongate.core.row import Row
    from sessiongate.events import Event

T = TypeVar("T")

app: Final = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_NOT_FOUND: Final = 1

# A handle may begin with a dash. There are no short options that it could be taken for.
_HANDLES: Final = {"ignore_unknown_options": True}


def _check_handle(handle: str) -> str:
    if not is_handle(handle):
        # Not quoted: it may be a token.
        msg = "a handle is 16 or more letters, digits, - and _, as “sessions list” shows it"
        raise ValueError(msg)
    return handle


@app.callback()
def main() -> None:
    """Show who is logged in, and end sessions."""


@app.command(name="list", no_args_is_help=False)
def list_(
    username: Annotated[str | None, typer.Argument(help="Whose; all if left out.")] = None,
    *,
    limit: Annotated[int, typer.Option(min=1, help="How many at the most.")] = 50,
    oldest: Annotated[bool, typer.Option("--oldest", help="The oldest first.")] = False,
    store: URL = None,
    timeout: Timeout = 3,
    as_json: AsJSON = False,
) -> None:
    """List the live sessions, the newest first."""
    owner = checked(check_username, username)
    with sessions_at(store, timeout) as sessions:
        rows = list(_all(sessions)) if owner is None else list(sessions.of(owner))
    shown = rows[:limit] if oldest else rows[::-1][:limit]
    print_rows(shown, sessions.now, as_json=as_json)
    if len(shown) < len(rows):
        note(f"{len(shown)} of {len(rows)} sessions; --limit shows more")


@app.command(context_settings=_HANDLES)
def show(
    handle: Annotated[str, typer.Argument(help="As “list” shows it.")],
    *,
    store: URL = None,
    timeout: Timeout = 3,
    as_json: AsJSON = False,
) -> None:
    """Show one session; that does not touch it."""
    checked(_check_handle, handle)
    with sessions_at(store, timeout) as sessions:
        row, now = sessions.find(handle), sessions.now
    if row is None:
        note(f"There is no session {handle}.")
        raise typer.Exit(_NOT_FOUND)
    found = details(row, now, instant if as_json else partial(ago, now=now))
    if not as_json:
        found |= {"device": device(row) or None, "recorded": found["device"]}
    answer(found, as_json=as_json)
    if row.expires_at <= now:
        note("It has expired, and waits to be removed.")
        raise typer.Exit(_NOT_FOUND)


@app.command(context_settings=_HANDLES)
def revoke(
    handle: Annotated[str | None, typer.Argument(help="One session, as “list” shows it.")] = None,
    *,
    user: Annotated[
        str | None, typer.Option(metavar="USERNAME", help="All sessions of this user.")
    ] = None,
    keep: Annotated[
        str | None, typer.Option(metavar="HANDLE", help="With --user: the one to spare.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    store: URL = None,
    timeout: Timeout = 3,
    as_json: AsJSON = False,
) -> None:
    """End one session, or all of a user: at once, for every token of it."""
    if (handle is None) is (user is None):
        msg = "give either a HANDLE or --user"
        raise typer.BadParameter(msg)
    if keep is not None and user is None:
        msg = "--keep goes with --user"
        raise typer.BadParameter(msg)
    checked(_check_handle, handle)
    checked(_check_handle, keep)
    owner = checked(check_username, user)
    if not yes and not sys.stdin.isatty():
        msg = "not a terminal, so there is no prompt: add --yes"
        raise typer.BadParameter(msg)
    with sessions_at(store, timeout) as sessions:
        if owner is not None:
            ended = _end_user(sessions, owner, keep, yes=yes)
        else:
            ended = _end_one(sessions, handle or "", yes=yes)
    if as_json:
        print_json({"ended": [{"handle": one.session, "username": one.username} for one in ended]})
    else:
        for one in ended:
            tell(f"ended {one.session} of {one.username}")
    if not ended:
        note("There is no such session.")
        raise typer.Exit(_NOT_FOUND)


def _end_one(sessions: Sessions, handle: str, *, yes: bool) -> list[Event]:
    if not yes:
        row = sessions.find(handle)
        if row is None or row.expires_at <= sessions.now:
            return []
        note(f"user {row.username}, opened {date(row.created_at)}, device {device(row) or '?'}")
        _confirm("End this session?")
    return sessions.end(handle)


def _end_user(sessions: Sessions, username: str, keep: str | None, *, yes: bool) -> list[Event]:
    handles = {row.sid for row in sessions.of(username)}
    if keep is not None and keep not in handles:
        # One that is not theirs would spare nothing, and so end the one that was meant.
        note(f"{username} has no session {keep} to keep; nothing was ended.")
        raise typer.Exit(_NOT_FOUND)
    count = len(handles - {keep})
    if not yes:
        if count == 0:
            return []
        _confirm(f"End {count} session{'' if count == 1 else 's'} of {username}?")
    return sessions.end_user(username, keep)


def _all(sessions: Sessions) -> Iterator[Row]:
    """Every live session, the oldest first."""
    count, pages = sessions.counts()[0], sessions.pages()
    for rows in _watched(pages, "reading", count) if count > BATCH_SIZE else pages:
        yield from rows


def _watched(bites: Iterator[T], words: str, count: int) -> Iterable[T]:
    """The same bites, with a bar on a terminal that tells how far they are."""
    console, is_blind = Console(stderr=True), not sys.stderr.isatty()
    total = count // BATCH_SIZE + 1
    return track(bites, words, total, console=console, transient=True, disable=is_blind)


def _confirm(question: str) -> None:
    """Ask on stderr: typer's own question puts a blank into the result."""
    typer.echo(f"{plain(question)} [y/N] ", err=True, nl=False)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        note("Nothing was ended.")
        raise typer.Exit(_NOT_FOUND)


def purge(*, store: URL = None, timeout: Timeout = 3, as_json: AsJSON = False) -> None:
    """Remove the expired sessions, a few at a time."""
    removed = 0
    with sessions_at(store, timeout) as sessions:
        try:
            for bite in _watched(sessions.purge(), "removing", sessions.counts()[1]):
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
            by_user = Counter(row.username for row in _all(sessions))
            found |= {"users": len(by_user), "most_of_one_user": max(by_user.values(), default=0)}
    answer(found, as_json=as_json)
