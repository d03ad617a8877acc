"""All commands in one, and what becomes of an error: a line on stderr and an exit code."""

from __future__ import annotations

import functools
import logging
import os
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from sessiongate.cli import doctor, inspection, keys, sessions, tokens
from sessiongate.cli._output import note
from sessiongate.cli._store import checked
from sessiongate.errors import ConfigurationError, StoreError
from sessiongate.stores import PostgresStore

_USAGE, _STORE, _INTERRUPTED = 2, 3, 130

_PACKAGE: Final = Path(__file__).parents[1]
_DEMOS: Final = (_PACKAGE / "_demo", _PACKAGE.parents[1] / "examples")
"""In a wheel, and in a checkout."""
_DEMO_NEEDS: Final = ("argon2", "flask", "jinja2", "python_multipart", "uvicorn", "websockets")

Port = Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")]


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        root, log = logging.getLogger(), _ToStderr()
        root.addHandler(log)
        try:
            return super().invoke(ctx)
        except (ConfigurationError, StoreError) as error:
            note(f"Error: {error}")
            raise typer.Exit(_STORE if isinstance(error, StoreError) else _USAGE) from None
        except KeyboardInterrupt:
            note("Interrupted.")
            raise typer.Exit(_INTERRUPTED) from None
        finally:
            root.removeHandler(log)


class _ToStderr(logging.Handler):
    """What stores and drivers have to say, such as why there is no connection.

    Each thing once, in one line: drivers try again and complain again.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._note_once = functools.cache(note)

    def emit(self, record: logging.LogRecord) -> None:
        self._note_once(" ".join(record.getMessage().split()))


app: Final = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # errors in one line, for logs and for grep
)


@app.callback(
    invoke_without_command=True,  # for --version
    epilog="Exit codes: 0 done, 1 not found, not valid or at a limit, 2 called or configured "
    "wrongly, 3 the store did not answer.",
)
def main(
    *,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Look after the sessions of your web apps."""
    if show_version:
        typer.echo(version("sessiongate"))
        raise typer.Exit


def schema(
    name: Annotated[str, typer.Option(help="The schema that holds the tables.")] = "sessiongate",
) -> None:
    """Print the SQL that PostgresStore needs.

    For a role that may create it; idempotent.
    """
    typer.echo(checked(PostgresStore.schema, name))


def demo(
    *,
    flask_port: Port = 8001,
    starlette_port: Port = 8002,
    data: Annotated[
        Path,
        typer.Option(
            metavar="DIRECTORY", file_okay=False, help="Keeps the sessions and the key; it is made."
        ),
    ] = Path(".demo"),
    device_bound: Annotated[
        bool, typer.Option("--device-bound", help="Over HTTPS; browsers may bind their sessions.")
    ] = False,
) -> None:
    """Start the demo: Flask and Starlette on one login. Ctrl-C stops it."""
    directory = next((place for place in _DEMOS if place.is_dir()), None)
    if directory is None:
        msg = f"the demo is missing: there is neither {_DEMOS[0]} nor {_DEMOS[1]}"
        raise ConfigurationError(msg)
    if device_bound and find_spec("cryptography") is None:
        msg = "--device-bound needs cryptography: pip install 'sessiongate[crypto]'"
        raise ConfigurationError(msg)
    missing = [name for name in _DEMO_NEEDS if find_spec(name) is None]
    if missing:
        msg = f"the demo needs {', '.join(missing)}: pip install 'sessiongate[demo]'"
        raise ConfigurationError(msg)
    command = [
        *(sys.executable, str(directory / "demo.py"), "--data", str(data.absolute())),
        *("--flask-port", str(flask_port), "--starlette-port", str(starlette_port)),
        *(("--device-bound",) if device_bound else ()),
    ]
    if os.name == "posix":
        os.execv(sys.executable, command)  # noqa: S606 - so that signals reach it
    raise typer.Exit(subprocess.call(command))  # noqa: S603 - our own arguments


app.add_typer(sessions.app, name="sessions")
app.add_typer(tokens.app, name="tokens")
app.command()(sessions.purge)
app.command()(sessions.stats)
app.command()(inspection.inspect)
app.command()(doctor.doctor)
app.command()(keys.keygen)
app.command()(keys.jwks)
app.command()(schema)
app.command()(demo)
