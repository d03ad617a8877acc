"""Requests with an API token, on both stacks: who it is, what it may do, what it costs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from tests.http.brittle import BrittleStore
from tests.http.harness import (
    KEY,
    Call,
    Header,
    Reply,
    Response,
    Site,
    Stack,
    View,
    bare,
    bearer,
    connect,
    cookie,
    make_site,
    show,
)

from sessiongate import APITokenError, APITokens, ConfigurationError, SessionManager, StoreError
from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.kits.guard import Guard
from sessiongate.stores import MemoryStore
from sessiongate.testing import CountingStore
from sessiongate.wsgi import SessionAuthMiddleware as WSGIMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate.http.request_session import RequestSession
    from sessiongate.stores import Store

YEAR = 365 * 86_400


@dataclass
class Place:
    """A site that accepts API tokens, their store, and the last request's session."""

    site: Site
    tokens: APITokens
    store: CountingStore
    seen: RequestSession | None = None
    places: dict[str, Any] = field(default_factory=dict)

    def make(self, username: str = "alice", **options: Any) -> str:
        return self.tokens.create(username, **{"name": "ci", **options})

    def ask(self, *headers: Header, **options: Any) -> Response:
        """A request; the last token is used, and the session looked at."""

        async def look(call: Call) -> Reply:
            self.seen = call.session
            self.places = call.places
            return await options_view(call)

        options_view: View = options.pop("view", show)
        return self.site.ask(*headers, view=look, **options)

    def cost(self, *headers: Header, **options: Any) -> tuple[dict[str, int], dict[str, int]]:
        """The trips to the store of sessions, and to the one of the tokens."""
        self.store.reset()
        self.site.store.reset()
        self.ask(*headers, **options)
        return dict(self.site.store.by_verb), dict(self.store.by_verb)

    def handle(self) -> str:
        handle: str = self.tokens.tokens("alice")[0]["handle"]
        return handle


def make_place(
    stack: Stack, kind: str = "opaque", store: Store | None = None, **rules: Any
) -> Place:
    site = make_site(stack, kind, **rules)
    counting = CountingStore(store or MemoryStore())
    tokens = APITokens(store=counting, secret_key=KEY, clock=site.clock)
    site.options["api_tokens"] = tokens
    return Place(site, tokens, counting)


@pytest.fixture
def place(stack: Stack) -> Place:
    return make_place(stack)


@pytest.mark.parametrize("kind", ["opaque", "jwt"])
def test_who_it_is(stack: Stack, kind: str) -> None:
    place = make_place(stack, kind)
    token = place.make(scopes=["read"], claims={"team": 7}, expires_in=YEAR)
    response = place.ask(bearer(token))
    assert (response.status, response.who, response.transport) == (200, "alice", "bearer")
    assert place.seen is not None
    assert (place.seen.api_token, place.seen.problem) == ("ci", None)
    assert place.seen.session == place.handle()
    assert place.seen.scopes == ["read"]
    assert place.seen.user.scopes == ("read",)
    assert place.seen.user.info is not None
    assert place.seen.user.info["team"] == 7
    assert place.seen.expires_at == place.tokens.tokens("alice")[0]["expires_at"]
    assert (place.seen.age, place.seen.rotates_at, place.seen.remembered) == (None, None, False)
    assert "alice" in repr(place.seen)
    assert token not in repr(place.seen)
    if stack == "asgi":
        assert place.places["auth"].scopes == ["read"]
        assert place.places["user"].display_name == "alice"


def test_a_session_has_no_name_of_a_token(place: Place) -> None:
    place.ask(cookie(place.site.open()))
    assert place.seen is not None
    assert place.seen.api_token is None
    assert place.seen.scopes == ["authenticated"]
    place.ask()
    assert place.seen.api_token is None


def test_it_costs_one_read_and_where_it_is_none_nothing(stack: Stack) -> None:
    place = make_place(stack)
    token = place.make()
    place.ask(bearer(token))  # the first use is written
    assert place.cost(bearer(token)) == ({}, {"read": 1})
    assert place.cost(bearer(token), method="OPTIONS") == ({}, {"read": 1})
    wrong = token[:-1] + ("0" if token[-1] != "0" else "1")
    forged = APITokens(secret_key="o" * 64).create("alice", name="ci")
    for nothing in (wrong, forged, "sgp_", token[:-1], token + "0"):
        assert place.cost(bearer(nothing)) == ({}, {})
        assert place.ask(bearer(nothing)).problem == "invalid_token"
    assert place.cost(cookie(place.site.open()))[1] == {}
    assert place.cost() == ({}, {})


def test_use_is_noted_and_never_on_a_passive_path(stack: Stack) -> None:
    place = make_place(stack, options={"passive": ("/",)})
    token = place.make()
    assert place.ask(bearer(token)).who == "alice"
    assert place.tokens.tokens("alice")[0]["last_used"] is None


def test_it_never_rotates_and_no_answer_carries_a_token(place: Place) -> None:
    token = place.make()
    for _ in range(10):
        place.site.clock.advance(YEAR)
        response = place.ask(bearer(token))
        assert (response.who, response.token) == ("alice", None)
    response = place.ask(bearer(token))
    assert "Authorization" in (response.one("vary") or "")


