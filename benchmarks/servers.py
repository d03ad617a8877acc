"""Whole servers, an app bare and behind us: ``make bench-servers``. Never fails on a number.

Loads them with ``wrk``, from the same machine: so server and client share its
cores, and what counts is the ratio within one run. The floor is beside them, to
show what the least that can be done about a session costs there.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import plots
from backends import free_port, wait_for_port
from measure import Case
from promises import Kept
from report import Report
from served import COOKIES

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE: Final = Path(__file__).parent
_CONNECTIONS: Final = 16
_LEAST: Final = 0.95
"""Of what the bare app answers, ours is to answer at least so much."""
_UNITS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0}

_UVICORN: Final = "uvicorn --port {port} --workers {workers} --log-level critical served:{app}"
_GRANIAN: Final = "granian --interface asgi --port {port} --workers {workers} served:{app}"
# Threads, because its default worker closes the connection after each answer.
_GUNICORN: Final = "gunicorn --bind 127.0.0.1:{port} --workers {workers} --threads 4 served:{app}"

_ASGI: Final = ("asgi_bare", "asgi_floor", "asgi_ours")
_SERVERS: Final = {
    "uvicorn, Starlette": (_UVICORN, _ASGI),
    "granian, Starlette": (_GRANIAN, _ASGI),
    "gunicorn, Flask": (_GUNICORN, ("wsgi_bare", "wsgi_ours")),
}
"""How each is started, and the apps that it serves."""


@dataclass
class Load:
    """One app behind one server, and what it bore in each round."""

    server: str
    workers: int
    app: str
    rates: list[float] = field(default_factory=list)
    """Requests per second."""
    slowest: list[float] = field(default_factory=list)
    """Milliseconds within which 99 of 100 were answered."""

    @contextmanager
    def running(self) -> Iterator[str]:
        """The server's URL, while it runs."""
        command, _ = _SERVERS[self.server]
        port = free_port()
        words = command.format(port=port, workers=self.workers, app=self.app).split()
        program = [sys.executable, "-m", *words]
        with subprocess.Popen(  # noqa: S603
            program,
            cwd=_HERE,
            env={**os.environ, "PYTHONPATH": str(_HERE)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                wait_for_port(port)
                yield f"http://127.0.0.1:{port}/"
            finally:
                process.terminate()

    def bear(self, url: str, seconds: int) -> None:
        """Take one round."""
        said = subprocess.run(  # noqa: S603
            [
                *("wrk", "--threads", "1", "--connections", str(_CONNECTIONS), "--latency"),
                *("--duration", f"{seconds}s", "-H", f"Cookie: {COOKIES[self.app]}", url),
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
        slowest = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
        if rate is None or slowest is None or "Non-2xx" in said:
            msg = f"wrk did not measure what it should: {said}"
            raise RuntimeError(msg)
        self.rates.append(float(rate[1]))
        self.slowest.append(float(slowest[1]) * _UNITS[slowest[2]])


def compare(server: str, workers: int, rounds: int, seconds: int) -> list[Load]:
    """Load the apps in turn: the bare one first, ours last.

    Each round starts them anew, for two processes of one program differ by
    where the system happens to put them.
    """
    loads = [Load(server, workers, app) for app in _SERVERS[server][1]]
    for _ in range(rounds):
        for load in loads:
            with load.running() as url:
                load.bear(url, 1)  # to warm up
                load.rates.pop()
                load.slowest.pop()
                load.bear(url, seconds)
    return loads


def main() -> None:
    """Measure all servers, and say what came out."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of each round")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.exit(1, "needs wrk: apt-get install wrk, or brew install wrk\n")
    report = Report(
        "servers",
        "make bench-servers",
        ("sessiongate", "starlette", "flask", "uvicorn", "granian", "gunicorn"),
    )
    rows: list[tuple[str, ...]] = []
    kept: list[Kept] = []
    drawn: list[Case] = []
    for server in _SERVERS:
        for workers in (1, 2):
            loads = compare(server, workers, options.rounds, options.seconds)
            bare, *floor, ours = loads
            name = f"{server}, {workers} worker{'s' * (workers > 1)}"
            rate = max(ours.rates) / max(bare.rates)
            rows.append(
                (
                    name,
                    *(f"{max(load.rates):,.0f}" for load in (bare, ours)),
                    f"{rate:.3f}",
                    f"{max(floor[0].rates) / max(bare.rates):.3f}" if floor else "",
                    *(f"{min(load.slowest):.2f}" for load in (bare, ours)),
                )
            )
            text = f"{name}: requests of the bare app for one of ours"
            kept.append(Kept(text, 1 / _LEAST, 1 / rate))
            drawn += [
                Case(f"{name}: bare", int, "rival", times=[1e6 / max(bare.rates)]),
                Case(f"{name}: sessiongate", int, "ours", times=[1e6 / max(ours.rates)]),
            ]
    heads = (
        *("server", "bare, req/s", "ours, req/s", "ours to bare", "floor to bare"),
        *("bare, p99 ms", "ours, p99 ms"),
    )
    report.table(f"Best of {options.rounds} rounds, {_CONNECTIONS} connections", heads, rows)
    report.promises(kept)
    report.save()
    plots.bars("costs-servers", "One request of a whole server", [drawn])


if __name__ == "__main__":
    main()
