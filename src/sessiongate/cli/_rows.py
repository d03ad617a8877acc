"""``list``, ``show`` and ``revoke``: one text for sessions and for API tokens."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer
from rich.console import Console
from rich.progress import track

from sessiongate.administration.listing import BATCH_SIZE
from sessiongate.cli._kinds import SESSIONS, TOKENS, Kind, details, device, kind_of
from sessiongate.cli._output import (
    ago,
    answer,
    date,
    instant,
    note,
    plain,
    print_json,
    print_rows,
    tell,
)
from sessiongate.cli._store import URL, AsJSON, Sessions, Timeout, checked, sessions_at
from sessiongate.core.arguments import check_username, is_handle
from sessiongate.machines.codec import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sessiongate.core.row import Row
    from sessiongate.events import Event

T = TypeVar("T")

NOT_FOUND: Final = 1

# A handle may begin with a dash. There are no short options that it could be taken for.
_HANDLES: Final = {"ignore_unknown_options": True}
_SID_WIDTH: Final = 22


def commands(kind: Kind) -> typer.Typer:
    """The commands about the rows of one kind; its caller adds a callback that says so."""
    app, rows = typer.Typer(no_args_is_help=True, rich_markup_mode=None), _Rows(kind)
    noun = kind.noun
    app.command(
        name="list", no_args_is_help=False, help=f"List the live {noun}s, the newest first."
    )(rows.list_)
    app.command(context_settings=_HANDLES, help=f"Show one {noun}; that does not touch it.")(
        rows.show
    )
    app.command(
        context_settings=_HANDLES,
        help=f"End one {noun}, or all of a user: at once, and for good.",
    )(rows.revoke)
    return app


class _Rows:
    """The commands about one kind of rows. What is of the other kind stays out, and alive."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._other = TOKENS if kind is SESSIONS else SESSIONS

    def list_(
        self,
        username: Annotated[str | None, typer.Argument(help="Whose; all if left out.")] = None,
        *,
        limit: Annotated[int, typer.Option(min=1, help="How many at the most.")] = 50,
        oldest: Annotated[bool, typer.Option("--oldest", help="The oldest first.")] = False,
        store: URL = None,
        timeout: Timeout = 3,
        as_json: AsJSON = False,
    ) -> None:
        owner = checked(check_username, username)
        with sessions_at(store, timeout) as sessions:
            found = all_rows(sessions) if owner is None else sessions.of(owner)
            rows = self._own(found)
        shown = rows[:limit] if oldest else rows[::-1][:limit]
        print_rows(self._kind, shown, sessions.now, as_json=as_json)
        if len(shown) < len(rows):
            note(f"{len(shown)} of {self._kind.counted(len(rows))}; --limit shows more")

    def show(
        self,
        handle: Annotated[str, typer.Argument(help="As “list” shows it.")],
        *,
        store: URL = None,
        timeout: Timeout = 3,
        as_json: AsJSON = False,
    ) -> None:
        checked(self._check_handle, handle)
        with sessions_at(store, timeout) as sessions:
            row, now = self._find(sessions, handle), sessions.now
        if row is None:
            note(f"There is no {self._kind.noun} {handle}.")
            raise typer.Exit(NOT_FOUND)
        found = details(row, now, instant if as_json else partial(ago, now=now))
        if not as_json and "device" in found:
            found |= {"device": device(row) or None, "recorded": found["device"]}
        answer(found, as_json=as_json)
        if row.expires_at <= now:
            note("It has expired, and waits to be removed.")
            raise typer.Exit(NOT_FOUND)

    def revoke(
        self,
        handle: Annotated[str | None, typer.Argument(help="One, as “list” shows it.")] = None,
        *,
        user: Annotated[
            str | None, typer.Option(metavar="USERNAME", help="All of this user.")
        ] = None,
        keep: Annotated[
            str | None, typer.Option(metavar="HANDLE", help="With --user: the one to spare.")
        ] = None,
        yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
        store: URL = None,
        timeout: Timeout = 3,
        as_json: AsJSON = False,
    ) -> None:
        if (handle is None) is (user is None):
            msg = "give either a HANDLE or --user"
            raise typer.BadParameter(msg)
        if keep is not None and user is None:
            msg = "--keep goes with --user"
            raise typer.BadParameter(msg)
        checked(self._check_handle, handle)
        checked(self._check_handle, keep)
        owner = checked(check_username, user)
        if not yes and not sys.stdin.isatty():
            msg = "not a terminal, so there is no prompt: add --yes"
            raise typer.BadParameter(msg)
        with sessions_at(store, timeout) as sessions:
            if owner is not None:
                ended = self._end_user(sessions, owner, keep, yes=yes)
            else:
                ended = self._end_one(sessions, handle or "", yes=yes)
        if as_json:
            told = [{"handle": one.session, "username": one.username} for one in ended]
            print_json({"ended": told})
        else:
            for one in ended:
                tell(f"ended {one.session} of {one.username}")
        if not ended:
            note(f"There is no such {self._kind.noun}.")
            raise typer.Exit(NOT_FOUND)

    def _end_one(self, sessions: Sessions, handle: str, *, yes: bool) -> list[Event]:
        row, kind = self._find(sessions, handle), self._kind
        if row is None or row.expires_at <= sessions.now:
            return []
        if not yes:
            opened = f"{kind.opened} {date(row.created_at)}"
            note(f"user {row.username}, {opened}, {kind.mark(row)}")
            _confirm(f"End this {kind.noun}?")
        return sessions.end(handle)

    def _end_user(
        self, sessions: Sessions, username: str, keep: str | None, *, yes: bool
    ) -> list[Event]:
        found, kind = sessions.of(username), self._kind
        rows = self._own(found)
        handles = {row.sid for row in rows}
        if keep is not None and keep not in handles:
            # One that is not theirs would spare nothing, and so end the one that was meant.
            note(f"{username} has no {kind.noun} {keep} to keep; nothing was ended.")
            raise typer.Exit(NOT_FOUND)
        count = len(handles - {keep})
        if not yes:
            if count == 0:
                return []
            _confirm(f"End {kind.counted(count)} of {username}?")
        if len(rows) < len(found):
            return [event for one in rows if one.sid != keep for event in sessions.end(one.sid)]
        return sessions.end_user(username, keep)

    def _check_handle(self, handle: str) -> str:
        is_token = handle.startswith(PREFIX) and len(handle) > _SID_WIDTH
        if is_token or not is_handle(handle):
            # Not quoted: it may be a token.
            msg = (
                "a handle is 16 or more letters, digits, - and _, as "
                f"“{self._kind.command} list” shows it"
            )
            raise ValueError(msg)
        return handle

    def _find(self, sessions: Sessions, handle: str) -> Row | None:
        row = sessions.find(handle)
        if row is None or kind_of(row) is self._kind:
            return row
        self._note_left_out(1)
        return None

    def _own(self, found: Iterable[Row]) -> tuple[Row, ...]:
        rows = tuple(found)
        own = tuple(row for row in rows if kind_of(row) is self._kind)
        if len(own) < len(rows):
            self._note_left_out(len(rows) - len(own))
        return own

    def _note_left_out(self, number: int) -> None:
        other = self._other
        note(f"Left out: {other.counted(number)}; see “sessiongate {other.command}”.")


def all_rows(sessions: Sessions) -> Iterator[Row]:
    """Every live row, the oldest first."""
    count, pages = sessions.counts()[0], sessions.pages()
    for rows in watched(pages, "reading", count) if count > BATCH_SIZE else pages:
        yield from rows


def watched(bites: Iterator[T], words: str, count: int) -> Iterable[T]:
    """The same bites, with a bar on a terminal that tells how far they are."""
    console, is_blind = Console(stderr=True), not sys.stderr.isatty()
    total = count // BATCH_SIZE + 1
    return track(bites, words, total, console=console, transient=True, disable=is_blind)


def _confirm(question: str) -> None:
    """Ask on stderr: typer's own question puts a blank into the result."""
    typer.echo(f"{plain(question)} [y/N] ", err=True, nl=False)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        note("Nothing was ended.")
        raise typer.Exit(NOT_FOUND)
