"""Calling the command as an administrator does, and looking for secrets in all that it says."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from typer import main, testing
from typer.testing import CliRunner

from sessiongate.cli import app
from sessiongate.core.row import FOREVER, SECOND, Row
from sessiongate.testing.commands import Count, List, Open, execute

if TYPE_CHECKING:
    from sessiongate.stores import Store

__all__ = ["KEY", "Caller", "Done", "Process", "everything", "on_a_terminal", "session"]

KEY: Final = "a-key-that-must-not-be-printed-" + "k" * 40

# It would make all commands anew for each call, from the types of their functions.
testing.__dict__["_get_command"] = cache(main.get_command)

PROGRAM: Final = Path(sys.executable).with_name("sessiongate")


class Done(NamedTuple):
    code: int
    out: str
    err: str


@dataclass
class Caller:
    """Calls in this process. Whatever is printed is searched for ``secrets``."""

    url: str | None = None
    secrets: set[str] = field(default_factory=lambda: {KEY})

    def __call__(self, *arguments: str, stdin: str = "", code: int = 0, **settings: str) -> Done:
        done = self._call(arguments, stdin, {**self._settings(), **settings})
        assert done.code == code, done
        for secret in self.secrets:
            assert secret not in done.out + done.err
        return done

    def keep_secret(self, token: str | None) -> str:
        """The token; neither it nor what it is signed with may be printed."""
        assert token is not None
        self.secrets |= {token, token.rpartition(".")[2]}
        return token

    def _settings(self) -> dict[str, str]:
        return {} if self.url is None else {"SESSIONGATE_STORE": self.url}

    def _call(self, arguments: tuple[str, ...], stdin: str, settings: dict[str, str]) -> Done:
        result = CliRunner().invoke(app, arguments, input=stdin, env=settings)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)


class Process(Caller):
    """The same in a process of its own."""

    command: tuple[str, ...] = (sys.executable, "-m", "sessiongate.cli")

    def _call(self, arguments: tuple[str, ...], stdin: str, settings: dict[str, str]) -> Done:
        ours = {k: v for k, v in os.environ.items() if not k.startswith("SESSIONGATE_")}
        run = subprocess.run(
            [*self.command, *arguments],
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            env=ours | {"PYTHONIOENCODING": "utf-8"} | settings,
            timeout=120,
            check=False,
        )
        return Done(run.returncode, run.stdout, run.stderr)


def on_a_terminal(url: str, *arguments: str, columns: int = 120) -> str:
    """What the command writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "sessiongate.cli", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "SESSIONGATE_STORE": url, "TERM": "xterm", "COLUMNS": f"{columns}"},
    ) as process:
        os.close(theirs)
        said = b""
        with suppress(OSError):  # what a terminal says when the other side has gone
            while more := os.read(ours, 65536):
                said += more
    os.close(ours)
    assert process.returncode == 0, said
    return said.decode()


def session(sid: str, username: str = "alice", *, expires_at: int, **fields: Any) -> Open:
    """Opens a session with exactly these fields."""
    row = Row(
        sid=sid,
        username=username,
        created_at=0,
        last_accessed=0,
        expires_at=expires_at,
        lifetime_ends_at=FOREVER,
        generation=0,
        rotated_at=SECOND,
        previous_until=0,
        oldest_accepted=0,
        revoked_below=0,
        shared=False,
        scopes_and_claims="",
        device="",
    )
    return Open(replace(row, **fields), SECOND, "new", (), None, None, evict=False)


def everything(store: Store) -> tuple[Any, Any]:
    """All that is in a store, the expired included; nothing is removed by the look."""
    return execute(store, List(None, 0)), execute(store, Count(0))
