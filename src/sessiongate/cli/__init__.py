"""The command line: what an administrator does without writing Python.

Exit codes, for scripts: 0 done, 1 not found, not valid or at a limit, 2 called or
configured wrongly, 3 the store did not answer, 130 interrupted.
"""

from __future__ import annotations

import sys

try:
    from sessiongate.cli._app import app
except ModuleNotFoundError as _missing:
    if _missing.name not in {"rich", "typer"}:
        raise
    sys.stderr.write(
        "The sessiongate command needs typer and rich: pip install 'sessiongate[cli]'\n"
    )
    sys.exit(2)

__all__ = ["app"]
