"""``sessiongate demo``: Flask and Starlette on one login, from the examples."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import typer

from sessiongate.errors import ConfigurationError

_PACKAGE: Final = Path(__file__).parents[1]
_IN_WHEEL: Final = _PACKAGE / "_demo"
_IN_CHECKOUT: Final = _PACKAGE.parents[1] / "examples"
_NEEDS: Final = ("argon2", "flask", "jinja2", "python_multipart", "uvicorn", "websockets")

Port = Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")]


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
) -> None:
    """Start the demo: Flask and Starlette on one login. Ctrl-C stops it."""
    directory = next((place for place in (_IN_WHEEL, _IN_CHECKOUT) if place.is_dir()), None)
    if directory is None:
        msg = f"the demo is missing: there is neither {_IN_WHEEL} nor {_IN_CHECKOUT}"
        raise ConfigurationError(msg)
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing:
        msg = f"the demo needs {', '.join(missing)}: pip install 'sessiongate[demo]'"
        raise ConfigurationError(msg)
    command = [
        *(sys.executable, str(directory / "demo.py"), "--data", str(data.absolute())),
        *("--flask-port", str(flask_port), "--starlette-port", str(starlette_port)),
    ]
    if os.name == "posix":
        os.execv(sys.executable, command)  # noqa: S606 - so that signals reach it
    raise typer.Exit(subprocess.call(command))  # noqa: S603 - our own arguments
