"""The tables of the documentation are the one that the code applies."""

from __future__ import annotations

import re
from pathlib import Path

from tests.rotation.picture import ARROWS, FILE, draw, explore

from sessiongate.core.rotation import TABLE

ROOT = Path(__file__).parents[2]


def test_the_documented_table_is_the_one_in_the_code() -> None:
    page, told = "docs/how-rotation-works.md", {}
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
        cells = [cell.strip(" *`") for cell in line.strip("|").split("|")]
        if cells[0].lower() in TABLE:
            told[cells[0].lower()] = cells[-1].lower()
    assert told.keys() == TABLE.keys()
    for presented, answer in TABLE.items():
        assert told[presented].startswith(answer), presented


def test_the_picture_is_drawn_from_the_table() -> None:
    assert FILE.read_text(encoding="utf-8") == draw(), "python -m tests.rotation.picture"


def test_it_has_an_arrow_for_every_change_and_none_besides() -> None:
    assert {(before, after) for before, _, after in explore() if before != after} == set(ARROWS)


def test_the_tests_that_the_page_names_are_there() -> None:
    page = (ROOT / "docs/how-rotation-works.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page)
    assert named
    for file, name in named:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert f"def {name}" in text, f"{file}::{name}"
