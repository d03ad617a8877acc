"""One manager under many threads: ``make bench-threads``. Never fails on a number.

Each thread logs in, checks, refreshes and logs out in turn; at the end all
that was opened must be accounted for. This is about losing nothing: more
threads than cores do less together, with a GIL and without one, because each
call needs the lock of the one store.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Final

import plots
from report import Report
from requesting import SECRET
from sessiongate import SessionManager

THREADS: Final = (1, 2, 4, 8)
CHECKS: Final = 20
"""For each login."""


def hammer(threads: int, seconds: float) -> tuple[float, int]:
    """Operations per second of all threads together, and how many of them went wrong."""
    manager = SessionManager(max_concurrent_sessions=None, secret_key=SECRET)
    gate = Barrier(threads)

    def work(number: int) -> tuple[int, int]:
        done = wrong = 0
        gate.wait()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            user = f"user{number}"
            token = manager.create_session(user) or ""
            for _ in range(CHECKS):
                wrong += manager.session_username(token) != user
            newer = manager.refresh_session(token) or ""
            wrong += manager.session_username(token) is not None
            wrong += manager.invalidate_session(newer) != (True, user)
            done += CHECKS + 4
        return done, wrong

    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(work, range(threads)))
    wrong = sum(wrong for _, wrong in results) + manager.n_active_sessions()
    return sum(done for done, _ in results) / seconds, wrong


def main() -> None:
    """Hammer with one thread and with more, and say what came out."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=30, help="for the most threads")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    report = Report("threads", "make bench-threads", ("sessiongate",))
    rows, points = [], []
    for threads in THREADS:
        seconds = options.seconds if threads == max(THREADS) else options.seconds / 4
        rate, wrong = hammer(threads, seconds)
        rows.append((str(threads), f"{seconds:g}", f"{rate:,.0f}", str(wrong)))
        points.append((threads, rate))
    title = f"One manager in memory, {'with' if gil else 'without'} the GIL"
    report.table(title, ("threads", "seconds", "operations/s", "lost or wrong"), rows)
    report.save()
    plots.lines("costs-threads", title, ("threads", "operations/s"), {"all verbs": points})


if __name__ == "__main__":
    main()
