"""What a service token says, whom it speaks for, and when there is none."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.http.harness import Call, Reply, bearer, cookie
from tests.machines.issuing import AUDIENCE, ISSUER, issued, parts, service_tokens

from sessiongate import APITokens, NoSessionError, ServiceTokens, SessionManager

if TYPE_CHECKING:
    from tests.http.harness import MakeSite, Site


def scope_of(token: str) -> Any:
    return parts(token)[1].get("scope")


@pytest.mark.parametrize("kind", ["opaque", "jwt"])
@pytest.mark.parametrize("way", [bearer, cookie])
def test_it_says_who_the_user_is(site: Site, way: Any) -> None:
    token, tokens = site.open("alice", scopes=["read"], claims={"team": "a"}), service_tokens()
    (row,) = site.manager.user_sessions("alice")
    header, claims = parts(issued(site, tokens, way(token)))
    (key,) = tokens.jwks()["keys"]
    assert header == {"alg": "ES256", "typ": "at+jwt", "kid": key["kid"]}
    now = int(site.clock())
    assert len(claims.pop("jti")) >= 22
    assert claims == {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "alice",
        "client_id": "web",
        "sid": row["handle"],
        "iat": now,
        "exp": now + 120,
        "scope": "read",
    }


def test_each_has_an_id_of_its_own_and_costs_no_store_call(site: Site) -> None:
    token, tokens = site.open(), service_tokens()

    async def view(call: Call) -> Reply:
        ids = {parts(tokens.issue(call.session, AUDIENCE))[1]["jti"] for _ in range(3)}
        assert len(ids) == 3
        return Reply()

    assert site.cost(bearer(token), view=view) == {"read": 1}


@pytest.mark.parametrize("kind", ["opaque", "jwt"])
@pytest.mark.parametrize("left", [200, 120, 119.999, 30.5, 1])
def test_it_ends_with_the_session(make: MakeSite, left: float) -> None:
    site = make(session_timeout=600, rotate_after=None, touch_every=600)
    token = site.open()
    site.clock.advance(600 - left)
    claims = parts(issued(site, service_tokens(), token))[1]
    assert claims["exp"] == min(int(site.clock()) + 120, 1_700_000_600)


def test_it_ends_before_a_session_whose_end_is_no_whole_second(make: MakeSite) -> None:
    site = make(session_timeout=60.5)
    claims = parts(issued(site, service_tokens(), site.open()))[1]
    assert claims["exp"] == 1_700_000_060


@pytest.mark.parametrize("kind", ["jwt"])
def test_leeway_does_not_outlive_what_the_session_states(make: MakeSite) -> None:
    site = make(session_timeout=60, leeway=30, rotate_after=None)
    claims = parts(issued(site, service_tokens(), site.open()))[1]
    assert claims["exp"] == 1_700_000_060


def test_a_session_with_less_than_a_second_left_gets_none(make: MakeSite) -> None:
    site = make(session_timeout=60.9, rotate_after=None, touch_every=600)
    token = site.open()
    site.clock.advance(60)  # the last whole second is over; the session is not
    with pytest.raises(NoSessionError, match="within a second") as raised:
        issued(site, service_tokens(), token)
    assert (raised.value.code, raised.value.status) == ("no_session", 401)


def test_the_anonymous_get_none(make: MakeSite) -> None:
    site = make(options={"skip": ["/"]})
    for asked in (make(), site):
        with pytest.raises(NoSessionError, match="nobody is logged in"):
            issued(asked, service_tokens())
    with pytest.raises(NoSessionError):
        issued(make(), service_tokens(), "sg_no.such.token")


def test_an_ended_session_gets_none(make: MakeSite) -> None:
    site, tokens = make(session_timeout=60), service_tokens()

    async def logged_out(call: Call) -> Reply:
        await call.logout()
        with pytest.raises(NoSessionError, match="nobody"):
            tokens.issue(call.session, audience=AUDIENCE)
        return Reply()

    async def outlived(call: Call) -> Reply:
        site.clock.advance(61)  # a websocket, or a long download
        with pytest.raises(NoSessionError, match="has ended"):
            tokens.issue(call.session, audience=AUDIENCE)
        return Reply()

    for view in (logged_out, outlived):
        assert site.ask(bearer(site.open()), view=view).reached


def test_a_login_of_the_same_request_counts(site: Site) -> None:
    tokens, found = service_tokens(), list[str]()

    async def view(call: Call) -> Reply:
        await call.login("bob", scopes=["list"])
        found.append(tokens.issue(call.session, AUDIENCE))
        return Reply()

    assert site.ask(view=view).reached
    assert parts(found[0])[1]["sub"] == "bob"
    assert scope_of(found[0]) == "list"


@pytest.mark.parametrize("kind", ["opaque", "jwt"])
@pytest.mark.parametrize(("expires_in", "lifetime"), [(None, 120), (30, 30)])
def test_an_api_token_gets_one_for_its_user_and_scopes(
    make: MakeSite, expires_in: int | None, lifetime: int
) -> None:
    site = make()
    site.options["api_tokens"] = api_tokens = APITokens(clock=site.clock)
    token = api_tokens.create("alice", name="ci", scopes=["list"], expires_in=expires_in)
    claims = parts(issued(site, service_tokens(), token))[1]
    assert (claims["sub"], claims["scope"]) == ("alice", "list")
    assert claims["sid"] == api_tokens.tokens("alice")[0]["handle"]
    assert claims["exp"] - claims["iat"] == lifetime


@pytest.mark.parametrize(
    ("held", "asked", "scope"),
    [
        (["read", "write"], None, "read"),
        (["write"], None, None),
        ([], None, None),
        (["list", "read"], None, "list read"),
        (["list", "read"], ["read"], "read"),
        (["list", "read"], [], None),
    ],
)
def test_scopes_are_those_that_are_both_had_and_allowed(
    site: Site, held: list[str], asked: list[str] | None, scope: str | None
) -> None:
    token = site.open(scopes=held)
    assert scope_of(issued(site, service_tokens(), token, scopes=asked)) == scope


def test_an_audience_with_none_gets_whatever_the_session_has(site: Site) -> None:
    tokens = service_tokens(audiences={AUDIENCE: None})
    assert scope_of(issued(site, tokens, site.open(scopes=["read", "write"]))) == "read write"


@pytest.mark.parametrize(
    ("asked", "remedy"),
    [
        ({"scopes": ["read", "write"]}, r"does not allow 'write' for 'https://reports.*add it"),
        ({"scopes": ["list"]}, r"the session does not have 'list': .*login_required\(scopes="),
        ({"audience": "https://other.example"}, r"\('https://reports.example'\): add 'https://oth"),
        ({"audience": None}, "audience must be one of audiences"),
        ({"audience": []}, "audience must be one of audiences"),
    ],
)
def test_what_may_not_be_is_refused_with_its_remedy(
    site: Site, asked: dict[str, Any], remedy: str
) -> None:
    token = site.open(scopes=["read", "write"])
    with pytest.raises(ValueError, match=remedy):
        issued(site, service_tokens(), token, **asked)


def test_scopes_are_no_text(site: Site) -> None:
    with pytest.raises(TypeError, match="scopes"):
        issued(site, service_tokens(), site.open(scopes=["read"]), scopes="read")


@pytest.mark.parametrize("session", [None, "alice", SessionManager()])
def test_only_the_session_of_a_request_will_do(session: Any) -> None:
    with pytest.raises(TypeError, match=r'scope\["sessiongate"\]'):
        service_tokens().issue(session, AUDIENCE)


@pytest.mark.parametrize("expires_in", [90, 90.9, timedelta(minutes=1.5)])
def test_expires_in_is_seconds_or_a_timedelta(site: Site, expires_in: Any) -> None:
    claims = parts(issued(site, service_tokens(expires_in=expires_in), site.open()))[1]
    assert claims["exp"] - claims["iat"] == 90


@pytest.mark.parametrize(
    ("option", "error"),
    [
        ({"audiences": ["https://reports.example"]}, TypeError),
        ({"audiences": "https://reports.example"}, TypeError),
        ({"audiences": {"": None}}, ValueError),
        ({"audiences": {"a": "read"}}, TypeError),
        ({"audiences": {"a": ["read write"]}}, ValueError),
        ({"issuer": ""}, ValueError),
        ({"client_id": None}, TypeError),
        ({"client_id": "a\nb"}, ValueError),
        ({"expires_in": 0.5}, ValueError),
        ({"expires_in": -1}, ValueError),
        ({"expires_in": "120"}, TypeError),
    ],
)
def test_unfit_arguments_are_named(option: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(option))):
        service_tokens(**option)


def test_nothing_shows_the_key() -> None:
    assert repr(service_tokens()) == f"<ServiceTokens of {ISSUER!r}>"
    assert "PRIVATE" not in str(vars(ServiceTokens))
