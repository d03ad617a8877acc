"""``sessiongate schema``."""

from __future__ import annotations

from typing import Annotated

import typer

from sessiongate.stores import PostgresStore

__all__ = ["schema"]


def schema(
    name: Annotated[str, typer.Option(help="The schema that holds the tables.")] = "sessiongate",
) -> None:
    """Print the SQL that PostgresStore needs.

    For a role that may create it; idempotent.
    """
    try:
        typer.echo(PostgresStore.schema(name))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
