"""Print the sentences of the documents that are long for readers of a second language.

    python -m tests.examples.long_sentences [file …]

It never fails: a long sentence is a hint to the writer. Without arguments it reads the README and
all pages of the site except the measured tables.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.examples.documents import ROOT, SITE, title

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST: Final = 30
"""Words of a sentence."""

PAGES: Final = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(page for page in SITE if "measured" not in page.parts),
]

_CODE: Final = re.compile(r"^(?:```|~~~).*?^(?:```|~~~)$|<!--.*?-->", re.DOTALL | re.MULTILINE)
_INDENTED: Final = re.compile(r"(?:^|\n\n)(?:(?: {4}|\t)[^\n]*(?:\n|$))+")
_LINK: Final = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_ITEM: Final = re.compile(r"^\s*(?:[-*] (?:\[.\] )?|\d+\. |> |#+ |!!! \w+)", re.MULTILINE)
_END: Final = re.compile(r"(?<=[.!?])[\"”*_)]*\s+(?=[A-Z`*“\"(_])|\n{2,}")


def sentences(text: str) -> Iterator[str]:
    """The sentences of a page: no code, and each cell of a table by itself."""
    text = _LINK.sub(r"\1", _INDENTED.sub("\n\n", _CODE.sub("\n\n", text)))
    text = re.sub(r"`[^`\n]*`", lambda code: code[0].replace(" ", "_"), text)
    text = re.sub(r"^\|.*$", lambda row: row[0].replace("|", "\n\n"), text, flags=re.MULTILINE)
    text = re.sub(r"^::: .*\n(?:    .*\n)*", "\n", text, flags=re.MULTILINE)
    for sentence in _END.split(_ITEM.sub("\n\n", text)):
        if words := sentence.split():
            yield " ".join(words)


def main(names: list[str]) -> None:
    for page in [Path(name).resolve() for name in names] or PAGES:
        for sentence in sentences(page.read_text(encoding="utf-8")):
            length = sum(any(c.isalnum() for c in word) for word in sentence.split())
            if length > LONGEST:
                print(f"{title(page)}: {length} words: {sentence}")  # noqa: T201 - its purpose


if __name__ == "__main__":
    main(sys.argv[1:])
