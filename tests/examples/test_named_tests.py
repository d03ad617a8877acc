"""The tests that the documents name are there: what a page claims, somebody can run."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_TEST = re.compile(r"`(?P<file>(?:tests|src)/[\w/.]+\.py)::(?P<name>[\w:]+)`")
_MODULE = re.compile(r"`(sessiongate/[\w/.]+\.(?:py|sql|lua))`")
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_PAGES = ("threat-model.md", "csrf.md", "security-advisories.md")
"""Of their tables each row is a promise, and names its test."""


@cache
def named_in(file: str) -> frozenset[str]:
    """The tests in a file; those of a class as ``Class::test`` and by their own name."""
    found = set()
    for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            inside = [one.name for one in node.body if isinstance(one, _FUNCTION)]
            found |= {*inside, *(f"{node.name}::{name}" for name in inside)}
        elif isinstance(node, _FUNCTION):
            found.add(node.name)
    return frozenset(name for name in found if name.rpartition("::")[2].startswith("test_"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_tests_are_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    missing = [
        found[0]
        for found in _TEST.finditer(text)
        if not (ROOT / found["file"]).is_file() or found["name"] not in named_in(found["file"])
    ]
    assert missing == []
    # Nothing that looks like one slipped past the pattern.
    assert len(_TEST.findall(text)) == text.count(".py::")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_modules_are_there(document: Path) -> None:
    for module in _MODULE.findall(document.read_text(encoding="utf-8")):
        assert (ROOT / "src" / module).is_file(), module


def test_the_requirements_name_every_file_of_their_tests() -> None:
    page = (ROOT / "docs/security-requirements.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+\.py)`", page)
    assert named == sorted(path.name for path in ROOT.glob("tests/security/test_*.py"))


@pytest.mark.parametrize("page", _PAGES)
def test_each_row_of_the_security_pages_names_a_test(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    headings = [line for line in rows if line.endswith("| shown by |")]
    assert [line for line in rows if line not in headings and not _TEST.search(line)] == []
    assert len(rows) > len(headings) > 0
