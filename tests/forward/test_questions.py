"""What a proxy asks, and what it is answered: both stacks, without any server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.forward.gates import AUDIENCE, DUE, STACKS, Gate, bearer, cookie, described

from sessiongate import APITokens, ConfigurationError, SessionManager
from sessiongate.forward import ForwardAuth, WSGIForwardAuth
from sessiongate.stores import MemoryStore

if TYPE_CHECKING:
    from tests.forward.answers import Answer, Field

HTML: Final = ("Accept", "text/html")
CROSS: Final = ("Sec-Fetch-Site", "cross-site")
IDENTITY: Final = ("remote-user", "remote-scopes", "authorization")


def identity(answer: Answer) -> list[str | None]:
    return [answer.one(name) for name in IDENTITY]


def test_every_identity_header_is_always_sent(gate: Gate) -> None:
    ours = cookie(gate.open(scopes=["read", "admin"]))
    asked = gate.ask("optional=1", *described())
    assert (asked.status, identity(asked)) == (200, ["", "", ""])
    asked = gate.ask("", *described(), ours)
    assert (asked.status, identity(asked)) == (200, ["alice", "admin read", ""])
    assert asked.one("vary") == "Cookie, Authorization"


def test_all_demands_at_once(gate: Gate) -> None:
    query = f"scope=admin&scope=read&fresh=300&login=/login&optional=1&audience={AUDIENCE}"
    asked = gate.ask(query, *described(), bearer(gate.open(scopes=["read", "admin"])))
    assert identity(asked)[:2] == ["alice", "admin read"]
    assert (asked.one("authorization") or "").startswith("Bearer eyJ")
    assert gate.ask(query, *described(), cookie(gate.open())).status == 403
    assert identity(gate.ask(query, *described())) == ["", "", ""]


@pytest.mark.parametrize(
    "query",
    [
        *("unknown=1", "Scope=admin", "scope", "scope=", "scope=a+b", "scope=a&", "&scope=a"),
        *("fresh=", "fresh=x", "fresh=-1", "fresh=nan", "fresh=inf", "fresh=1&fresh=2"),
        *("login=", "login=login", "login=//evil.example", "login=/%5Cevil", "login=ftp://x/"),
        *("login=javascript:x", "login=/a&login=/b", "login=https:///login"),
        *("optional=0", "optional=true", "optional=", "optional=1&optional=1"),
        *("api_tokens=true", "api_tokens=1&fresh=1"),
        *("redirect=header", "redirect=303&login=/login", "audience=", "uri=/", "scope=%ff"),
        "&".join(f"scope=s{n}" for n in range(99)),
    ],
)
def test_a_wrong_demand_lets_nobody_in_and_is_named(
    gate: Gate, query: str, logged: list[str]
) -> None:
    for fields in (described(), [*described(), cookie(gate.open(scopes=["admin"]))]):
        asked = gate.ask(query, *fields)
        assert (asked.status, asked.all("remote-user")) == (500, [])
    (line,) = [line for line in logged if "forward auth let nobody in: the demands" in line]
    assert query[:100] in line


def test_an_audience_without_tokens_is_an_error(gate: Gate, logged: list[str]) -> None:
    ours = cookie(gate.open())
    assert gate.ask("audience=https://elsewhere.example", *described(), ours).status == 500
    assert any("https://elsewhere.example" in line for line in logged)
    bare = Gate(gate.stack, service_tokens=None)
    assert bare.ask(f"audience={AUDIENCE}", *described()).status == 500
    assert any("pass service_tokens= to the app" in line for line in logged)


WITHOUT: Final = {
    part: [field for field in described() if part not in field[0]]
    for part in ("Method", "Proto", "Host", "Uri")
}


@pytest.mark.parametrize("part", WITHOUT)
def test_what_the_proxy_leaves_out_is_refused_and_named(
    gate: Gate, part: str, logged: list[str]
) -> None:
    ours = cookie(gate.open())
    assert gate.ask("", *WITHOUT[part], ours).status == 400
    assert gate.ask("optional=1", *WITHOUT[part]).status == 400
    assert len([line for line in logged if f"have the proxy set X-Forwarded-{part}" in line]) == 1
    original = f"X-Original-{part}", dict(described())[f"X-Forwarded-{part}"]
    assert gate.ask("", *WITHOUT[part], ours, original).status == 200


@pytest.mark.parametrize("field", described(), ids=lambda field: field[0])
def test_contradictions_are_refused(gate: Gate, field: Field) -> None:
    name, value = field
    ours, other = cookie(gate.open()), name.replace("Forwarded", "Original")
    unlike = {"GET": "POST", "https": "http", "app.example": "b.example"}.get(value, "/b")
    assert gate.ask("", *described(), ours, (other, value)).status == 200
    for more in ((other, unlike), (name, unlike), (name, value), (other, "")):
        fields = [*described(), ours, more]
        # A WSGI server joins what came twice with a comma, and a URI may hold one.
        joined = gate.stack == "wsgi" and name == more[0] == "X-Forwarded-Uri"
        assert joined or gate.ask("", *fields).status == 400


@pytest.mark.parametrize(
    ("part", "value"),
    [
        *(("method", value) for value in ("", " ", "GET POST", "GET,GET", "G\xe9T", "x" * 65)),
        *(("proto", value) for value in ("", "ftp", "https,http", "HTTPS")),
        *(("host", value) for value in ("", "a b", "a/b", "a@b", "a,a", "a:b", "\xe9", "a?")),
        *(("uri", value) for value in ("", "page", "*", "http://evil.example/", "/a b", "/\x01")),
    ],
)
def test_what_is_malformed_is_refused(gate: Gate, part: str, value: str) -> None:
    asked = gate.ask("optional=1", *described(**{part: value}))
    assert (asked.status, asked.all("remote-user")) == (400, [])


def test_the_original_method_decides(gate: Gate) -> None:
    ours = cookie(gate.open())
    for method in ("GET", "HEAD", "OPTIONS"):
        assert gate.ask("", *described(method), ours, CROSS).status == 200
    for method in ("POST", "DELETE", "get", "CONNECT"):
        for asked_with in ("GET", "POST"):
            asked = gate.ask("", *described(method), ours, CROSS, method=asked_with)
            assert asked.status == 403
        own = ("Origin", "https://app.example")
        assert gate.ask("", *described(method), ours, own).status == 200
        assert gate.ask("", *described(method, host="b.example"), ours, own).status == 403


@pytest.mark.parametrize(
    "sign",
    [
        ("Upgrade", "websocket"),
        ("Upgrade", "h2c, WebSocket"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-Fetch-Mode", "websocket"),
    ],
)
def test_a_handshake_is_no_safe_get(gate: Gate, sign: Field) -> None:
    ours, evil = cookie(gate.open()), ("Origin", "https://evil.example")
    assert gate.ask("", *described(), ours, evil).status == 200
    assert gate.ask("", *described(), ours, evil, sign).status == 403
    assert gate.ask("", *described(), ours, ("Origin", "https://app.example"), sign).status == 200
    assert gate.ask("login=/login", *described(), HTML, sign).status == 401


def test_a_head_to_the_gate_has_no_body(gate: Gate) -> None:
    asked = gate.ask("", *described("HEAD"), method="HEAD")
    assert asked.status == 401
    assert asked.body == b"" or gate.stack == "asgi"  # where the server sees to it
    gate.store.down = True
    ours = cookie(gate.open()) if not gate.store.down else cookie("sg_x")
    assert gate.ask("", *described("HEAD"), ours, method="GET").body


@pytest.mark.parametrize(
    ("login", "uri", "location"),
    [
        ("/login", "/a%2Fb?x=%26&y", "/login?next=/a%252Fb%3Fx%3D%2526%26y"),
        ("/login?lang=en", "/", "/login?lang=en&next=/"),
        ("/login", "//evil.example", "/login?next=//evil.example"),
        ("/login", "/\xe9", "/login?next=/%25E9"),
        (
            "https://login.example/login",
            "/a?b",
            "https://login.example/login?next=https%3A//app.example/a%3Fb",
        ),
    ],
)
def test_the_way_to_the_login_and_back(gate: Gate, login: str, uri: str, location: str) -> None:
    query = f"login={login.replace('?', '%3F')}"
    asked = gate.ask(query, *described(uri=uri), HTML)
    assert (asked.status, asked.one("location")) == (303, location)
    for_nginx = gate.ask(f"{query}&redirect=header", *described(uri=uri), HTML)
    assert (for_nginx.status, for_nginx.one("x-login-location")) == (401, location)
    assert for_nginx.one("www-authenticate") == 'Bearer realm="sessiongate"'
    assert gate.ask(query, *described("POST", uri), HTML).one("location") == login


def test_a_script_is_sent_nowhere(gate: Gate) -> None:
    for fields in ([("Accept", "*/*")], [HTML, ("Sec-Fetch-Mode", "cors")], [HTML, bearer("x")]):
        asked = gate.ask("login=/login&redirect=header", *described(), *fields)
        assert (asked.status, asked.all("location")) == (401, [])
        assert asked.all("x-login-location") == []


@pytest.mark.parametrize("stack", STACKS)
def test_an_api_token_is_for_what_names_scopes_or_wants_it(stack: Any) -> None:
    api_tokens = APITokens(store=MemoryStore(), secret_key="a" * 64)
    gate = Gate(stack, api_tokens=api_tokens)
    ours = bearer(api_tokens.create("alice", name="ci", scopes=["read"]))
    for query in ("api_tokens=1", "scope=read"):
        assert gate.ask(query, *described(), ours).one("remote-user") == "alice"
    for query in ("", "fresh=300", "optional=1", "scope=admin"):
        assert gate.ask(query, *described(), ours).status == 403
    assert gate.ask("api_tokens=1&fresh=300", *described(), ours).status == 500


def test_two_live_sessions_are_sent_to_the_login_too(gate: Gate) -> None:
    both = "Cookie", "; ".join(f"__Host-session={gate.open(name)}" for name in ("alice", "bob"))
    assert gate.ask("", *described(), both, HTML).status == 400
    asked = gate.ask("login=/login&redirect=header", *described(), both, HTML)
    assert (asked.status, asked.one("x-login-location")) == (401, "/login?next=/page")


def test_a_store_that_is_down_is_a_503(gate: Gate) -> None:
    ours = cookie(gate.open())
    gate.store.down = True
    for query in ("", "optional=1", "login=/login&redirect=header"):
        asked = gate.ask(query, *described("HEAD"), ours, HTML)
        assert (asked.status, asked.one("retry-after")) == (503, "5")
        assert asked.one("content-length") == str(len(asked.body))
    assert gate.ask("optional=1", *described()).status == 200


def test_paths_of_the_middleware_are_the_original_ones(gate: Gate) -> None:
    token = gate.open()
    gate.clock.advance(DUE)
    for path in ("/public/poll", "/public/p%6Fll/x?y"):
        assert gate.ask("", *described(uri=path), cookie(token)).session is None
    assert (
        gate.ask("optional=1", *described(uri="/public/static/x"), cookie(token)).one("remote-user")
        == ""
    )
    assert gate.ask("", *described(uri="/public/polls"), cookie(token)).session


@given(username=st.text(min_size=1, max_size=40))
def test_each_name_goes_into_a_header_and_comes_out_of_it(username: str) -> None:
    gate = Gate("wsgi")
    try:
        token = gate.open(username)
    except ValueError:
        return  # no name for any session
    sent = gate.ask("", *described(), cookie(token)).one("remote-user")
    assert sent is not None
    assert sent.isascii()
    assert sent.isprintable()
    assert not set(sent) & set(' "<>{}\\')
    assert unquote(sent, errors="strict") == username


@pytest.mark.parametrize("stack", STACKS)
def test_the_names_of_the_headers_are_yours(stack: Any) -> None:
    gate = Gate(stack, user_header="X-User", scopes_header="X-Scopes", realm="here")
    asked = gate.ask("", *described(), cookie(gate.open(scopes=["a"])))
    assert (asked.one("x-user"), asked.one("x-scopes")) == ("alice", "a")
    assert asked.all("remote-user") == []
    assert 'realm="here"' in (gate.ask("", *described()).one("www-authenticate") or "")


@pytest.mark.parametrize(
    "options",
    [
        {"user_header": "Remote_User"},
        {"user_header": "a b"},
        {"user_header": ""},
        {"user_header": "remote-scopes"},
        {"scopes_header": "Authorization"},
        {"scopes_header": "set-cookie"},
        {"proxy": "squid"},
    ],
)
@pytest.mark.parametrize("app", [ForwardAuth, WSGIForwardAuth])
def test_unfit_arguments_are_refused_at_once(app: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"user_header|proxy"):
        app(SessionManager(), **options)
    with pytest.raises(TypeError):
        app(SessionManager(), realms="x")


@pytest.mark.parametrize("stack", STACKS)
def test_envoy_asks_with_the_request_itself(stack: Any) -> None:
    gate = Gate(stack, proxy="envoy")
    ours = cookie(gate.open(scopes=["admin"]))
    plain: list[Field] = [("Host", "app.example"), ("X-Forwarded-Proto", "https")]
    query = "login=https://login.example/&scope=admin&uri="

    assert gate.ask(query + "/page", *plain, ours).status == 200
    away = gate.ask(query + "/page?a=1&uri=/b", *plain, HTML)
    back = "https%3A//app.example/page%3Fa%3D1%26uri%3D/b"
    assert away.one("location") == f"https://login.example/?next={back}"
    # What a client writes into its URI is no demand, and no header describes its request.
    assert gate.ask(query + "/page?x&optional=1", *plain, ("Accept", "*/*")).status == 401
    assert gate.ask("uri=/", *plain).status == 401
    forged = [*plain, ours, CROSS, ("X-Forwarded-Method", "GET"), ("X-Forwarded-Uri", "/x")]
    assert gate.ask(query + "/page", *forged, method="POST").status == 403
    assert gate.ask("scope=admin", *plain, ours).status == 400
    assert gate.ask(query + "/", *plain[1:], ours).status == 400


@pytest.mark.parametrize("extensions", [{}, {"websocket.http.response": {}}])
def test_a_handshake_that_the_proxy_hands_on_is_answered(extensions: dict[str, Any]) -> None:
    gate = Gate("asgi")
    if not extensions:
        with pytest.raises(ValueError, match="unpack"):  # it is closed: one message
            gate.ask("", *described(), type="websocket", extensions=extensions)
        return
    more: dict[str, Any] = {"type": "websocket", "extensions": extensions}
    assert gate.ask("", *described(), cookie(gate.open()), **more).one("remote-user") == "alice"
    assert gate.ask("", *described(), **more).status == 401


def test_other_scopes_are_none_of_it() -> None:
    with pytest.raises(NotImplementedError, match="lifespan"):
        Gate("asgi").ask("", type="lifespan")


def test_configuration_errors_are_of_the_package() -> None:
    with pytest.raises(ConfigurationError):
        ForwardAuth(SessionManager(), user_header="x_y")
