"""API tokens on my devices: made, shown once, listed and revoked, by sessions only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from flask import request
from starlette.responses import PlainTextResponse
from tests.devices.site import HTML, make_site
from tests.stores.passing import PassingStore

from sessiongate import APITokens
from sessiongate.devices.flask import all_devices as all_for_flask
from sessiongate.devices.flask import my_devices as for_flask
from sessiongate.devices.starlette import all_devices as all_for_starlette
from sessiongate.devices.starlette import my_devices as for_starlette
from sessiongate.errors import StoreError
from sessiongate.stores import MemoryStore
from sessiongate.testing import CountingStore, ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.devices.site import Reply, Site, Stack

    from sessiongate.events import Event

DAY = 86400
API = "/devices/api/tokens"
FORM = "application/x-www-form-urlencoded"
SCOPES = ("read", "write")


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def store() -> CountingStore:
    return CountingStore(MemoryStore())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def api(store: CountingStore, events: list[Event], clock: ManualClock) -> APITokens:
    return APITokens(
        store=store, secret_key="t" * 64, max_per_user=3, clock=clock, on_event=events.append
    )


@pytest.fixture
def site(make: Callable[..., Site], api: APITokens, clock: ManualClock) -> Site:
    return make(api_tokens=api, clock=clock)


def log_in(site: Site, username: str = "alice", scopes: tuple[str, ...] = SCOPES) -> str:
    token = site.manager.create_session(username, existing="new", scopes=scopes)
    assert token is not None
    return token


def post(site: Site, here: str | None, path: str = "/devices", **fields: Any) -> Reply:
    """Send the form, as a browser does."""
    headers = {"Content_Type": FORM, **HTML}
    body = urlencode(fields, doseq=True).encode()
    return site.ask("POST", path, here, body=body, **headers)


def call(site: Site, here: str | None, fields: Any, **headers: str) -> Reply:
    """Send the same to the API."""
    body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return site.ask("POST", API, here, body=body, **{"Content_Type": "application/json"} | headers)


def shown_token(shown: Reply) -> str:
    (field,) = shown.all("textarea")
    return field.text


def test_a_token_is_made_and_shown_this_once(site: Site, api: APITokens) -> None:
    here = log_in(site)
    shown = post(site, here, name=" ci ", scopes=["read"], expires_in="2592000")

    assert shown.status == 201
    assert shown.headers["Cache-Control"] == "no-store"
    token = shown_token(shown)
    assert api.manager.session_username(token) == "alice"
    (made,) = api.tokens("alice")
    assert (made["name"], made["scopes"]) == ("ci", ["read"])
    assert (made["expires_at"] - made["created_at"]).days == 30
    assert "shown this once" in shown.text
    (field,) = shown.all("textarea")
    assert "readonly" in field.attributes
    assert not shown.all("script")

    assert token not in site.ask("GET", "/devices", here).text
    assert token not in site.ask("GET", API, here).text


@pytest.mark.parametrize(
    ("chosen", "days"),
    [({}, 90), ({"expires_in": "31536000"}, 365), ({"expires_in": "never"}, None)],
)
def test_the_lifetime_is_chosen_and_90_days_otherwise(
    site: Site, api: APITokens, chosen: dict[str, str], days: int | None
) -> None:
    assert post(site, log_in(site), name="ci", **chosen).status == 201
    (made,) = api.tokens("alice")
    ends = made["expires_at"]
    assert (ends and (ends - made["created_at"]).days) == days


def test_the_page_lists_them_the_newest_first(site: Site, api: APITokens) -> None:
    site.clock.set(1_772_000_000)
    api.create("alice", name="old & <unused>")
    used = api.create("alice", name="new", scopes=SCOPES, expires_in=30 * DAY)
    api.create("bob", name="not yours")
    assert api.manager.session_username(used) == "alice"
    site.clock.advance(120)
    shown = site.ask("GET", "/devices", log_in(site))
    new, old = (row.text for row in shown.all("li")[1:])
    assert new == (
        "new Scopes read, write Created 25 Feb 2026 Last used 2 minutes ago Ends 27 Mar 2026 Revoke"
    )
    assert old == (
        "old & <unused> Scopes None Created 25 Feb 2026 Last used Never Ends Never Revoke"
    )
    assert "not yours" not in shown.text


def test_the_form_offers_the_scopes_of_the_session_and_four_lifetimes(site: Site) -> None:
    shown = site.ask("GET", "/devices", log_in(site))
    assert "You have no API tokens." in shown.text
    boxes = [e.attributes for e in shown.all("input") if e.attributes.get("type") == "checkbox"]
    assert [(box["name"], box["value"], "checked" in box) for box in boxes] == [
        ("scopes", "read", False),
        ("scopes", "write", False),
    ]
    options = shown.all("option")
    assert [option.text for option in options] == [
        *("30 days", "90 days", "A year", "Until it is revoked"),
    ]
    assert [option.text for option in options if "selected" in option.attributes] == ["90 days"]
    for choice in (e.attributes["value"] for e in options):
        assert post(site, log_in(site, f"u{choice}"), name="x", expires_in=choice).status == 201
    assert not site.ask("GET", "/devices", log_in(site, scopes=())).all("fieldset")


def test_each_button_says_which_token_it_revokes(site: Site, api: APITokens) -> None:
    here = log_in(site)
    for name in ("one", "two"):
        api.create("alice", name=name)
    shown = post(site, here, name="three")
    by_id = {e.attributes["id"]: e.text for e in shown.all("*") if "id" in e.attributes}
    assert len(by_id) == len([e for e in shown.all("*") if "id" in e.attributes]), "ids are unique"
    names = [
        " ".join(by_id[part] for part in str(button.attributes["aria-labelledby"]).split())
        for button in shown.all("button")
        if button.text == "Revoke"
    ]
    assert names == ["Revoke three", "Revoke two", "Revoke one"]
    labels = {label.attributes.get("for") for label in shown.all("label")}
    assert {"token-name", "token-lifetime", "new-token"} <= labels


def test_a_form_revokes_one(site: Site, api: APITokens, events: list[Event]) -> None:
    here = log_in(site)
    kept, token = (api.create("alice", name=name) for name in ("kept", "lost"))
    (revoke, *_) = [
        str(form.attributes["action"])
        for form in site.ask("GET", "/devices", here).all("form")
        if "/revoke/" in str(form.attributes["action"])
    ]
    answer = site.ask("POST", revoke, here, **HTML)
    assert (answer.status, answer.headers["Location"]) == (303, "/devices")
    assert api.manager.session_username(token) is None
    assert api.manager.session_username(kept) == "alice"
    event = events[-1]
    assert (event.kind, event.username, event.transport) == ("token_revoked", "alice", "cookie")


@pytest.mark.parametrize("transport", ["cookie", "bearer"])
def test_the_same_for_programs(site: Site, api: APITokens, transport: str) -> None:
    site.clock.set(1_772_000_000)
    here, how = log_in(site), {"transport": transport}
    made = call(site, here, {"name": "ci", "scopes": ["write"], "expires_in": 60}, **how)
    assert made.status == 201
    assert made.headers["Cache-Control"] == "no-store"
    token = made.json["token"]
    (row,) = api.tokens("alice")
    assert site.ask("GET", API, here, **how).json == {
        "tokens": [
            {
                "handle": row["handle"],
                "name": "ci",
                "scopes": ["write"],
                "created_at": "2026-02-25T06:13:20+00:00",
                "last_used": None,
                "expires_at": "2026-02-25T06:14:20+00:00",
            }
        ]
    }
    one = f"{API}/{row['handle']}"
    assert site.ask("DELETE", one, here, **how).status == 204
    assert site.ask("DELETE", one, here, **how).json == {"error": "There is no such token."}
    assert api.manager.session_username(token) is None


def test_the_api_takes_forms_and_null_as_well(site: Site, api: APITokens) -> None:
    here = log_in(site)
    assert post(site, here, API, name="form", scopes=SCOPES, expires_in="never").status == 201
    assert call(site, here, {"name": "json", "expires_in": None}).status == 201
    for made, scopes in zip(api.tokens("alice"), (["read", "write"], []), strict=True):
        assert (made["scopes"], made["expires_at"]) == (scopes, None)


def test_nobody_sees_or_revokes_those_of_somebody_else(site: Site, api: APITokens) -> None:
    token = api.create("bob", name="his")
    here, handle = log_in(site), api.tokens("bob")[0]["handle"]
    unknown = "A" * 22
    for one in (handle, unknown, "x"):
        assert site.ask("DELETE", f"{API}/{one}", here).status == 404
        assert site.ask("POST", f"/devices/revoke/{one}", here).status == 303
    assert site.ask("GET", API, here).json == {"tokens": []}
    assert api.manager.session_username(token) == "bob"


LONG = "x" * 257
UNFIT = [
    ({"name": ""}, "name must not be empty"),
    ({"name": "  "}, "name must not be empty"),
    ({}, "name must not be empty"),
    ({"name": LONG}, "name must be at most 256 characters"),
    ({"name": "a\nb"}, "name must not contain control characters"),
    ({"name": "ci", "scopes": ["admin"]}, "scopes must be some of your session's: read, write"),
    ({"name": "ci", "scopes": ["read", "nope"]}, "scopes must be some"),
    ({"name": "ci", "scopes": ["authenticated"]}, "scopes must be some"),
    ({"name": "ci", "scopes": ["read write"]}, "scopes must be ASCII without spaces"),
    ({"name": "ci", "expires_in": "soon"}, "expires_in must be a number of seconds, or 'never'"),
    ({"name": "ci", "expires_in": ""}, "expires_in must be a number of seconds"),
    ({"name": "ci", "expires_in": "0"}, "expires_in must be more than 0"),
    ({"name": "ci", "expires_in": "-5"}, "expires_in must be a number"),
    ({"name": "ci", "expires_in": "9" * 30}, "expires_in must be more than 0 seconds, finite"),
]
UNFIT_JSON = [
    ({"name": 7}, "name must be a str"),
    ({"name": "\ud800"}, "name must not contain"),
    ({"name": "ci", "scopes": "read"}, "scopes must be a list"),
    ({"name": "ci", "scopes": None}, "scopes must be a list"),
    ({"name": "ci", "scopes": [["read"]]}, "scopes must be a str"),
    ({"name": "ci", "expires_in": True}, "expires_in must be a number"),
    ({"name": "ci", "expires_in": [1]}, "expires_in must be a number"),
    ({"name": "ci", "expires_in": float("inf")}, "at most 100 years"),
    (b"", "the body must be a JSON object or a form"),
    (b"[]", "the body must be a JSON object or a form"),
    (b'"name"', "the body must be a JSON object or a form"),
    (b'{"name": "\xff"}', "the body must be a JSON object or a form"),
    (b"[" * 8000, "the body must be a JSON object or a form"),
    (b'{"name": "ci", "pad": "%s"}' % (b"x" * 8192), "the body must be at most 8192 bytes"),
]


@pytest.mark.parametrize(("fields", "text"), UNFIT)
def test_an_unfit_form_makes_nothing_and_says_why(
    site: Site, store: CountingStore, fields: dict[str, Any], text: str
) -> None:
    here = log_in(site)
    shown = post(site, here, **fields)
    assert shown.status == 400
    (alert,) = [e for e in shown.all("p") if e.attributes.get("role") == "alert"]
    assert alert.text.startswith(f"No API token was made: {text}")
    answer = post(site, here, API, **fields)
    assert answer.status == 400
    assert answer.json["error"].startswith(text)
    assert store.by_verb.get("commit", 0) + store.by_verb.get("together", 0) == 0


@pytest.mark.parametrize(("fields", "text"), UNFIT_JSON)
def test_unfit_json_makes_nothing_and_says_why(
    site: Site, store: CountingStore, fields: Any, text: str
) -> None:
    answer = call(site, log_in(site), fields)
    assert answer.status == 400
    assert text in answer.json["error"]
    assert store.calls == 0


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b"name=ci"),
        ("", b"name=ci"),
        ("multipart/form-data; boundary=x", b"--x--"),
        (FORM, b"name=%ff"),
        (FORM, b"name=\xff"),
        (FORM, b"name=ci&pad=" + b"x" * 8192),
    ],
)
def test_a_body_that_cannot_be_read_makes_nothing(
    site: Site, store: CountingStore, content_type: str, body: bytes
) -> None:
    answer = site.ask("POST", API, log_in(site), body=body, Content_Type=content_type)
    assert answer.status == 400
    assert answer.json["error"]
    assert store.calls == 0


def test_the_longest_body_that_is_taken(site: Site) -> None:
    body = b"name=ci&pad="
    body += b"x" * (8192 - len(body))
    answer = site.ask("POST", API, log_in(site), body=body, Content_Type=f"{FORM}; charset=UTF-8")
    assert answer.status == 201


def test_at_the_limit_it_says_what_to_do(site: Site, api: APITokens) -> None:
    here = log_in(site)
    for _ in range(3):
        assert post(site, here, name="ci").status == 201
    refused = call(site, here, {"name": "ci"})
    assert refused.status == 403
    assert "revoke one" in refused.json["error"]
    shown = post(site, here, name="ci")
    assert (shown.status, "revoke one" in shown.text) == (403, True)
    assert not shown.all("textarea")
    assert len(api.tokens("alice")) == 3


USES = pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/devices"),
        ("POST", "/devices"),
        ("POST", "/devices/revoke/{handle}"),
        ("GET", API),
        ("POST", API),
        ("DELETE", f"{API}/{{handle}}"),
    ],
)
READS = pytest.mark.parametrize("scopes", [(), ("read",)])


@USES
@READS
def test_no_api_token_opens_it(
    make: Callable[..., Site], api: APITokens, method: str, path: str, scopes: tuple[str, ...]
) -> None:
    """Nor where the page names a scope that the token has."""
    site = make(api_tokens=api, scopes=scopes)
    token = api.create("alice", name="ci", scopes=SCOPES)
    path = path.format(handle=api.tokens("alice")[0]["handle"])
    refused = site.ask(
        method, path, token, transport="bearer", body=b"name=x", Content_Type=FORM, **HTML
    )
    assert refused.status == 403
    assert "insufficient_scope" in refused.headers["WWW-Authenticate"]
    assert [row["name"] for row in api.tokens("alice")] == ["ci"]
    assert site.ask("GET", API, log_in(site)).status == 200


@pytest.mark.parametrize(
    ("method", "below"), [("GET", ""), ("GET", "/api"), ("DELETE", "/api/{handle}")]
)
@pytest.mark.parametrize("everybody", [True, False])
def test_no_api_token_opens_the_devices(
    make: Callable[..., Site], api: APITokens, method: str, below: str, *, everybody: bool
) -> None:
    """Its manager is that of the tokens, so what it would list and end are those."""
    site = make(accepted=api, everybody=everybody, scopes=["admin"])
    token = api.create("alice", name="ci", scopes=["admin"])
    page = "/all-devices" if everybody else "/devices"
    path = page + below.format(handle=api.tokens("alice")[0]["handle"])
    assert site.ask(method, path, token, transport="bearer").status == 403
    assert len(api.tokens("alice")) == 1


@USES
def test_nobody_gets_in(site: Site, store: CountingStore, method: str, path: str) -> None:
    path = path.format(handle="A" * 22)
    answer = site.ask(method, path, body=b"name=ci", Content_Type=FORM, **HTML)
    assert answer.status == 401
    assert store.calls == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/devices"),
        ("POST", "/devices/revoke/{handle}"),
        ("POST", API),
        ("DELETE", f"{API}/{{handle}}"),
    ],
)
@pytest.mark.parametrize(
    "headers", [{"Sec_Fetch_Site": "cross-site"}, {"Origin": "https://evil.example"}]
)
def test_another_site_makes_and_revokes_nothing(
    site: Site, api: APITokens, method: str, path: str, headers: dict[str, str]
) -> None:
    here = log_in(site)
    api.create("alice", name="ci")
    path = path.format(handle=api.tokens("alice")[0]["handle"])
    answer = site.ask(method, path, here, body=b"name=x", Content_Type=FORM, **headers, **HTML)
    assert answer.status == 403
    assert [row["name"] for row in api.tokens("alice")] == ["ci"]


def test_it_asks_for_what_the_devices_ask_for(
    make: Callable[..., Site], api: APITokens, clock: ManualClock
) -> None:
    site = make(api_tokens=api, fresh=60, login_url="/login", clock=clock)
    here = log_in(site)
    assert post(site, here, name="ci").status == 201
    site.clock.advance(61)
    assert post(site, here, name="ci").headers["Location"] == "/login"
    for answer in (call(site, here, {"name": "ci"}), site.ask("GET", API, here, **HTML)):
        assert answer.status == 401
    assert len(api.tokens("alice")) == 1


def test_without_api_tokens_there_is_nothing_of_it(make: Callable[..., Site]) -> None:
    site = make()
    here = log_in(site)
    assert "API token" not in site.ask("GET", "/devices", here).text
    assert post(site, here, name="ci").status == 405
    assert site.ask("GET", API, here).status in {404, 405}


def test_what_it_costs(site: Site, api: APITokens, store: CountingStore) -> None:
    here = log_in(site)
    for number in range(2):
        api.create("alice", name=f"number {number}")
    handle = api.tokens("alice")[0]["handle"]
    costs = {
        ("GET", "/devices", b""): ({"read": 1, "of_user": 1}, {"of_user": 1}),
        ("POST", "/devices", b"name=x"): ({"read": 1, "of_user": 1}, {"together": 1, "of_user": 1}),
        ("POST", f"/devices/revoke/{handle}", b""): ({"read": 1}, {"read": 1, "swap": 1}),
        ("GET", API, b""): ({"read": 1}, {"of_user": 1}),
    }
    for (method, path, body), (sessions, tokens) in costs.items():
        store.reset()
        assert site.cost(method, path, here, body=body, Content_Type=FORM) == sessions
        assert store.by_verb == tokens


class FailingStore(PassingStore):
    def before(self, name: str, *_arguments: Any) -> None:
        raise StoreError(name)


@USES
def test_a_store_of_tokens_that_fails_is_a_503(
    make: Callable[..., Site], method: str, path: str
) -> None:
    site = make(api_tokens=APITokens(store=FailingStore(), secret_key="t" * 64))
    path = path.format(handle="A" * 22)
    answer = site.ask(method, path, log_in(site), body=b"name=ci", Content_Type=FORM)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert site.ask("GET", "/devices/api", log_in(site)).status == 200, "they did not notice"


TEMPLATE = """\
<p id="error">{{ page.error }}</p><p id="new">{{ page.new_token }}</p>
{% for token in page.api_tokens %}
<h2>{{ token.name }}</h2><form method="post" action="{{ page.revoke_url(token) }}"></form>
{% endfor %}
<form method="post" action="{{ page.make_token_url }}">{{ page.token_scopes | join(" ") }}</form>
"""


def test_an_app_may_have_a_template_of_its_own(make: Callable[..., Site], api: APITokens) -> None:
    site = make(template=TEMPLATE, api_tokens=api, path="/me/devices")
    here = log_in(site)
    (form,) = site.ask("GET", "/me/devices", here).all("form")
    assert form.text == "read write"
    shown = post(site, here, str(form.attributes["action"]), name="ci & me", scopes="read")
    assert (shown.status, shown.names) == (201, ["ci & me"])
    assert shown.headers["Cache-Control"] == "no-store"
    error, new = shown.all("p")
    assert error.text == "None"
    assert api.manager.session_username(new.text) == "alice"
    unfit = post(site, here, str(form.attributes["action"]), name="")
    assert (unfit.status, unfit.all("p")[0].text) == (400, "name must not be empty")
    revoke = str(shown.all("form")[0].attributes["action"])
    assert site.ask("POST", revoke, here).headers["Location"] == "/me/devices"
    assert api.tokens("alice") == []


def test_an_app_cannot_have_a_new_token_cached(
    make: Callable[..., Site], api: APITokens, stack: Stack
) -> None:
    headers = {"Cache-Control": "private"}

    def render(*page: Any) -> Any:
        text = repr(page[-1])
        return (text, headers) if stack == "flask" else PlainTextResponse(text, headers=headers)

    site = make(render=render, api_tokens=api)
    here = log_in(site)
    assert site.ask("GET", "/devices", here).headers["Cache-Control"] == "private"
    made = post(site, here, name="ci")
    assert (made.status, made.headers["Cache-Control"]) == (201, "no-store")
    assert "sgp_" not in made.text, "a page that is printed shows no token"


def test_it_works_wherever_it_is_mounted(make: Callable[..., Site], api: APITokens) -> None:
    site = make(mounted="/my account/ä", api_tokens=api)
    here, base = log_in(site), "/my%20account/%C3%A4/devices"
    shown = site.ask("GET", "/my account/ä/devices", here)
    assert base in [form.attributes["action"] for form in shown.all("form")]
    shown = post(site, here, base, name="ci")
    assert shown.status == 201
    (revoke,) = [
        str(form.attributes["action"])
        for form in shown.all("form")
        if "/revoke/" in str(form.attributes["action"])
    ]
    answer = site.ask("POST", revoke, here)
    assert (answer.status, answer.headers["Location"]) == (303, base)


@pytest.mark.parametrize("read", ["form", "get_data", "get_json"])
def test_flask_finds_a_body_that_a_hook_has_read(api: APITokens, read: str) -> None:
    site = make_site("flask", api_tokens=api)
    site.app.before_request(lambda: _read(read))
    here = log_in(site)
    made = call(site, here, {"name": "ci"}) if read == "get_json" else post(site, here, name="ci")
    assert made.status == 201


def _read(what: str) -> None:
    found = getattr(request, what)
    if callable(found):
        found()


@pytest.mark.parametrize("my_devices", [for_flask, for_starlette])
@pytest.mark.parametrize("unfit", [True, "store", APITokens])
def test_what_is_no_api_tokens_is_refused_at_once(my_devices: Any, unfit: Any) -> None:
    with pytest.raises(TypeError, match="api_tokens must be an APITokens"):
        my_devices(api_tokens=unfit)


@pytest.mark.parametrize("all_devices", [all_for_flask, all_for_starlette])
def test_the_page_of_administrators_has_none(all_devices: Any) -> None:
    with pytest.raises(TypeError, match="api_tokens"):
        all_devices(scopes=["admin"], api_tokens=APITokens())
