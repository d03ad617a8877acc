"""Requirement 17: the store down is a 503 for whoever brings a credential; nobody else notices.

How long each store takes at most, cancelled calls, exhausted pools and what survives SIGKILL:
``tests/stores``.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest
from tests.http.brittle import BrittleStore
from tests.http.harness import PLAIN, Call, MakeSite, Reply, Response, Site, Way, bearer, cookie

from sessiongate.errors import StoreError
from sessiongate.stores import PostgresStore, RedisStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sessiongate.stores import Store

both_ways = pytest.mark.parametrize("way", [cookie, bearer])


@pytest.fixture
def brittle() -> BrittleStore:
    return BrittleStore()


@pytest.fixture(params=["opaque", "jwt"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def site(make: MakeSite, brittle: BrittleStore) -> Site:
    return make(store=brittle)


def is_outage(response: Response) -> None:
    assert response.status == 503
    assert int(response.one("retry-after") or 0) > 0
    assert response.one("cache-control") == "no-store"
    assert response.one("vary") == "Cookie, Authorization"
    assert response.token is None
    assert response.one("www-authenticate") is None


@both_ways
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_a_genuine_credential_is_a_503(
    site: Site, brittle: BrittleStore, way: Way, method: str
) -> None:
    token = site.open()
    site.kinds()
    brittle.down = True
    response = site.ask(way(token), method=method)
    is_outage(response)
    assert not response.reached
    assert int(response.one("content-length") or 0) > 0
    if site.stack == "wsgi":  # ASGI servers leave the body of HEAD out by themselves
        assert bool(response.body) == (method != "HEAD")
    assert site.kinds() == ["store_failed"]


@both_ways
def test_an_outage_does_not_depend_on_the_age_of_a_token(
    site: Site, brittle: BrittleStore, way: Way
) -> None:
    token = site.open()
    site.clock.advance(1800)
    brittle.down = True
    is_outage(site.ask(way(token)))


def test_everybody_else_does_not_notice(site: Site, brittle: BrittleStore) -> None:
    requests = [
        [],
        [cookie("")],
        [cookie("forged")],
        [cookie("a"), cookie("b")],
        [cookie(site.open()), bearer("forged")],
        [bearer("forged")],
        [bearer("x y")],
        [(b"authorization", b"Basic YTpi")],
    ]
    before = [site.ask(*headers) for headers in requests]
    brittle.down = True
    assert [site.ask(*headers) for headers in requests] == before
    assert [response.status for response in before] == [200, 200, 200, 200, 401, 401, 400, 200]


@pytest.mark.parametrize("verb", ["login", "logout", "refresh"])
@pytest.mark.parametrize("answer", ["raises", "error page"])
def test_a_verb_that_fails_is_a_503(
    site: Site, brittle: BrittleStore, verb: str, answer: str
) -> None:
    token = site.open()

    async def view(call: Call) -> Reply:
        brittle.down = True
        try:
            await (call.login("bob") if verb == "login" else getattr(call, verb)())
        except StoreError:
            if answer == "raises":
                raise
            theirs = [PLAIN, (b"cache-control", b"public"), (b"retry-after", b"9999")]
            return Reply(500, theirs)
        raise AssertionError

    is_outage(site.ask(cookie(token), view=view))
    brittle.down = False
    assert site.ask(cookie(token)).who == "alice"
    assert site.manager.n_active_sessions() == 1


@pytest.mark.parametrize("verb", ["login", "logout", "refresh"])
def test_a_verb_that_fails_leaves_the_request_as_it_was(
    site: Site, brittle: BrittleStore, verb: str
) -> None:
    """A view may answer in its own words, but no token goes out and no cookie is deleted."""
    token = site.open()

    async def view(call: Call) -> Reply:
        brittle.down = True
        with pytest.raises(StoreError):
            await (call.login("bob") if verb == "login" else getattr(call, verb)())
        assert call.session.user.username == "alice"
        return Reply(409)

    response = site.ask(cookie(token), view=view)
    assert (response.status, response.token) == (409, None)


def test_a_login_of_nobody_that_fails_is_a_503(site: Site, brittle: BrittleStore) -> None:
    brittle.down = True

    async def view(call: Call) -> Reply:
        await call.login("alice")
        return Reply()

    is_outage(site.ask(view=view))


def test_a_failure_after_the_start_is_the_servers(site: Site, brittle: BrittleStore) -> None:
    token = site.open()

    async def view(call: Call) -> Reply:
        await call.start(Reply())
        brittle.down = True
        await call.logout()
        raise AssertionError

    with pytest.raises(StoreError):
        site.ask(cookie(token), view=view)


def test_a_rotation_in_hand_is_not_sent_with_a_503(site: Site, brittle: BrittleStore) -> None:
    token = site.open()
    site.clock.advance(1800)

    async def view(call: Call) -> Reply:
        brittle.down = True
        await call.logout()
        raise AssertionError

    is_outage(site.ask(cookie(token), view=view))
    brittle.down = False
    assert site.ask(cookie(token)).token


@both_ways
def test_recovery_needs_no_restart(site: Site, brittle: BrittleStore, way: Way) -> None:
    token = site.open()
    for _ in range(3):
        brittle.down = True
        is_outage(site.ask(way(token)))
        brittle.down = False
        assert site.ask(way(token)).who == "alice"


def test_another_error_of_a_view_is_its_own(site: Site) -> None:
    async def view(_call: Call) -> Reply:
        msg = "a bug"
        raise LookupError(msg)

    with pytest.raises(LookupError, match="a bug"):
        site.ask(cookie(site.open()), view=view)
    assert site.ask(view=_broken).status == 500


async def _broken(_call: Call) -> Reply:
    return Reply(500)


# Real stores that cannot answer.


@pytest.fixture(params=["redis", pytest.param("postgresql", marks=pytest.mark.slow)])
def unanswering(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Whose server accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{request.param}://somebody@127.0.0.1:{silent.getsockname()[1]}"
        store = RedisStore(url) if request.param == "redis" else PostgresStore(f"{url}/any")
        yield store
        store.close()


@both_ways
def test_a_store_that_does_not_answer_is_a_503(
    make: MakeSite, unanswering: Store, way: Way
) -> None:
    token = make().open()
    site = make(store=unanswering)
    response = site.ask(way(token))
    is_outage(response)
    assert not response.reached
    assert site.kinds() == ["store_failed"]
    is_outage(site.ask(cookie(token), cookie(make().open())))
    assert site.kinds() == ["store_failed"]
    assert [site.ask(*headers).status for headers in ([], [cookie("x")], [bearer("x")])] == [
        200,
        200,
        401,
    ]


@pytest.mark.parametrize("stack", ["asgi"])
def test_the_loop_goes_on_while_a_store_does_not_answer(make: MakeSite, unanswering: Store) -> None:
    token = make().open()
    site = make(store=unanswering)

    async def both() -> Response:
        slow = asyncio.create_task(site.aask(cookie(token)))
        await asyncio.sleep(0)  # the first step of it, which would be all if it blocked
        assert not slow.done()
        assert (await site.aask()).status == 200
        assert not slow.done()
        return await slow

    is_outage(asyncio.run(both()))
