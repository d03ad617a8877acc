"""``update``: the request's session gets other scopes and claims, and its client a new token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.http.harness import (
    Call,
    MakeSite,
    Reply,
    Site,
    View,
    Way,
    bearer,
    cookie,
    set_cookies,
    show,
)

from sessiongate.errors import ResponseStartedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

both_kinds = pytest.mark.parametrize("kind", ["opaque", "jwt"])
both_ways = pytest.mark.parametrize("way", [cookie, bearer])


async def update(call: Call, **options: Any) -> str | None:
    if call.site.stack == "wsgi":
        return call.session.update(**options)
    return await call.session.aupdate(**options)


def updating(tokens: list[str | None], **options: Any) -> View:
    async def view(call: Call) -> Reply:
        tokens.append(await update(call, **options))
        return Reply()

    return view


@both_kinds
@both_ways
def test_the_client_gets_the_new_token_the_way_it_came(make: MakeSite, way: Way) -> None:
    site = make()
    old = site.open(scopes=("admin",))
    tokens: list[str | None] = []
    response = site.ask(way(old), view=updating(tokens, scopes=("read",), claims={"team": 2}))
    assert response.token == tokens[0] not in {None, old}
    assert bool(set_cookies(response)) == (way is cookie)
    for token in (old, response.token):
        told = site.manager.validate_session(token or "")
        assert told is not None
        assert (told["scopes"], told["team"]) == (["read"], 2)


@both_ways
def test_a_change_that_changes_nothing_sends_nothing(make: MakeSite, way: Way) -> None:
    site = make()
    token = site.open(scopes=("read",))
    site.clock.advance(1)
    tokens: list[str | None] = []
    response = site.ask(way(token), view=updating(tokens, scopes=("read",)))
    assert (response.token, tokens) == (None, [token])


@both_ways
def test_the_user_follows_at_once(make: MakeSite, way: Way) -> None:
    site = make()

    async def view(call: Call) -> Reply:
        await update(call, scopes=("read",), claims={"team": 2})
        user = call.session.user
        assert user.scopes == ("read",)
        assert user.info is not None
        assert user.info["team"] == 2
        assert call.session.scopes == ["authenticated", "read"]
        return Reply()

    assert site.ask(way(site.open(scopes=("admin",))), view=view).status == 200


def test_the_next_request_of_every_holder_lacks_the_scope(make: MakeSite) -> None:
    site = make()
    tokens = [site.open(scopes=("admin",)) for _ in range(3)]
    assert site.manager.update_user_sessions("alice", scopes=()) == 3
    seen: list[tuple[str, ...]] = []

    async def look(call: Call) -> Reply:
        seen.append(call.session.user.scopes)
        return Reply()

    for token in tokens:
        response = site.ask(cookie(token), view=look)
        assert response.who == "alice"
        assert response.token not in {None, token}, "the successor is on its way"
    assert seen == [()] * 3


def test_nobody_has_nothing_to_change(site: Site) -> None:
    tokens: list[str | None] = []
    for headers in ((), (cookie("sg_nonsense"),)):
        site.ask(*headers, view=updating(tokens, scopes=("admin",)))
    assert tokens == [None, None]
    assert site.kinds() == []


@both_ways
def test_a_session_that_has_just_ended(make: MakeSite, way: Way) -> None:
    site = make()
    token = site.open(scopes=("read",))

    async def view(call: Call) -> Reply:
        site.manager.invalidate_session(token)
        assert await update(call, scopes=("admin",)) is None
        assert not call.session.user.is_authenticated
        return Reply()

    response = site.ask(way(token), view=view)
    assert response.token in {None, ""}
    assert site.manager.n_active_sessions() == 0


def test_after_the_response_has_started_nothing_is_done(site: Site) -> None:
    async def view(call: Call) -> Reply:
        await call.start(Reply())
        with pytest.raises(ResponseStartedError, match=r"update\(\)"):
            await update(call, scopes=("admin",))
        return Reply()

    token = site.open(scopes=("read",))
    site.ask(cookie(token), view=view)
    told = site.manager.validate_session(token)
    assert told is not None
    assert told["scopes"] == ["read"]


@pytest.mark.parametrize("kind", ["jwt"])
def test_claims_that_no_cookie_can_carry(make: MakeSite) -> None:
    site = make()
    token = site.open()

    async def view(call: Call) -> Reply:
        with pytest.raises(ValueError, match="more than"):
            await update(call, claims={"a": "x" * 3900})
        return Reply()

    assert site.ask(cookie(token), view=view).token is None
    assert site.ask(cookie(token)).who == "alice"


async def _login_after(call: Call) -> None:
    await call.login("bob")


async def _logout_after(call: Call) -> None:
    await call.logout()


@pytest.mark.parametrize(("then", "who"), [(_login_after, "bob"), (_logout_after, None)])
def test_what_comes_after_it_in_one_view_counts(
    make: MakeSite, then: Callable[[Call], Awaitable[None]], who: str | None
) -> None:
    site = make()

    async def view(call: Call) -> Reply:
        await update(call, scopes=("admin",))
        await then(call)
        return Reply()

    response = site.ask(cookie(site.open()), view=view)
    assert site.ask(cookie(response.token or "x"), view=show if who else _bare).who == who


async def _bare(_call: Call) -> Reply:
    return Reply()


def test_an_update_of_a_session_that_this_view_opened(make: MakeSite) -> None:
    site = make()

    async def view(call: Call) -> Reply:
        await call.login("alice", remember=True)
        await update(call, scopes=("admin",))
        return Reply()

    response = site.ask(view=view)
    (set_cookie,) = set_cookies(response)
    assert "Max-Age" in set_cookie
    told = site.manager.validate_session(response.token or "")
    assert told is not None
    assert told["scopes"] == ["admin"]


@both_kinds
def test_a_chain_of_updates_logs_out_nobody_who_is_still_at_the_start(make: MakeSite) -> None:
    site = make()
    token = site.open()

    async def view(call: Call) -> Reply:
        for number in range(4):
            assert await update(call, claims={"n": number}) is not None
        return Reply()

    site.ask(cookie(token), view=view)  # and its response is lost
    response = site.ask(cookie(token))
    assert response.who == "alice"
    assert site.ask(cookie(response.token)).who == "alice"
    assert "replayed" not in site.kinds()


async def _log_in(call: Call) -> None:
    assert await call.login("bob")


async def _refresh(call: Call) -> None:
    assert await call.refresh()


@both_kinds
@pytest.mark.parametrize(("verb", "who"), [(_log_in, "bob"), (_refresh, "alice")])
def test_a_change_from_outside_keeps_no_token_from_its_client(
    make: MakeSite, verb: Callable[[Call], Awaitable[None]], who: str
) -> None:
    site = make()

    async def view(call: Call) -> Reply:
        await verb(call)
        assert site.manager.update_user_sessions(who, scopes=["x"]) == 1
        return Reply()

    response = site.ask(cookie(site.open()), view=view)
    assert site.ask(cookie(response.token)).who == who


def test_an_update_that_is_answered_late_overwrites_no_newer_cookie(make: MakeSite) -> None:
    site = make()
    token = site.open()

    async def view(call: Call) -> Reply:
        assert await update(call, scopes=("a",)) is not None
        site.clock.advance(31)
        return Reply()

    assert site.ask(cookie(token), view=view).token is None
    assert site.ask(cookie(token)).token not in {None, token}, "the next response brings it"


def test_an_update_in_a_view_that_was_overtaken_ends_nothing(make: MakeSite) -> None:
    site = make()
    token = site.open()

    async def view(call: Call) -> Reply:
        site.clock.advance(1801)
        successor = (await call.meanwhile(cookie(token), view=show)).token
        assert (await call.meanwhile(cookie(successor), view=show)).who == "alice"
        site.clock.advance(31)
        assert await update(call, scopes=("a",)) is None
        return Reply()

    site.ask(cookie(token), view=view)
    assert "replayed" not in site.kinds()
    assert site.manager.n_active_sessions() == 1


@pytest.mark.parametrize("kind", ["jwt"])
def test_a_token_too_large_for_its_cookie_is_not_sent_in_one(
    make: MakeSite, caplog: pytest.LogCaptureFixture
) -> None:
    site = make()
    token = site.open()
    assert site.manager.update_user_sessions("alice", claims={"k": "x" * 3900}) == 1
    assert set_cookies(site.ask(cookie(token))) == []
    assert any("too large for its cookie" in record.getMessage() for record in caplog.records)

    async def view(call: Call) -> Reply:
        with pytest.raises(ValueError, match="more than"):
            await update(call, claims={"k": "y" * 3900})
        return Reply()

    other = site.open()
    site.ask(cookie(other), bearer(other), view=view)
