"""How long the package takes to load, beside PyJWT, each in an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

from promises import Kept

__all__ = ["measure", "promises", "table"]

_ROUNDS: Final = 15
_MODULES: Final = ("jwt", "sessiongate", "sessiongate.asgi", "sessiongate.wsgi")
_TIMED: Final = (
    "import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
)


def measure() -> dict[str, float]:
    """Milliseconds to import each, over a bare interpreter, the best of some rounds in turn."""
    times: dict[str, list[float]] = {module: [] for module in _MODULES}
    for _ in range(_ROUNDS):
        for module, taken in times.items():
            command = [sys.executable, "-c", _TIMED.format(module=module)]
            run = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
            taken.append(float(run.stdout) * 1000)
    return {module: min(taken) for module, taken in times.items()}


def table(times: dict[str, float]) -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
    """The table of these times."""
    rows: list[tuple[str, ...]] = [
        (f"import {module}", f"{taken:.1f}", f"{taken / times['jwt']:.2f}")
        for module, taken in times.items()
    ]
    return "Loading", ("module", "minimum ms", "of the first"), rows


def promises(times: dict[str, float]) -> list[Kept]:
    """Each edge loads in less than one and a half times what PyJWT takes."""
    return [
        Kept(f"import {module}, against import jwt", 1.5, times[module] / times["jwt"])
        for module in ("sessiongate.asgi", "sessiongate.wsgi")
    ]
