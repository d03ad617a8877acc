"""``manage.py sessiongate_sessions``: who is logged in, and their end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from sessiongate.devices.labels import ip_of, name_of
from sessiongate.django.configuration import configured
from sessiongate.errors import StoreError

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator

    from sessiongate.managers import SessionManager

_PAGE = 500


class Command(BaseCommand):
    """Lists the live sessions of the manager in ``SESSIONGATE``, and ends them."""

    help = "List the live sessions, or those of a user; end one of them, or all."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say what the command takes."""
        parser.add_argument("username", nargs="?", help="Whose sessions; all if left out.")
        ends = parser.add_mutually_exclusive_group()
        ends.add_argument("--end", metavar="HANDLE", help="End this session of the user.")
        ends.add_argument(
            "--end-all", action="store_true", help="Log the user out everywhere, at once."
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Do it."""
        username, handle = options["username"], options["end"]
        if username is None and (handle or options["end_all"]):
            msg = "name the user whose sessions are to end"
            raise CommandError(msg)
        try:
            manager = configured().manager
            if not manager.store.shared:
                msg = (
                    "the sessions are kept in the memory of each server process, where this one "
                    "cannot see them: give the manager another store"
                )
                raise CommandError(msg)
            self._act(manager, username, handle, end_all=options["end_all"])
        except (ImproperlyConfigured, StoreError, ValueError) as error:
            raise CommandError(str(error)) from error

    def _act(
        self, manager: SessionManager, username: str | None, handle: str | None, *, end_all: bool
    ) -> None:
        if username is not None and handle is not None:
            if not manager.invalidate_user_session(username, handle):
                msg = f"{username} has no session {handle}"
                raise CommandError(msg)
            self.stdout.write(f"ended {handle} of {username}")
        elif username is not None and end_all:
            count = manager.invalidate_user_sessions(username)
            self.stdout.write(f"ended {count} session{'' if count == 1 else 's'} of {username}")
        else:
            for one in _all_sessions(manager, username):
                seen = one["last_accessed"].isoformat(" ", "seconds")
                where = f"{name_of(one['device'])}, {ip_of(one['device']) or 'IP unknown'}"
                self.stdout.write(f"{one['handle']}  {one['username']}  last seen {seen}  {where}")


def _all_sessions(manager: SessionManager, username: str | None) -> Iterator[dict[str, Any]]:
    after = None
    while page := manager.list_sessions(username=username, limit=_PAGE, after=after):
        yield from page
        after = page[-1]["handle"]
