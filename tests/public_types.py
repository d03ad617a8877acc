"""Fail when less of the public face has types than before, as pyright sees it for an editor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

AT_LEAST: Final = 87.4
"""Percent of the public symbols. Raise it with each improvement; 100 is the end."""


def main() -> int:
    command = [sys.executable, "-m", "pyright", "--verifytypes", "sessiongate"]
    command += ["--ignoreexternal", "--outputjson"]
    # Pyright takes the packages of the Python that it finds first.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    found = subprocess.run(
        command, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    report = json.loads(found.stdout)["typeCompleteness"]
    for symbol in report["symbols"]:
        if symbol["isExported"] and not symbol["isTypeKnown"]:
            print(symbol["name"], *(d["message"] for d in symbol["diagnostics"]), sep="\n    ")
    percent = 100 * report["completenessScore"]
    print(f"{percent:.1f} % of the public symbols have types; at least {AT_LEAST} % must.")
    return int(round(percent, 1) < AT_LEAST)


if __name__ == "__main__":
    sys.exit(main())