def test_it_is_no_credential_in_a_cookie_or_a_query(place: Place) -> None:
    token = place.make()
    response = place.ask(cookie(token))
    assert (response.who, response.problem) == (None, None)
    places = {"QUERY_STRING": f"access_token={token}"}
    if place.site.stack == "asgi":
        places = {"query_string": f"access_token={token}".encode()}  # type: ignore[dict-item]
    assert place.ask(**places).who is None
    assert place.cost(cookie(token)) == ({}, {})


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"bearer ", b""), (b"BEARER   ", b""), (b" Bearer ", b" "), (b"\tBearer ", b"\t")],
)
def test_the_scheme_as_of_any_bearer_token(place: Place, before: bytes, after: bytes) -> None:
    field = before + place.make().encode() + after
    assert place.ask((b"authorization", field)).who == "alice"


@pytest.mark.parametrize("form", ["{0} x", "{0}, Bearer {0}", "{0},", "{0} {0}"])
def test_a_malformed_field_is_nobodys(place: Place, form: str) -> None:
    response = place.ask(bearer(form.format(place.make())), cookie(place.site.open()))
    assert (response.status, response.problem) == (400, "invalid_request")


@pytest.mark.parametrize("scheme", ["Basic", "Token", "ApiKey"])
def test_another_scheme_leaves_the_cookie(place: Place, scheme: str) -> None:
    field = f"{scheme} {place.make()}".encode()
    response = place.ask((b"authorization", field), cookie(place.site.open("bob")))
    assert response.who == "bob"


def test_it_decides_alone(place: Place) -> None:
    token, bobs = place.make(), place.site.open("bob")
    assert place.ask(bearer(token), cookie(bobs)).who == "alice"
    assert place.tokens.revoke("alice", place.handle())
    response = place.ask(bearer(token), cookie(bobs))
    assert (response.who, response.problem) == (None, "invalid_token")
    assert place.ask(cookie(bobs)).who == "bob"  # and the session is as it was


def test_two_fields_are_nobodys(place: Place) -> None:
    token, session = place.make(), place.site.open()
    for first, second in ((token, session), (session, token), (token, token)):
        response = place.ask(bearer(first), bearer(second))
        assert (response.status, response.problem) == (400, "invalid_request")


def test_a_session_comes_by_bearer_as_before(place: Place) -> None:
    place.make()
    assert place.ask(bearer(place.site.open("bob"))).who == "bob"


def test_an_expired_one_and_one_of_a_retired_key(stack: Stack) -> None:
    place = make_place(stack)
    token = place.make(expires_in=10)
    place.site.clock.advance(10)
    assert place.ask(bearer(token)).problem == "invalid_token"
    token = place.make()
    place.site.options["api_tokens"] = APITokens(store=place.store, secret_key="n" * 64)
    place.site._guarded = None
    assert place.ask(bearer(token)).problem == "invalid_token"


def test_without_api_tokens_it_is_invalid(stack: Stack) -> None:
    site = make_site(stack, "opaque")
    token = APITokens(secret_key=KEY).create("alice", name="ci")
    assert site.ask(bearer(token)).problem == "invalid_token"
    assert site.cost(bearer(token)) == {}


def test_another_site_may_bring_it(place: Place) -> None:
    """No browser adds it by itself, so there is nothing to forge."""
    headers = bearer(place.make()), (b"sec-fetch-site", b"cross-site")
    assert place.ask(*headers, method="POST").who == "alice"


@pytest.mark.parametrize("verb", ["login", "logout", "refresh", "update"])
def test_what_only_a_session_may_do_is_refused_and_nothing_done(place: Place, verb: str) -> None:
    token, session = place.make(), place.site.open()
    arguments: dict[str, Any] = {"update": {"scopes": []}, "login": {"username": "bob"}}
    raised: list[APITokenError] = []

    async def try_it(call: Call) -> Reply:
        ask = getattr(call.session, verb if place.site.stack == "wsgi" else f"a{verb}")
        with pytest.raises(APITokenError, match=rf"{verb}\(\) is for sessions") as error:
            ask(**arguments.get(verb, {}))
        raised.append(error.value)
        return Reply()

    before = place.site.manager.list_sessions()
    response = place.ask(bearer(token), cookie(session), view=try_it)
    assert (response.status, response.token) == (200, None)
    assert (raised[0].status, raised[0].code) == (403, "api_token")
    assert place.site.manager.list_sessions() == before
    assert place.ask(bearer(token)).who == "alice"
    assert place.ask(cookie(session)).who == "alice"


@pytest.mark.parametrize(
    ("demands", "status"),
    [
        ({}, 403),
        ({"api_tokens": False}, 403),
        ({"api_tokens": True}, None),
        ({"scopes": ["read"]}, None),
        ({"scopes": ["read", "write"]}, 403),
        ({"scopes": ["read"], "api_tokens": True}, None),
        ({"scopes": ["read"], "api_tokens": False}, 403),
        ({"fresh": 60}, 403),
        ({"fresh": 60, "scopes": ["read"]}, 403),
    ],
)
def test_guards(place: Place, demands: dict[str, Any], status: int | None) -> None:
    place.ask(bearer(place.make(scopes=["read"])))
    assert place.seen is not None
    refusal = Guard(**demands).check(place.seen, lambda: None)
    assert (None if refusal is None else refusal.status) == status
    if refusal is not None:
        assert 'error="insufficient_scope"' in dict(refusal.headers)["WWW-Authenticate"]


