"""The command line, as an administrator calls it."""

from __future__ import annotations

from typer.testing import CliRunner

from sessiongate.cli import app
from sessiongate.stores import PostgresStore


def test_schema_prints_what_the_store_would_create() -> None:
    done = CliRunner().invoke(app, ["schema"])
    assert done.exit_code == 0
    assert done.output.strip() == PostgresStore.schema().strip()


def test_schema_of_another_name() -> None:
    done = CliRunner().invoke(app, ["schema", "--name", "logins"])
    assert "CREATE SCHEMA IF NOT EXISTS logins" in done.output
    assert "sessiongate." not in done.output


def test_a_name_that_is_none_says_what_to_do() -> None:
    done = CliRunner().invoke(app, ["schema", "--name", "Sessions; DROP"])
    assert done.exit_code == 2
    assert "plain lower-case name" in done.output
