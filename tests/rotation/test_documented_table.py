"""The tables of the documentation are the one that the code applies."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessiongate.rotation import TABLE

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", ["README.md", "docs/how-rotation-works.md"])
def test_the_documented_table_is_the_one_in_the_code(page: str) -> None:
    told = {}
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
        cells = [cell.strip(" *`") for cell in line.strip("|").split("|")]
        if cells[0].lower() in TABLE:
            told[cells[0].lower()] = cells[-1].lower()
    assert told.keys() == TABLE.keys()
    for presented, answer in TABLE.items():
        assert told[presented].startswith(answer), presented
