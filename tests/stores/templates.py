"""Data directories of servers: made once in a run of the tests, and copied from then on."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TEMPLATES", "fill"]

TEMPLATES: Final = "SESSIONGATE_TEST_TEMPLATES"
"""The environment variable that names the folder of this run; without one nothing is shared."""


def fill(data: Path, name: str, make: Callable[[Path], object]) -> None:
    """Fill an empty data directory with what ``make`` writes; only the first of a name calls it.

    Safe for any number of processes. Owners and modes stay as they are.
    """
    folder = os.environ.get(TEMPLATES)
    if folder is None:
        make(data)
        return
    template = Path(folder) / name
    with (Path(folder) / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.exists():
            make(data)
            subprocess.run(["cp", "-a", data, template.with_suffix(".half")], check=True)
            template.with_suffix(".half").rename(template)
            return
    subprocess.run(["cp", "-a", f"{template}/.", data], check=True)
