"""The command line: what an administrator does without writing Python."""

from __future__ import annotations

import sys
from typing import Annotated

from sessiongate.stores import PostgresStore

try:
    import typer
except ImportError:
    sys.exit("The sessiongate command needs typer: pip install 'sessiongate[cli]'")

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Look after the sessions of your web apps."""


@app.command()
def schema(
    name: Annotated[
        str, typer.Option(help="The schema that holds the tables and functions.")
    ] = "sessiongate",
) -> None:
    """Print the SQL that PostgresStore needs, for a role that may create it; idempotent."""
    try:
        typer.echo(PostgresStore.schema(name))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


if __name__ == "__main__":
    app()
