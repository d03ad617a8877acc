"""What keeps a session alive: touches of the middleware do, polls and skipped paths do not."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from tests.http.harness import (
    COOKIE,
    Call,
    Header,
    MakeSite,
    Reply,
    Response,
    Site,
    View,
    Way,
    bare,
    bearer,
    connect,
    cookie,
    make_site,
    set_cookies,
    show,
)

from sessiongate import ConfigurationError
from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.wsgi import SessionAuthMiddleware as WSGIMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable

both_kinds = pytest.mark.parametrize("kind", ["opaque", "jwt"])
both_ways = pytest.mark.parametrize("way", [cookie, bearer])


def at(site: Site, path: str, *headers: Header, view: View = show, method: str = "GET") -> Response:
    """Ask for a path, mounted nowhere."""
    return site.ask(*headers, view=view, method=method, **places(site, path))


def places(site: Site, path: str, mount: str = "") -> dict[str, Any]:
    """Where a request goes, as each stack says it."""
    if site.stack == "wsgi":
        in_latin = path.encode().decode("latin-1")
        return {"PATH_INFO": in_latin, "SCRIPT_NAME": mount}
    return {"path": mount + path, "root_path": mount}


# A touch extends.


@both_ways
def test_requests_within_the_timeout_keep_a_session_alive(make: MakeSite, way: Way) -> None:
    site = make(rotate_after=None, session_timeout=100)
    token = site.open()
    for _ in range(20):
        site.clock.advance(40)
        assert site.ask(way(token)).who == "alice"
    site.clock.advance(99.9)
    assert site.ask(way(token)).who == "alice"
    site.clock.advance(100)
    assert site.ask(way(token), view=bare).who is None


def test_seen_at_nine_alive_at_twenty_four(make: MakeSite) -> None:
    site = make(session_timeout=20)
    token = site.open()
    site.clock.advance(9)
    assert site.ask(cookie(token)).who == "alice"
    site.clock.advance(15)
    assert site.ask(cookie(token)).who == "alice"


def test_a_touch_is_written_seldom_and_extends_all_the_same(make: MakeSite) -> None:
    site = make(rotate_after=None, session_timeout=100, touch_every=10)
    token = site.open()
    for _ in range(3):
        assert (
            site.cost(cookie(token)).get("swap", 0) + site.cost(cookie(token)).get("aswap", 0) == 0
        )
        site.clock.advance(40)
        site.ask(cookie(token))
    (row,) = site.manager.user_sessions("alice")
    assert row["expires_at"].timestamp() == site.clock() + 100


def test_never_past_the_absolute_lifetime(make: MakeSite) -> None:
    site = make(rotate_after=None, session_timeout=100, max_lifetime=150)
    token = site.open()
    for _ in range(2):
        site.clock.advance(70)
        assert site.ask(cookie(token)).who == "alice"
    site.clock.advance(10)
    assert site.ask(cookie(token), view=bare).who is None


def test_what_was_handed_out_twice_is_not_extended(make: MakeSite) -> None:
    site = make(session_timeout=100, existing="reuse")
    token = site.manager.create_session("alice") or ""
    assert site.manager.create_session("alice") == token
    for _ in range(2):
        site.clock.advance(49)
        assert site.ask(cookie(token)).who == "alice"
    site.clock.advance(2)
    assert site.ask(cookie(token), view=bare).who is None


def test_validate_session_extends_nothing(make: MakeSite) -> None:
    site = make(session_timeout=100, rotate_after=None)
    token = site.open()
    for _ in range(2):
        site.clock.advance(49)
        assert site.manager.validate_session(token)
    site.clock.advance(2)
    assert site.manager.validate_session(token) is None


@pytest.mark.parametrize("kind", ["jwt"])
def test_a_jwt_keeps_its_end_and_rotates(make: MakeSite) -> None:
    site = make(session_timeout=100)
    token = site.open()
    site.clock.advance(49)
    assert site.ask(cookie(token)).token is None
    (row,) = site.manager.user_sessions("alice")
    assert row["expires_at"].timestamp() == site.clock() + 51
    site.clock.advance(1)
    assert site.ask(cookie(token)).token


def test_a_remembered_session_is_extended_by_its_own_lifetime(make: MakeSite) -> None:
    site = make(session_timeout=100, remember_for=1000, rotate_after=None)
    token = site.open(remember=True)
    for _ in range(3):
        site.clock.advance(999)
        assert site.ask(cookie(token)).who == "alice"


# Passive paths.


@both_kinds
@both_ways
def test_a_poll_a_minute_keeps_nothing_alive(make: MakeSite, way: Way) -> None:
    site = make(session_timeout=300, touch_every=0, options={"passive": ["/poll"]})
    token = site.open()
    opened = site.clock()
    for _ in range(4):
        site.clock.advance(60)
        polled = at(site, "/poll/news", way(token))
        assert (polled.who, polled.token) == ("alice", None)
        assert polled.one("vary")
    (row,) = site.manager.user_sessions("alice")
    assert row["last_accessed"].timestamp() == opened
    site.clock.advance(60)
    assert at(site, "/poll/news", way(token), view=bare).who is None


def test_a_poll_is_one_plain_read(make: MakeSite) -> None:
    site = make(options={"passive": ["/poll"]})
    token = site.open()
    site.clock.advance(2000)
    site.store.reset()
    at(site, "/poll", cookie(token))
    assert sum(site.store.by_verb.values()) == 1


def test_a_replay_on_a_passive_path_still_ends_the_session(make: MakeSite) -> None:
    site = make(options={"passive": ["/poll"]})
    token = site.open()
    site.clock.advance(1800)
    successor = site.ask(cookie(token)).token
    site.ask(cookie(successor))
    site.clock.advance(30)
    site.kinds()
    assert at(site, "/poll", cookie(token), view=bare).problem == "invalid_token"
    assert site.kinds() == ["replayed"]
    assert site.ask(cookie(successor), view=bare).who is None


def test_a_lost_answer_is_repaired_on_a_passive_path_too(make: MakeSite) -> None:
    site = make(options={"passive": ["/poll"]})
    token = site.open()
    site.clock.advance(1800)
    successor = site.ask(cookie(token)).token
    assert at(site, "/poll", cookie(token)).token == successor


def test_a_login_on_a_passive_path_is_a_login(make: MakeSite) -> None:
    site = make(options={"passive": ["/"]})

    async def view(call: Call) -> Reply:
        assert await call.login("bob")
        return Reply()

    response = at(site, "/anywhere", cookie(site.open()), view=view)
    assert at(site, "/", cookie(response.token)).who == "bob"


def test_passive_by_a_predicate_of_the_path(make: MakeSite) -> None:
    asked: list[str] = []

    def predicate(path: str) -> bool:
        asked.append(path)
        return path.endswith("/poll")

    site = make(session_timeout=100, touch_every=0, options={"passive": predicate})
    token = site.open()
    opened = site.clock()
    site.clock.advance(10)
    at(site, "/a/poll", cookie(token))
    assert site.manager.user_sessions("alice")[0]["last_accessed"].timestamp() == opened
    at(site, "/a", cookie(token))
    assert site.manager.user_sessions("alice")[0]["last_accessed"].timestamp() == site.clock()
    assert asked == ["/a/poll", "/a"]


# Skipped paths.


@both_ways
@pytest.mark.parametrize("valid", [True, False])
def test_a_skipped_request_is_nobodys_and_costs_nothing(
    make: MakeSite, way: Way, *, valid: bool
) -> None:
    site = make(options={"skip": ["/static"]})
    token = site.open() if valid else "sg_nonsense"
    site.store.reset()
    site.clock.advance(2000)
    response = at(site, "/static/app.css", way(token), view=bare)
    assert (response.status, response.who, response.problem) == (200, None, None)
    assert response.all("vary") == []
    assert set_cookies(response) == []
    assert dict(site.store.by_verb) == {}


@pytest.mark.parametrize(
    ("prefix", "path", "skipped"),
    [
        ("/static", "/static", True),
        ("/static", "/static/", True),
        ("/static", "/static/a/b", True),
        ("/static/", "/static/a", True),
        ("/static/", "/static", True),
        ("/static", "/static2", False),
        ("/static", "/a/static", False),
        ("/static", "/", False),
        ("/static", "//static", False),
        ("/static", "/Static", False),
        ("/a/b", "/a/bc", False),
        ("/a/b", "/a/b/c", True),
        ("/", "/anything", True),
        ("/bücher", "/bücher/1", True),
    ],
)
@pytest.mark.parametrize("mount", ["", "/app"])
def test_prefixes_are_whole_segments_below_the_mount(
    make: MakeSite, prefix: str, path: str, *, skipped: bool, mount: str
) -> None:
    site = make(options={"skip": [prefix]})
    token = site.open()
    response = site.ask(cookie(token), **places(site, path, mount))
    assert response.who == (None if skipped else "alice")
    if mount:
        elsewhere = site.ask(cookie(token), **places(site, "/x" + path, mount))
        assert elsewhere.who == (None if prefix == "/" else "alice")


def test_an_identity_that_stood_there_is_cleared_all_the_same(make: MakeSite) -> None:
    site = make(options={"skip": ["/static"]})
    key = "REMOTE_USER" if site.stack == "wsgi" else "user"
    forged: dict[str, Any] = {key: "mallory"}

    async def view(call: Call) -> Reply:
        assert "REMOTE_USER" not in call.places
        assert not call.session.user.is_authenticated
        return Reply()

    response = site.ask(view=view, **places(site, "/static"), **forged)
    assert response.reached


async def _login(call: Call) -> Any:
    return await call.login("alice")


async def _logout(call: Call) -> Any:
    return await call.logout()


async def _refresh(call: Call) -> Any:
    return await call.refresh()


@pytest.mark.parametrize("verb", [_login, _logout, _refresh])
def test_a_verb_on_a_skipped_path_says_what_to_do(
    make: MakeSite, verb: Callable[[Call], Any]
) -> None:
    site = make(options={"skip": ["/static"]})

    async def view(call: Call) -> Reply:
        with pytest.raises(ConfigurationError, match=r"skip=.*/static"):
            await verb(call)
        return Reply()

    for _ in range(2):
        assert at(site, "/static", cookie(site.open()), view=view).status == 200
        assert at(site, "/", cookie(site.open())).who == "alice"


@pytest.mark.parametrize("keyword", ["skip", "passive"])
def test_a_predicate_that_raises_lets_nothing_through(make: MakeSite, keyword: str) -> None:
    def broken(path: str) -> bool:
        raise ZeroDivisionError(path)

    site = make(options={keyword: broken})
    reached: list[bool] = []

    async def view(_call: Call) -> Reply:
        reached.append(True)
        return Reply()

    with pytest.raises(ZeroDivisionError):
        at(site, "/", cookie(site.open()), view=view)
    assert reached == []


async def _later(_path: str) -> bool:
    return True


class Later:
    async def __call__(self, _path: str) -> bool:
        return True


@pytest.mark.parametrize("keyword", ["skip", "passive"])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("/static", "must be a list of path prefixes"),
        (7, "must be a list of path prefixes"),
        ([7], "must begin with /"),
        (["static"], "must begin with /"),
        ([""], "must begin with /"),
        (["//"], "must begin with /"),
        (_later, "must not be an async function"),
        (Later(), "must not be an async function"),
    ],
)
def test_unfit_paths(make: MakeSite, keyword: str, value: Any, words: str) -> None:
    middleware: Any = {"asgi": ASGIMiddleware, "wsgi": WSGIMiddleware}[make().stack]
    with pytest.raises((TypeError, ConfigurationError), match=f"{keyword} {words}"):
        middleware(print, make().manager, **{keyword: value})


def test_a_guard_over_a_skipped_path_is_a_401_and_one_line(
    make: MakeSite, caplog: pytest.LogCaptureFixture
) -> None:
    from sessiongate.kits.guard import Guard  # noqa: PLC0415

    site = make(options={"skip": ["/static"]})

    async def view(call: Call) -> Reply:
        refusal = Guard().check(call.session, lambda: None)
        assert refusal is not None
        assert refusal.status == 401
        return Reply(401)

    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert at(site, "/static/secret", cookie(site.open()), view=view).status == 401
    (line,) = [r.getMessage() for r in caplog.records if "skip=" in r.getMessage()]
    assert "'/static'" in line
    assert "login_required" in line


def test_websockets_are_skipped_like_the_rest() -> None:
    site = make_site("asgi", "opaque", options={"skip": ["/"]})
    seen: list[Any] = []
    asyncio.run(connect(site, cookie(site.open()), seen=seen))
    assert seen[0].user.is_authenticated is False


def test_the_cookie_is_still_there_afterwards(make: MakeSite) -> None:
    site = make(options={"skip": ["/static"], "passive": ["/poll"]})
    token = site.open()
    for path in ("/static", "/poll", "/"):
        assert set_cookies(at(site, path, cookie(token)), COOKIE) == []


def test_what_skipped_requests_share_cannot_be_written_to(make: MakeSite) -> None:
    site = make(options={"skip": ["/static"]})

    async def view(call: Call) -> Reply:
        with pytest.raises(AttributeError, match="share this session"):
            call.session.problem = "cross_site"
        return Reply()

    assert at(site, "/static", view=view).status == 200


def test_polls_that_bring_the_successor_start_the_grace_of_the_token_before(
    make: MakeSite,
) -> None:
    site = make(options={"passive": ["/poll"]})
    token = site.open()
    site.clock.advance(1800)
    successor = site.ask(cookie(token)).token
    assert at(site, "/poll", cookie(successor)).who == "alice"
    site.clock.advance(30)
    assert at(site, "/poll", cookie(token), view=bare).who is None
    assert site.kinds()[-1] == "replayed"
