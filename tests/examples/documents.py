"""The documents of the project, and the Python in them."""

from __future__ import annotations

import functools
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
SITE: Final = sorted(ROOT.glob("docs/**/*.md"))
DOCUMENTS: Final = [*sorted(ROOT.glob("*.md")), *SITE]

_BLOCK: Final = re.compile(
    r"(?:<!-- runnable(?:: (?P<name>[^>]*?))?(?P<mark> )-->\n)?```python\n(?P<code>.*?)```",
    re.DOTALL,
)


class Block(NamedTuple):
    """A block of Python; a runnable one has a name, perhaps an empty one."""

    name: str | None
    code: str
    line: int


def title(document: Path) -> str:
    """The path as one would type it."""
    return document.relative_to(ROOT).as_posix()


def blocks(document: Path) -> list[Block]:
    """All Python of a document."""
    text = document.read_text(encoding="utf-8")
    return [
        Block(
            (found["name"] or "") if found["mark"] else None,
            found["code"],
            text.count("\n", 0, found.start("code")),
        )
        for found in _BLOCK.finditer(text)
    ]


@functools.cache
def run(document: str, *names: str) -> dict[str, Any]:
    """What the names are after these runnable blocks of a document ran; once in a process.

    Without names: all of them, one after the other as on the page.
    """
    path = ROOT / document
    runnable = [block for block in blocks(path) if block.name is not None]
    by_name = {block.name: block for block in runnable}
    assert len(by_name) == len(runnable), f"two runnable blocks of {document} have one name"
    # A module as one would write it: dataclasses, pydantic and Django look for it.
    module = ModuleType(re.sub(r"\W+", "_", "_".join([document, *names])))
    sys.modules[module.__name__] = module
    for block in [by_name[name] for name in names] or runnable:
        # So that a traceback shows the line of the document.
        source = "\n" * block.line + block.code
        exec(compile(source, document, "exec", dont_inherit=True), vars(module))
    return vars(module)
