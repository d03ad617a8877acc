"""Tables: on the terminal, and as Markdown beside the plots."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from measure import Case
    from promises import Kept

__all__ = ["IMAGES", "Report"]

_DOCS: Final = Path(__file__).parents[1] / "docs"
IMAGES: Final = _DOCS / "images"


class Report:
    """What a run has found out, said twice: now, and in ``docs/measured``."""

    def __init__(self, name: str, command: str, packages: Sequence[str]) -> None:
        self._path = _DOCS / "measured" / f"{name}.md"
        self._console = Console(width=110)
        about = f"{_processor()}, {os.cpu_count()} cores, {platform.system()}"
        python = f"{platform.python_implementation()} {platform.python_version()}"
        versions = ", ".join(f"{name} {version(name)}" for name in packages)
        self._lines = [
            f"<!-- written by `{command}` -->",
            "",
            f"{about}; {python}; {versions}.",
        ]
        self._console.print(self._lines[-1], highlight=False, markup=False)

    def table(self, title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Add a table; the first column is text, the others are numbers.

        Raises:
            ValueError: A column has no name, which a screen reader needs.
        """
        if not all(heads):
            msg = f"each column of {title!r} needs a name"
            raise ValueError(msg)
        printed = Table(title=title, title_justify="left")
        for number, head in enumerate(heads):
            printed.add_column(head, justify="right" if number else "left")
        for row in rows:
            printed.add_row(*row)
        self._console.print(printed)
        rule = ["---", *["--:"] * (len(heads) - 1)]
        self._lines += ["", f"**{title}**", "", *map(_line, (heads, rule, *rows))]

    def cases(self, title: str, cases: Sequence[Case]) -> None:
        """Add a table of times; the first case is what the others are compared with."""
        bare = cases[0].minimum if cases[0].kind == "bare" else None
        last = "of the first" if bare is None else "over bare µs"
        rows = []
        for case in cases:
            compared = (
                f"{case.minimum / cases[0].minimum:.2f}"
                if bare is None
                else f"{case.minimum - bare:.1f}"
            )
            rows.append((case.name, f"{case.minimum:.1f}", f"{case.median:.1f}", compared))
        self.table(title, ("case", "minimum µs", "median µs", last), rows)

    def promises(self, kept: Sequence[Kept]) -> None:
        """Add the table of promises, whether kept or not."""
        rows = [
            (one.text, f"{one.limit:.2f}", f"{one.ratio:.2f}", "yes" if one.met else "**no**")
            for one in kept
        ]
        self.table("Promises", ("promise", "at most", "measured", "met"), rows)

    def save(self) -> None:
        """Write the Markdown."""
        self._path.parent.mkdir(exist_ok=True)
        self._path.write_text("\n".join(self._lines) + "\n", encoding="utf-8")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _processor() -> str:
    """What Linux calls the processor; elsewhere its kind."""
    about = Path("/proc/cpuinfo")
    if about.exists():
        for line in about.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
