"""Requirement 4: one key signs, several verify, ``kid`` says which; an unknown one costs nothing.

Changing keys in both colours is in ``tests/managers/test_manager_keys.py``; the key set for
others in ``tests/tokens/test_jwt_issue.py``.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.http.harness import KEY, MakeSite, Way, bearer, cookie, drive
from tests.tokens.forger import decode, encode
from tests.tokens.material import KEY_OF

from sessiongate.stores import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

OLD, NEW = "o" * 64, "n" * 64

_touched: list[str] = []
_watching = False


def _note(event: str, _arguments: Any) -> None:
    if _watching and event.startswith(("open", "socket.", "subprocess.", "urllib.", "os.")):
        _touched.append(event)


sys.addaudithook(_note)  # one for good: it cannot be taken away


@pytest.fixture
def touched() -> Iterator[list[str]]:
    """What is done to files and sockets meanwhile."""
    global _watching  # noqa: PLW0603 - see the hook
    _touched.clear()
    _watching = True
    yield _touched
    _watching = False


def test_the_watch_sees_files_and_sockets(touched: list[str]) -> None:
    import socket  # noqa: PLC0415 - only this test opens something itself

    with open(__file__), socket.socket():  # noqa: PTH123
        assert {"open", "socket.__new__"} <= set(touched)


@pytest.mark.parametrize("way", [cookie, bearer])
@pytest.mark.parametrize("kind", ["opaque", "jwt"])
def test_a_key_is_changed_without_logging_anybody_out(make: MakeSite, way: Way) -> None:
    store = MemoryStore()
    before = make(secret_key=OLD, store=store)
    both = make(secret_key=[NEW, OLD], store=store)
    after = make(secret_key=NEW, store=store)
    token = before.open()
    assert both.ask(way(token)).who == "alice"
    both.clock.advance(1800)
    successor = both.ask(way(token)).token
    after.clock.advance(1800)
    assert after.ask(way(successor)).who == "alice"
    after.store.reset()
    assert after.ask(way(token)).who is None
    assert after.store.calls == 0


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
@pytest.mark.parametrize("kind", ["jwt"])
def test_so_are_asymmetric_keys(
    make: MakeSite, algorithm: str, pems: dict[str, bytes], fresh_pems: dict[str, bytes]
) -> None:
    store, name = MemoryStore(), KEY_OF[algorithm]
    before = make(secret_key=pems[name], algorithm=algorithm, store=store)
    both = make(secret_key=[fresh_pems[name], pems[name]], algorithm=algorithm, store=store)
    after = make(secret_key=fresh_pems[name], algorithm=algorithm, store=store)
    old, new = before.open(), both.open()
    kids = [json.loads(decode(token.split(".")[0]))["kid"] for token in (old, new)]
    assert len(set(kids)) == 2
    assert [both.ask(bearer(token)).who for token in (old, new)] == ["alice", "alice"]
    assert [after.ask(bearer(token)).who for token in (old, new)] == [None, "alice"]


HOSTILE = [
    {"kid": "unknown"},
    {"kid": "../../../../dev/null"},
    {"kid": "/etc/passwd"},
    {"kid": "https://attacker.example/key"},
    {"kid": "0' UNION SELECT 'k"},
    {"kid": KEY},
    {"jku": "https://attacker.example/jwks.json"},
    {"x5u": "file:///etc/passwd"},
    {"jwk": {"kty": "oct", "k": encode(KEY.encode())}},
]


@pytest.mark.parametrize("changes", HOSTILE, ids=repr)
@pytest.mark.parametrize("kind", ["jwt"])
def test_an_unknown_key_is_a_401_without_any_io(
    make: MakeSite, changes: dict[str, Any], touched: list[str]
) -> None:
    site = make()
    head, rest = site.open().split(".", 1)
    hostile = encode(json.dumps(json.loads(decode(head)) | changes).encode()) + "." + rest
    site.ask(bearer("x"))  # whatever is loaded late has been loaded
    touched.clear()
    site.store.reset()
    response = drive(site.aask(bearer(hostile)))  # without an event loop, which opens sockets
    assert (response.status, response.reached) == (401, False)
    assert drive(site.aask(cookie(hostile))).who is None
    assert (site.store.calls, touched) == (0, [])
