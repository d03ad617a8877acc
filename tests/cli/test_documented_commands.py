"""The commands of docs/command-line.md, in their order, on a store like the one it talks of."""

from __future__ import annotations

import re
import shlex
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cli.calling import KEY, session

from sessiongate.cli import app
from sessiongate.core.row import FOREVER, SECOND
from sessiongate.stores import SQLiteStore
from sessiongate.testing.commands import execute

if TYPE_CHECKING:
    import pytest
    from tests.cli.calling import Caller

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")
BLOCKS = re.findall(
    r"<!-- runnable: command-line(?:, on (\S+))? -->\n```console\n(.*?)```", PAGE, re.DOTALL
)
HANDLE = "mVbZ5aPKs9WoOY4eTUq1Tg"


def test_each_command_does_what_the_page_says(
    cli: Caller, store: SQLiteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sid in (HANDLE, "A" * 22):
        execute(store, session(sid, expires_at=FOREVER))
    execute(store, session("B" * 22, expires_at=2 * SECOND))
    with closing(SQLiteStore(tmp_path / "tokens.db", timeout=30)) as tokens:
        execute(tokens, session(HANDLE, expires_at=FOREVER, rotated_at=0, device='{"name":"ci"}'))
    (tmp_path / "tokens.key").write_text(KEY)
    monkeypatch.chdir(tmp_path)
    commands = [(file, line) for file, block in BLOCKS for line in block.splitlines()]
    assert len(commands) > 15
    for file, line in commands:
        prompt, program, *arguments = shlex.split(line, comments=True)
        assert (prompt, program) == ("$", "sessiongate")
        code = re.search(r"# exit code (\d)", line)
        there = {"SESSIONGATE_STORE": f"sqlite:///{file}"} if file else {}
        cli(*arguments, code=int(code[1]) if code else 0, **there)


def test_the_page_names_every_command() -> None:
    commands = {command.name for command in app.registered_commands} | {
        command.callback.__name__
        for command in app.registered_commands
        if command.name is None and command.callback is not None
    }
    for group in ("sessions", "tokens"):
        commands |= {f"{group} {name}" for name in ("list", "show", "revoke")}
    for name in {*commands, "tokens create"} - {None}:
        assert f"sessiongate {name}" in PAGE, name