def test_a_guard_that_contradicts_itself() -> None:
    with pytest.raises(ValueError, match="contradicts fresh="):
        Guard(fresh=60, api_tokens=True)
    with pytest.raises(TypeError, match="api_tokens must be True or False"):
        Guard(api_tokens="yes")  # type: ignore[arg-type]


def test_a_store_of_tokens_that_is_down_stops_them_alone(stack: Stack) -> None:
    brittle = BrittleStore()
    place = make_place(stack, store=brittle)
    token, session = place.make(), place.site.open()
    brittle.down = True
    response = place.ask(bearer(token))
    assert (response.status, response.reached) == (503, False)
    assert response.one("retry-after")
    assert place.ask(bearer(token), view=bare).status == 503
    assert place.ask(cookie(session)).who == "alice"
    assert place.ask().status == 200
    brittle.down = False
    assert place.ask(bearer(token)).who == "alice"


def test_a_store_of_sessions_that_is_down_does_not_stop_them(stack: Stack) -> None:
    brittle = BrittleStore()
    site = make_site(stack, "opaque", store=brittle)
    site.options["api_tokens"] = tokens = APITokens(secret_key=KEY, clock=site.clock)
    token, session = tokens.create("alice", name="ci"), site.open()
    brittle.down = True
    assert site.ask(bearer(token)).who == "alice"
    assert site.ask(cookie(session)).status == 503


def test_every_store(stack: Stack, fresh_store: Callable[[], Store]) -> None:
    place = make_place(stack, store=fresh_store())
    token = place.make(scopes=["read"])
    assert place.ask(bearer(token)).who == "alice"
    assert place.cost(bearer(token)) == ({}, {"read": 1})
    assert place.tokens.tokens("alice")[0]["last_used"] is not None
    assert place.tokens.revoke_all("alice") == 1
    assert place.ask(bearer(token)).problem == "invalid_token"


@pytest.mark.parametrize("by_subprotocol", [False, True])
def test_websockets(by_subprotocol: bool) -> None:  # noqa: FBT001 - one of two ways
    place = make_place("asgi")
    token = place.make(scopes=["read"])
    seen: list[RequestSession] = []
    headers = () if by_subprotocol else (bearer(token),)
    offered = ["sessiongate.bearer", token] if by_subprotocol else []
    opening = connect(place.site, *headers, subprotocols=offered, seen=seen)
    (answer,) = asyncio.run(opening)
    assert answer["type"] == "websocket.accept"
    assert answer.get("subprotocol") == ("sessiongate.bearer" if by_subprotocol else None)
    assert (seen[0].user.username, seen[0].api_token) == ("alice", "ci")


def test_it_counts_for_no_limit_and_no_list_of_sessions(stack: Stack) -> None:
    place = make_place(stack, max_concurrent_sessions=1, max_sessions_per_user=1)
    tokens = [place.make() for _ in range(5)]
    assert place.site.manager.n_active_sessions() == 0
    assert place.site.open()
    assert place.site.manager.invalidate_user_sessions("alice") == 1
    assert all(place.ask(bearer(token)).who == "alice" for token in tokens)


@pytest.mark.parametrize("middleware", [WSGIMiddleware, ASGIMiddleware])
def test_settings_that_are_unfit(middleware: Any) -> None:
    def app(_environ: Any, _start_response: Any) -> Any: ...

    async def async_app(_scope: Any, _receive: Any, _send: Any) -> None: ...

    inner: Any = app if middleware is WSGIMiddleware else async_app
    manager = SessionManager(secret_key=KEY)
    unfit: Any = "sgp_"
    with pytest.raises(TypeError, match="api_tokens must be an APITokens"):
        middleware(inner, manager, api_tokens=unfit)
    shared = APITokens(store=manager.store, secret_key=KEY)
    with pytest.raises(ConfigurationError, match="another file, prefix or schema"):
        middleware(inner, manager, api_tokens=shared)


def test_an_async_listener_of_tokens_is_refused_on_wsgi() -> None:
    async def listener(_event: Any) -> None: ...

    tokens = APITokens(secret_key=KEY, on_event=listener)
    with pytest.raises(TypeError, match="async"):
        WSGIMiddleware(lambda _e, _s: [], SessionManager(secret_key=KEY), api_tokens=tokens)


def test_a_store_that_fails_within_a_verb_of_pages_is_raised() -> None:
    """As in a view that shows a list: a ``StoreError`` is the app's, and then a 503."""
    brittle = BrittleStore()
    tokens = APITokens(store=brittle, secret_key=KEY)
    brittle.down = True
    with pytest.raises(StoreError, match="did not answer"):
        tokens.create("alice", name="ci")
