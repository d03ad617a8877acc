"""What went wrong elsewhere and no other test of ours would have caught.

`docs/security-advisories.md` has the whole list and names the test for each.
"""

from __future__ import annotations

import ast
import hmac
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.http.harness import Call, MakeSite, Reply, Site, bearer, cookie, show
from tests.security.test_11_cookies_in import NAME
from tests.security.test_22_hostile_sizes import Watched
from tests.tokens.forger import Forger

import sessiongate
from sessiongate import JWTSessionManager, SessionManager
from sessiongate.http.credentials import read_cookies
from sessiongate.stores import SQLiteStore
from sessiongate.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "k" * 64


@pytest.mark.parametrize("cls", [SessionManager, JWTSessionManager])
def test_signatures_are_compared_in_constant_time(
    cls: type[SessionManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CVE-2016-7036 (python-jose): nothing but the function made for it has a say."""
    codec = cls(secret_key=KEY).operations.codec
    token = cls(secret_key=KEY).create_session("alice") or ""
    assert codec.verify(token) is not None
    monkeypatch.setattr(hmac, "compare_digest", lambda _a, _b: False)
    assert codec.verify(token) is None


@pytest.fixture
def start(make: MakeSite, tmp_path: Path) -> Iterator[Callable[[], Site]]:
    """Starts a process on the same sessions: what the one before remembered is gone."""
    with ExitStack() as stores:

        def start() -> Site:
            store = SQLiteStore(tmp_path / "sessions.db", timeout=5)
            stores.enter_context(closing(store))
            return make(store=store)

        yield start


def test_a_refreshed_token_stays_dead_after_a_restart(start: Callable[[], Site]) -> None:
    """CVE-2026-9802 (Keycloak): once restarted, it took what had been rotated away."""
    before = start()
    old = before.open()
    new = before.manager.refresh_session(old)
    after = start()
    assert after.ask(cookie(old)).who is None
    assert after.ask(cookie(new)).who == "alice"


def test_a_replay_is_found_after_a_restart(start: Callable[[], Site]) -> None:
    """The same for a token that the middleware has replaced."""
    before = start()
    old = before.open()
    before.clock.advance(1800)
    new = before.ask(cookie(old)).token
    assert before.ask(cookie(new)).who == "alice"  # the successor is seen: the overlap begins
    after = start()
    after.clock.advance(1800 + 31)
    assert after.ask(cookie(old)).who is None
    assert after.kinds() == ["replayed"]
    assert after.ask(cookie(new)).who is None


def test_nothing_is_unpickled() -> None:
    """CVE-2013-7489 (Beaker): who could write to the store could run code."""
    root = Path(sessiongate.__file__).parent
    banned = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "yaml"}
    found = [
        f"{path.name}:{node.lineno}"
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
        if name.split(".")[0] in banned
    ]
    assert found == []


@pytest.mark.parametrize(
    "field",
    [
        NAME + b'="' + b"\\" * 500_000 + b'"',
        NAME + b'="' + b'\\"' * 250_000,
        b'a="' + b"\\073" * 100_000 + b'"; ' + NAME + b"=x",
    ],
    ids=["backslashes", "escaped quotes", "octal escapes before ours"],
)
def test_quoted_values_cost_no_more_than_others(field: bytes) -> None:
    """CVE-2024-7592 (CPython), CVE-2024-52804 (Tornado): unquoting took quadratic time."""
    watched = Watched(field)
    read_cookies(NAME, [watched])
    assert watched.copied <= 2 * len(field)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/json", "multipart/form-data; boundary=x"]
)
def test_the_kind_of_body_makes_no_request_ours(site: Site, content_type: str) -> None:
    """CVE-2021-32677 (FastAPI): JSON sent as text/plain got past the preflight."""
    token = site.open()
    named = () if site.stack == "wsgi" else ((b"content-type", content_type.encode()),)
    places: dict[str, Any] = {"CONTENT_TYPE": content_type} if site.stack == "wsgi" else {}
    for elsewhere in ((b"sec-fetch-site", b"cross-site"), (b"origin", b"https://evil.example")):
        answer = site.ask(cookie(token), elsewhere, *named, method="POST", **places)
        assert (answer.status, answer.reached) == (403, False)


@pytest.mark.parametrize("prefix", [b"..Host-", b"[_Host-", b" _Host-", b"%5F%5FHost-", b"__Host_"])
def test_no_name_is_mended_into_ours(site: Site, prefix: bytes) -> None:
    """CVE-2022-31629, CVE-2020-7070 (PHP), CVE-2020-8184 (Rack): names were rewritten."""
    token = site.open().encode()
    assert site.ask((b"cookie", prefix + b"session=" + token)).who is None
    assert site.ask((b"cookie", b"__Host-session=" + token)).who == "alice"


def test_a_flood_of_logouts_leaves_nothing_in_the_store(site: Site) -> None:
    """CVE-2015-5963 (Django): each logout of nobody made an empty session."""

    async def leave(call: Call) -> Reply:
        await call.logout()
        return Reply()

    for number in range(20):
        stale = f"sg_{number:022d}.0.{'0' * 32}"
        assert site.ask(view=leave, method="POST").who is None
        assert site.ask(cookie(stale), view=leave, method="POST").who is None
    assert site.manager.n_active_sessions() == 0


@pytest.mark.parametrize(
    "iss", ["", "i", "plantdb", "-", "p", "plantdb-ap", "api", ["plantdb-api"]]
)
def test_a_part_of_the_issuer_is_another_issuer(iss: object) -> None:
    """CVE-2024-53861 (PyJWT): a part of the name was enough."""
    forger = Forger(ManualClock())
    assert not forger.accepts(forger.with_payload(forger.payload | {"iss": iss}))


def test_a_token_of_another_installation_opens_nothing(make: MakeSite) -> None:
    """CVE-2020-17526 (Airflow): all installations had one default key, and trusted each other."""
    here, there = (make(secret_key=None) for _ in range(2))
    for way in (cookie, bearer):
        answer = there.ask(way(here.open()), view=show)
        assert answer.who is None
