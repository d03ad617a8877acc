"""Requirement 5: what is stored is JSON; what cannot be read is no session and a line in the log.

Each store and each kind of damage: ``tests/stores``.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.http.harness import MakeSite, Site, Way, bearer, cookie, enter

import sessiongate
from sessiongate.stores import SQLiteStore
from sessiongate.stores.codec import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


@pytest.fixture
def site(make: MakeSite, path: Path) -> Iterator[Site]:
    store = SQLiteStore(str(path))
    yield make(store=store)
    store.close()


DAMAGE: dict[str, tuple[str, Any]] = {
    "all of it": ("data", b"\xff"),
    "a truncated array": ("data", b'[2,"'),
    "nested without end": ("data", b"[" * 60_000),
    "no JSON": ("scopes_and_claims", '{"scopes": ['),
    "a number as a scope": ("scopes_and_claims", '{"scopes":[1],"claims":{}}'),
    "a list as a scope": ("scopes_and_claims", '{"scopes":[["x"]],"claims":{}}'),
    "letters for scopes": ("scopes_and_claims", '{"scopes":"ab","claims":{}}'),
    "a claim of another name": ("scopes_and_claims", '{"scopes":[],"claims":{"username":"admin"}}'),
    "a claim of another subject": ("scopes_and_claims", '{"scopes":[],"claims":{"sub":"admin"}}'),
    "another shape": ("scopes_and_claims", '{"scopes": 5, "claims": 5}'),
    "a pickle": ("scopes_and_claims", "cos\nsystem\n(S'true'\ntR."),
    "deep JSON": ("scopes_and_claims", "[" * 100_000),
    "a negative time": ("expires_at", -1),
    "generations out of order": ("oldest_accepted", 1),
    "a newer version": ("version", 4),
}


def damaged(data: bytes, field: str, value: Any) -> bytes:
    """The data of a row with another value in the place of one of its fields."""
    if field == "data":
        return bytes(value)
    members = json.loads(data)
    members[("version", *FIELDS).index(field)] = value
    return json.dumps(members).encode()


@pytest.mark.parametrize("kind", ["opaque", "jwt"])
@pytest.mark.parametrize("way", [cookie, bearer])
@pytest.mark.parametrize(("field", "value"), DAMAGE.values(), ids=DAMAGE)
def test_a_row_that_cannot_be_read_is_nobody(
    site: Site,
    path: Path,
    way: Way,
    field: str,
    value: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    token = site.open()
    assert site.ask(way(token)).who == "alice"
    with closing(sqlite3.connect(path)) as other, other:
        ((data,),) = other.execute("SELECT data FROM session")
        other.execute("UPDATE session SET data = ?", (damaged(data, field, value),))
    caplog.clear()
    response = site.ask(way(token))
    assert (response.status, response.problem, response.who) == (401, "invalid_token", None)
    lines = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert [line.name for line in lines] == ["sessiongate.stores"]
    assert "unreadable" in lines[0].getMessage()
    assert site.ask(view=enter).token, "and nobody else is disturbed"
    assert site.manager.create_session("alice"), "nor the user"


def test_nothing_is_ever_unpickled() -> None:
    root = Path(sessiongate.__file__).parent
    for module in ("pickle", "marshal", "shelve", "dill", "yaml"):
        for file in root.rglob("*.py"):
            assert f"import {module}" not in file.read_text(encoding="utf-8")
