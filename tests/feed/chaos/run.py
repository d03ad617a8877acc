"""Chaos for as long as you like: processes on one store, faults, and a judge.

    make chaos                                       a minute on each store
    make chaos ARGS='--minutes 10 --store redis'
    make chaos ARGS='--control trusts'               a hub that is wrong; it must be convicted

The seed draws the faults; it is printed, so that a run may be drawn again. What the processes
make of it depends on the machine: no two runs are the same.
"""

from __future__ import annotations

import argparse
import secrets
import sys

from tests.feed.chaos.conductor import STORES, chaos
from tests.feed.chaos.controls import CONTROLS

__all__: list[str] = []


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description="Faults, and a judge.")
    parser.add_argument("--minutes", type=float, default=1, help="for each store (1)")
    parser.add_argument("--store", choices=STORES, action="append", help="which one (all)")
    parser.add_argument("--workers", type=int, default=2, help="processes that are started (2)")
    parser.add_argument("--seed", type=int, help="of the faults, to draw them again")
    parser.add_argument("--control", choices=CONTROLS, default="", help="a hub that is wrong")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    failed = False
    for kind in args.store or STORES:
        seed = secrets.randbits(32) if args.seed is None else args.seed
        print(f"{kind}: {args.minutes:g} min, seed {seed}", flush=True)
        seen = chaos(kind, args.minutes * 60, seed=seed, workers=args.workers, control=args.control)
        judge = seen.judge
        print(f"  faults: {dict(seen.faults)}")
        print(f"  processes: {dict(seen.counts)}")
        print(f"  over: {judge.judged}; accepted afterwards for {judge.latest:.3f} s at the most")
        print(f"  violations: {len(judge.violations)}", *judge.violations[:10], sep="\n    ")
        failed = failed or bool(judge.violations) != bool(args.control)
    return failed


if __name__ == "__main__":
    sys.exit(main())
