"""What the stores in SQL have in common beside the contract: the words of their errors."""

from __future__ import annotations

import sqlite3
import traceback

import pytest

from sessiongate import StoreError
from sessiongate.stores.engine import failure


def test_an_error_says_what_the_driver_said_and_is_caused_by_it() -> None:
    error = sqlite3.OperationalError("disk I/O error")
    made = failure("SQLite", error)
    assert isinstance(made, StoreError)
    assert str(made) == "SQLite failed: OperationalError: disk I/O error"
    assert made.__cause__ is error


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "no route to postgresql://me:secret@there/shop",
            "no route to postgresql://...@there/shop",
        ),
        ("wrong: secret, at\nthere", "wrong: ..., at there"),
        ("the row of one___________________", "the row of ..."),
        ("sg_abc-def.0.MAC is no text", "... is no text"),
        ("duplicate key\nDETAIL:  Key (sid)=(x) already exists.", "duplicate key"),
    ],
)
def test_an_error_shows_no_secret_and_no_session(said: str, shown: str) -> None:
    made = failure("SQL", ValueError(said), ["secret"])
    assert str(made) == f"SQL failed: ValueError: {shown}"
    try:
        raise made
    except StoreError as raised:
        text = "".join(traceback.format_exception(raised))
    assert "secret" not in text.replace("no_secret", "")
    assert "one____" not in text
    assert "(x)" not in text
