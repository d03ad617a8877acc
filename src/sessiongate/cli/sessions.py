"""``sessiongate sessions``: who is logged in, and their end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sessiongate.cli._output import confirm, date, facts, note, print_json, tell
from sessiongate.cli._rows import described, details, device, print_rows
from sessiongate.cli._store import URL, AsJSON, Scan, Sessions, Timeout, sessions_at
from sessiongate.core.arguments import check_username, is_handle

if TYPE_CHECKING:
    from sessiongate.events import Event

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_NOT_FOUND: Final = 1

# A handle may begin with a dash. There are no short options that it could be taken for.
_HANDLES: Final = {"ignore_unknown_options": True}


@app.callback()
def main() -> None:
    """Show who is logged in, and end sessions."""


@app.command(name="list", no_args_is_help=False)
def list_(
    username: Annotated[str | None, typer.Argument(help="Whose; all if left out.")] = None,
    *,
    limit: Annotated[int, typer.Option(min=1, help="How many at the most.")] = 50,
    oldest: Annotated[bool, typer.Option("--oldest", help="The oldest first.")] = False,
    scan: Scan = False,
    store: URL = None,
    timeout: Timeout = 3,
    as_json: AsJSON = False,
) -> None:
    """List the live sessions, the newest first."""
    user = _checked_username(username)
    with sessions_at(store, timeout) as sessions:
        rows = sessions.all(scan=scan) if user is None else sessions.of(user)
        now = sessions.now
    shown = rows[:limit] if oldest else rows[::-1][:limit]
    print_rows(shown, now, as_json=as_json)
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
    _check_handle(handle)
    with sessions_at(store, timeout) as sessions:
        row, now = sessions.find(handle), sessions.now
    if row is None:
        note(f"There is no session {handle}.")
        raise typer.Exit(_NOT_FOUND)
    live = now < row.expires_at
    if as_json:
        print_json({**details(row), "live": live})
    else:
        facts(described(row, now))
    if not live:
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
    for named in filter(None, (handle, keep)):
        _check_handle(named)
    owner = _checked_username(user)
    if not yes and not sys.stdin.isatty():
        msg = "there is nobody to ask: confirm with --yes"
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
        _ask("End this session?")
    return sessions.end(handle)


def _end_user(sessions: Sessions, username: str, keep: str | None, *, yes: bool) -> list[Event]:
    if keep is not None:
        # One that is not theirs would spare nothing, and so end the one that was meant.
        spared = sessions.find(keep)
        if spared is None or spared.username != username or spared.expires_at <= sessions.now:
            note(f"{username} has no session {keep} to keep; nothing was ended.")
            raise typer.Exit(_NOT_FOUND)
    if not yes:
        count = sum(row.sid != keep for row in sessions.of(username))
        if count == 0:
            return []
        _ask(f"End {count} session{'' if count == 1 else 's'} of {username}?")
    return sessions.end_user(username, keep)


def _ask(question: str) -> None:
    if not confirm(question):
        note("Nothing was ended.")
        raise typer.Exit(_NOT_FOUND)


def _checked_username(username: str | None) -> str | None:
    try:
        return None if username is None else check_username(username)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _check_handle(handle: str) -> None:
    if not is_handle(handle):
        # Not quoted: it may be a token.
        msg = "a handle is 16 or more letters, digits, - and _, as “sessions list” shows it"
        raise typer.BadParameter(msg)
