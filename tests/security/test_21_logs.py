"""Requirement 21: what is logged: what happened to sessions, no secret, and nothing of mere noise.

OWASP ASVS 5.0, sections 16.2 to 16.4. That no logger says a secret anywhere is watched over the
whole suite, by ``tests/conftest.py``; the managers' side is in
``tests/managers/test_log_hygiene.py``.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.http.brittle import BrittleStore
from tests.http.harness import (
    COOKIE,
    Call,
    MakeSite,
    Reply,
    Site,
    View,
    Way,
    bearer,
    cookie,
    enter,
    leave,
    renew,
)

from sessiongate.errors import StoreError
from sessiongate.reports.outages import Outages

if TYPE_CHECKING:
    from sessiongate import Event

pytestmark = pytest.mark.parametrize("kind", ["opaque", "jwt"])


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


@pytest.fixture
def brittle() -> BrittleStore:
    return BrittleStore()


@pytest.fixture
def site(make: MakeSite, brittle: BrittleStore) -> Site:
    return make(store=brittle, logger=logging.getLogger("test.sessiongate"))


def ours(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Not what the event loop of the test says of itself."""
    return [record for record in caplog.records if record.name != "asyncio"]


@pytest.mark.parametrize("way", [cookie, bearer])
def test_a_flood_of_bad_tokens_logs_nothing(
    site: Site, way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    ended = site.open()
    site.manager.invalidate_session(ended)
    caplog.clear()
    for bad in ("forged", "a.b.c", ended, ended[:-1], "\xff", "x\r\ny", "x" * 10_000):
        for method in ("GET", "POST"):
            site.ask(way(bad), method=method)
    site.ask((b"authorization", b"Bearer x y"))
    site.ask(cookie("a"), cookie("b"))
    assert ours(caplog) == []


@pytest.mark.parametrize("way", [cookie, bearer])
def test_no_token_is_logged_or_told(site: Site, way: Way, caplog: pytest.LogCaptureFixture) -> None:
    tokens = [site.ask(view=enter).token or ""]
    site.clock.advance(1800)
    tokens.append(site.ask(way(tokens[-1])).token or "")
    tokens.append(site.ask(way(tokens[-1]), view=renew).token or "")
    tokens.append(site.ask(way(tokens[-1]), view=enter).token or "")
    site.clock.advance(1800)
    tokens.append(site.ask(way(tokens[-1])).token or "")
    site.ask(way(tokens[-1]))
    site.clock.advance(31)
    site.ask(way(tokens[-2]))
    tokens.append(site.ask(view=enter).token or "")
    site.ask(way(tokens[-1]), view=leave)
    told = " ".join(map(repr, site.events)) + caplog.text
    kinds = {event.kind for event in site.events}
    assert kinds == {"login", "rotated", "replayed", "logout"}
    assert len(set(tokens)) == len(tokens) == 6
    for token in tokens:
        assert token
        assert token not in told
        assert token.rpartition(".")[2] not in told
    assert COOKIE not in told
    assert len(ours(caplog)) == len(site.events)


@pytest.mark.parametrize("way", [cookie, bearer])
def test_an_outage_is_logged_without_the_token(
    make: MakeSite, brittle: BrittleStore, way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    token = make().open()
    down = make(store=brittle, logger=logging.getLogger("test.sessiongate"))
    brittle.down = True
    caplog.clear()
    assert down.ask(way(token)).status == 503
    assert [record.levelname for record in ours(caplog)] == ["ERROR"]
    assert token not in caplog.text


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Level and text of what was logged since the last look."""
    found = [(record.levelname, record.getMessage()) for record in ours(caplog)]
    caplog.clear()
    return found


FAILED = (
    "the session store failed: read: the store did not answer "
    "(failures since the last such line: %d)"
)
ANSWERS = "the session store answers again (failures since the last such line: %d)"


class TalkativeStore(BrittleStore):
    """Says what it was given when it is down, as a driver may."""

    words = ""

    def before(self, name: str, *arguments: Any) -> None:  # noqa: ARG002
        if self.down:
            raise StoreError(self.words)


@pytest.mark.parametrize("way", [cookie, bearer])
def test_an_outage_is_logged_with_the_words_of_the_store_and_no_secret(
    make: MakeSite, way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    store = TalkativeStore()
    site = make(store=store)
    token = site.open()
    handle = site.manager.user_sessions("alice")[0]["handle"]
    site.events.clear()
    store.down = True
    store.words = (
        "Redis at cache:6379 failed:\r\nReadOnlyError: You can't write against a read only replica"
        f" (redis://app:hunter2@cache, {token}, x:{handle}9)"
    )
    lines(caplog)
    assert site.ask(way(token)).status == 503
    ((level, line),) = lines(caplog)
    reason = site.events[-1].reason or ""
    assert (level, line.splitlines()) == ("ERROR", [line])
    assert line == f"the session store failed: {reason} (failures since the last such line: 1)"
    assert reason.startswith("read: Redis at cache:6379 failed: ReadOnlyError: You can't write")
    for secret in ("hunter2", token, token.rpartition(".")[2], handle):
        assert secret not in line
    assert site.ask(view=enter).status == 503
    assert (site.events[-1].reason or "").startswith("commit: Redis at cache:6379 failed: ReadOnly")


def test_an_outage_is_a_few_lines_and_not_one_for_each_request(
    site: Site, brittle: BrittleStore, caplog: pytest.LogCaptureFixture
) -> None:
    token = site.open()
    lines(caplog)
    brittle.down = True
    for _ in range(100):
        assert site.ask(cookie(token)).status == 503
    assert lines(caplog) == [("ERROR", FAILED % 1)], "at once, and then silence"
    site.clock.advance(59)
    site.ask(bearer(token))
    assert lines(caplog) == []
    site.clock.advance(1)
    for _ in range(10):
        site.ask(bearer(token))
    assert lines(caplog) == [("ERROR", FAILED % 101)]
    brittle.down = False
    for _ in range(3):
        site.ask()
        site.ask(bearer("forged"))
    assert lines(caplog) == [], "nobody asked the store yet"
    for _ in range(3):
        assert site.ask(cookie(token)).who == "alice"
    assert lines(caplog) == [("WARNING", ANSWERS % 9)]
    assert site.kinds().count("store_failed") == 111, "a listener hears of each"


def test_a_store_that_comes_and_goes_does_not_flood_the_log(
    site: Site, brittle: BrittleStore, caplog: pytest.LogCaptureFixture
) -> None:
    token = site.open()
    lines(caplog)
    for _ in range(50):
        brittle.down = True
        site.ask(cookie(token))
        brittle.down = False
        assert site.ask(cookie(token)).who == "alice"
    assert lines(caplog) == [("ERROR", FAILED % 1), ("WARNING", ANSWERS % 0)]
    site.clock.advance(60)
    site.ask(cookie(token))
    assert lines(caplog) == [("WARNING", ANSWERS % 49)], "and none of them is forgotten"
    site.ask(cookie(token))
    assert lines(caplog) == []
    brittle.down = True
    site.clock.advance(60)
    site.ask(cookie(token))
    assert lines(caplog) == [("ERROR", FAILED % 1)]


def test_a_clock_that_was_set_back_silences_nothing(
    site: Site, brittle: BrittleStore, caplog: pytest.LogCaptureFixture
) -> None:
    token = site.open()
    lines(caplog)
    brittle.down = True
    site.clock.advance(600)
    site.ask(cookie(token))
    site.clock.advance(-500)
    site.ask(cookie(token))
    assert lines(caplog) == [("ERROR", FAILED % 1)] * 2


@pytest.mark.parametrize("verb", [enter, leave, renew])
def test_an_outage_in_a_view_is_counted_as_well(
    site: Site, brittle: BrittleStore, verb: View, caplog: pytest.LogCaptureFixture
) -> None:
    token = site.open()
    lines(caplog)

    async def view(call: Call) -> Reply:
        brittle.down = True
        return await verb(call)

    for _ in range(5):
        brittle.down = False
        assert site.ask(cookie(token), view=view).status == 503
    levels = [level for level, _ in lines(caplog)]
    assert levels == ["ERROR", "WARNING"]


def test_a_listener_that_fails_does_not_flood_the_log_either(
    make: MakeSite, brittle: BrittleStore, caplog: pytest.LogCaptureFixture
) -> None:
    def deaf(_event: Event) -> None:
        msg = "the listener is broken"
        raise RuntimeError(msg)

    site = make(store=brittle, on_event=deaf)
    token = site.open()
    lines(caplog)
    brittle.down = True
    for _ in range(100):
        assert site.ask(cookie(token)).status == 503
    assert [text.split(" (")[0].split(",")[0] for _, text in lines(caplog)] == [
        "the session store failed: read: the store did not answer",
        "on_event failed at a store_failed event",
    ]


def test_managers_count_for_themselves(
    make: MakeSite, brittle: BrittleStore, caplog: pytest.LogCaptureFixture
) -> None:
    sites = [make(store=brittle) for _ in range(3)]
    token = sites[0].open()
    lines(caplog)
    brittle.down = True
    for site in sites * 5:
        site.ask(cookie(token))
    assert lines(caplog) == [("ERROR", FAILED % 1)] * 3


def test_every_failure_is_counted_once_whatever_the_threads(kind: str) -> None:
    assert kind
    outages = Outages()
    told = [0]

    def fail(at: int) -> None:
        told.append(outages.failed(at * 10_000_000))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fail, range(2000)))
    told.append(outages.answered(0) or 0)
    assert sum(told) == 2000
    assert not outages.pending


@pytest.mark.parametrize("between", ["\u0085", "\u2028", "\n", "\r\n", "\x1b[31m", "\0"])
def test_no_name_breaks_a_line(site: Site, between: str, caplog: pytest.LogCaptureFixture) -> None:
    async def named(call: Call) -> Reply:
        with pytest.raises(ValueError, match="username must not contain control characters"):
            await call.login(f"a{between}b")
        return Reply()

    site.ask(view=named)
    assert lines(caplog) == []


def test_times_are_utc(site: Site) -> None:
    site.open()
    (event,) = site.events
    assert event.at.utcoffset() == timedelta(0)
    assert event.at.timestamp() == site.clock()
