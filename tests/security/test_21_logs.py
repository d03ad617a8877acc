"""What is logged of requests: what happened to sessions, no token, and nothing of mere noise."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from tests.http.harness import COOKIE, MakeSite, Site, Way, bearer, cookie, enter, leave, renew

from sessiongate.errors import StoreError
from sessiongate.stores import MemoryStore

if TYPE_CHECKING:
    from sessiongate.commands import Command, Outcome

pytestmark = pytest.mark.parametrize("kind", ["opaque", "jwt"])


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


@pytest.fixture
def site(make: MakeSite) -> Site:
    return make(logger=logging.getLogger("test.sessiongate"))


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


class DownStore(MemoryStore):
    """Does not answer."""

    def execute(self, command: Command) -> Outcome:  # noqa: ARG002 - whatever it is
        msg = "the store did not answer"
        raise StoreError(msg)

    async def aexecute(self, command: Command) -> Outcome:
        return self.execute(command)


@pytest.mark.parametrize("way", [cookie, bearer])
def test_an_outage_is_logged_without_the_token(
    make: MakeSite, way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    token = make().open()
    down = make(store=DownStore(), logger=logging.getLogger("test.sessiongate"))
    caplog.clear()
    assert down.ask(way(token)).status == 503
    assert [record.levelname for record in ours(caplog)] == ["ERROR"]
    assert token not in caplog.text
