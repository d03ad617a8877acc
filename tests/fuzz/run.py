"""Fuzz for as long as you like: the properties of this folder, round after round.

    make fuzz                              five minutes
    make fuzz ARGS='--minutes 60'
    make fuzz ARGS='--only jwt --examples 20000'

Each round draws new examples, the number given for each property. A failure
ends the run; Hypothesis keeps the smallest case that it found, in
`.hypothesis/`, and every later run of the tests tries it first. What was
mended belongs into `corpus.py`, where it stays.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROPERTIES = [
    "tests/fuzz",
    "tests/security/test_12_random_headers.py",
    "tests/frameworks/test_safe_redirect.py",
]
"""The last two have theirs where the rest of their subject is."""
NOTHING_SELECTED = 5


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description="Fuzz the properties.")
    parser.add_argument("--minutes", type=float, default=5, help="no round starts later (5)")
    parser.add_argument("--rounds", type=int, help="end after so many rounds, however early")
    parser.add_argument("--examples", type=int, default=1000, help="of each property (1000)")
    parser.add_argument("--only", default="", help="properties whose name has this in it")
    parser.add_argument("--seed", type=int, help="of the first round, to repeat it")
    parser.add_argument("--jobs", default="auto", help="processes, 0 for none but this (auto)")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    started = time.monotonic()
    seed = secrets.randbits(32) if args.seed is None else args.seed
    rounds = 0
    while args.rounds is None or rounds < args.rounds:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *PROPERTIES]
        command += [f"-n{args.jobs}", "--hypothesis-profile=fuzz"]
        command += [f"--hypothesis-seed={seed + rounds}", *(["-k", args.only] if args.only else [])]
        environ = os.environ | {"SESSIONGATE_FUZZ_EXAMPLES": str(args.examples)}
        status = subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode
        rounds += 1
        seconds = round(time.monotonic() - started)
        print(f"round {rounds}, seed {seed + rounds - 1}, {seconds} s", flush=True)
        if status == NOTHING_SELECTED:
            print(f"no property has {args.only!r} in its name")
        if status:
            return status
        if seconds >= args.minutes * 60:
            break
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
