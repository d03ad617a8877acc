"""The commands of docs/command-line.md, in their order, on a store like the one it talks of."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cli.calling import session

from sessiongate.cli import app
from sessiongate.core.row import FOREVER, SECOND
from sessiongate.testing.commands import execute

if TYPE_CHECKING:
    import pytest
    from tests.cli.calling import Caller

    from sessiongate.stores import SQLiteStore

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"<!-- runnable: command-line -->\n```console\n(.*?)```", PAGE, re.DOTALL)
HANDLE = "mVbZ5aPKs9WoOY4eTUq1Tg"


def test_each_command_does_what_the_page_says(
    cli: Caller, store: SQLiteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sid in (HANDLE, "A" * 22):
        execute(store, session(sid, expires_at=FOREVER))
    execute(store, session("B" * 22, expires_at=2 * SECOND))
    monkeypatch.chdir(tmp_path)
    commands = [line for block in BLOCKS for line in block.splitlines()]
    assert len(commands) > 10
    for line in commands:
        prompt, program, *arguments = shlex.split(line, comments=True)
        assert (prompt, program) == ("$", "sessiongate")
        code = re.search(r"# exit code (\d)", line)
        cli(*arguments, code=int(code[1]) if code else 0)


def test_the_page_names_every_command() -> None:
    commands = {command.name for command in app.registered_commands} | {
        command.callback.__name__
        for command in app.registered_commands
        if command.name is None and command.callback is not None
    }
    for name in {*commands, "sessions list", "sessions show", "sessions revoke"} - {None}:
        assert f"sessiongate {name}" in PAGE, name
