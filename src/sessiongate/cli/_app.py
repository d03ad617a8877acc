"""All commands in one, and what becomes of an error: a line on stderr and an exit code."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup

from sessiongate.cli import demo, inspection, keys, schema, sessions, upkeep
from sessiongate.cli._output import note
from sessiongate.errors import ConfigurationError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["app"]

_USAGE: Final = 2
_STORE: Final = 3
_INTERRUPTED: Final = 130


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        with _logging_to_stderr():
            try:
                return super().invoke(ctx)
            except ConfigurationError as error:
                note(f"Error: {error}")
                raise typer.Exit(_USAGE) from None
            except StoreError as error:
                note(f"Error: {error}")
                raise typer.Exit(_STORE) from None
            except KeyboardInterrupt:
                note("Interrupted.")
                raise typer.Exit(_INTERRUPTED) from None


@contextmanager
def _logging_to_stderr() -> Iterator[None]:
    """What stores and drivers have to say, such as why there is no connection."""
    handler, root = _ToStderr(), logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


class _ToStderr(logging.Handler):
    """Each thing once, in one line: drivers try again and complain again."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        line = " ".join(record.getMessage().split())
        if line not in self._told:
            self._told.add(line)
            note(line)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # errors in one line, for logs and for grep
)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - typer's signature
    if asked:
        typer.echo(version("sessiongate"))
        raise typer.Exit


_Version = Annotated[
    bool,
    typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True),
]


@app.callback(
    epilog="Exit codes: 0 done, 1 not found or not valid, 2 called or configured wrongly, "
    "3 the store did not answer."
)
def main(*, version: _Version = False) -> None:
    """Look after the sessions of your web apps."""


app.add_typer(sessions.app, name="sessions")
app.command()(upkeep.purge)
app.command()(upkeep.stats)
app.command(name="inspect")(inspection.inspect)
app.command()(keys.keygen)
app.command()(keys.jwks)
app.command()(schema.schema)
app.command()(demo.demo)
