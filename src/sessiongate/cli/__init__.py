"""The command line: what an administrator does without writing Python.

Exit codes, for scripts: 0 done, 1 not found or not valid, 2 called or
configured wrongly, 3 the store did not answer, 130 interrupted.
"""

from __future__ import annotations

import sys

try:
    import rich
    import typer
except ImportError:
    sys.stderr.write(
        "The sessiongate command needs typer and rich: pip install 'sessiongate[cli]'\n"
    )
    sys.exit(2)

from sessiongate.cli._app import app

__all__ = ["app"]

del rich, typer, sys
