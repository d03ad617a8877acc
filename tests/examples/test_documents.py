"""The documents hold: their Python runs, their links lead on, their tables are the code's."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any, Final, get_args

import httpx
import pytest
from flask import request
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect
from tests.examples.documents import DOCUMENTS, ROOT, SITE, blocks, run, title
from werkzeug.test import Client

from sessiongate import ConfigurationError, JWTSessionManager, SessionCookie, SessionManager
from sessiongate.events import EventKind
from sessiongate.http.settings import MiddlewareSettings
from sessiongate.kits.guard import Guard
from sessiongate.stores import MemoryStore, PostgresStore, RedisStore, SQLAlchemyStore, SQLiteStore
from sessiongate.testing import ManualClock
from sessiongate.wsgi import SessionAuthMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APART = (
    "docs/moving-from/",
    "docs/django.md",
    "docs/quick-start.md",
    "docs/login-page.md",
    "docs/other-frameworks.md",
    "docs/testing.md",
)
"""Pages whose blocks are alternatives, or files; tests of their own run them one by one."""

RUNNABLE = [
    title(document)
    for document in DOCUMENTS
    if any(block.name is not None for block in blocks(document))
    and not title(document).startswith(APART)
]

PASSWORD = {"username": "alice", "password": "open sesame"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=title)
def test_all_python_compiles(document: Path) -> None:
    for block in blocks(document):
        compile(block.code, str(document), "exec", dont_inherit=True)


@pytest.mark.parametrize("document", RUNNABLE)
def test_what_is_marked_as_runnable_runs(document: str) -> None:
    run(document)


def links(document: Path) -> Iterator[tuple[str, str]]:
    """File and anchor of each link that stays in the project; either may be empty."""
    text = re.sub(r"```.*?```|`[^`\n]+`", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        yield file, anchor


def anchors(document: Path) -> set[str]:
    """The anchors of the headings, as both a forge and the site make them."""
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=title)
def test_links_lead_to_files_and_headings(document: Path) -> None:
    for file, anchor in links(document):
        target = document.parent / file if file else document
        assert target.exists(), file
        assert not anchor or anchor in anchors(target), f"{file}#{anchor}"


@pytest.mark.parametrize("document", SITE, ids=title)
def test_a_page_of_the_site_links_only_to_what_the_site_has(document: Path) -> None:
    for file, _ in links(document):
        assert (document.parent / file).resolve().is_relative_to(ROOT / "docs"), file


@pytest.mark.parametrize("document", SITE, ids=title)
def test_a_page_of_the_site_loads_nothing_from_elsewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert "```mermaid" not in text, "its script would come from a CDN: draw an SVG"
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert not re.search(r"!\[[^\]]*\]\(\w+:|<(img|script|link|iframe)\b", text)


def named(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for entry in nav.values() if isinstance(nav, dict) else nav:
            yield from named(entry)


def test_every_page_is_in_the_navigation_once() -> None:
    project = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in SITE]
    assert sorted(named(project["nav"])) == sorted(pages)


# The apps of the README and of the quick start.


class Browser:
    """A client of a WSGI or an ASGI app, over https."""

    def __init__(self, app: Any, kind: str) -> None:
        self._wsgi = kind == "wsgi"
        self._client: Any = Client(app) if self._wsgi else TestClient(app, "https://localhost")

    def __call__(
        self, method: str, path: str, headers: dict[str, str] | None = None, /, **data: str
    ) -> tuple[int, str]:
        options: Any = {"headers": headers or {}, "follow_redirects": True}
        if self._wsgi:
            options["base_url"] = "https://localhost"
        if data:
            options["data"] = data
        answer = getattr(self._client, method)(path, **options)
        return answer.status_code, answer.text.strip('"')


@pytest.mark.parametrize(
    ("document", "name", "kind"),
    [
        ("README.md", "flask", "wsgi"),
        ("README.md", "fastapi", "asgi"),
        ("docs/index.md", "first", "wsgi"),
        *(("docs/quick-start.md", name, "wsgi") for name in ("flask", "wsgi")),
        *(
            ("docs/quick-start.md", name, "asgi")
            for name in ("starlette", "fastapi", "asgi", "quart", "litestar")
        ),
    ],
)
def test_the_example_apps_work(document: str, name: str, kind: str) -> None:
    ask = Browser(run(document, name)["app"], kind)
    assert ask("get", "/")[0] == 401
    assert ask("post", "/login", **PASSWORD | {"password": "?"})[0] == 403
    assert ask("get", "/")[0] == 401
    assert ask("post", "/login", **PASSWORD) == (200, "Welcome!")
    assert ask("get", "/") == (200, "Hello, alice!")
    if document == "docs/quick-start.md":
        assert ask("post", "/logout") == (200, "Bye!")
        assert ask("get", "/")[0] == 401


def test_every_app_of_the_quick_start_is_tried() -> None:
    apps = {block.name for block in blocks(ROOT / "docs/quick-start.md")}
    tried = {"flask", "starlette", "fastapi", "wsgi", "asgi", "quart", "litestar"}
    assert apps - {None} == tried


JSON = {"Accept": "application/json"}
ELSEWHERE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}


@pytest.mark.parametrize(
    "name", ["flask", "starlette", "fastapi", "wsgi", "asgi", "quart", "litestar"]
)
def test_the_apps_of_the_quick_start_know_what_can_go_wrong_at_a_login(name: str) -> None:
    """Another site logs nobody in or out."""
    app = run("docs/quick-start.md", name)["app"]
    ask = Browser(app, "wsgi" if name in {"flask", "wsgi"} else "asgi")
    assert ask("post", "/login", ELSEWHERE, **PASSWORD)[0] == 403
    assert ask("post", "/login", **PASSWORD) == (200, "Welcome!")
    assert ask("post", "/logout", ELSEWHERE)[0] in {401, 403}
    assert ask("get", "/") == (200, "Hello, alice!")


def test_the_verifiers_of_service_tokens_are_those_of_the_example() -> None:
    """Which run against real tokens, in tests of their own."""
    page = (ROOT / "docs/service-tokens.md").read_text(encoding="utf-8")
    for file, begin, end in (
        ("reports.py", "class Verifier", "\n\nINVALID"),
        ("reports.mjs", "const issuer", "\n// An error of"),
    ):
        example = (ROOT / "examples/service_tokens" / file).read_text(encoding="utf-8")
        assert example[example.index(begin) : example.index(end)].rstrip() in page


def test_the_app_of_service_tokens_publishes_its_keys() -> None:
    names = run("docs/service-tokens.md")
    answer = names["app"].test_client().get("/.well-known/jwks.json")
    assert answer.get_json() == names["tokens"].jwks()
    published = [
        [key["kid"] for key in names[step].jwks()["keys"]]
        for step in ("announced", "changed", "done")
    ]
    assert published[0] == published[1][::-1]
    assert published[2] == published[1][:1]


def at_a_limit(manager: SessionManager) -> None:
    for _ in range(5):
        assert manager.create_session("alice", existing="new") is not None


@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("flask-login", "/"),
        ("starlette-login", "/"),
        ("fastapi-login", "/account"),
    ],
)
def test_the_complete_login_pages_are_complete(name: str, home: str) -> None:
    names = run.__wrapped__("docs/login-page.md", name)
    ask = Browser(names["app"], "wsgi" if name == "flask-login" else "asgi")
    status, page = ask("get", f"{home}?tab=1", {"Accept": "text/html"})
    assert status == 200, "it was redirected to the form"
    assert f'name="next" value="{home}?tab=1"' in page

    fields = PASSWORD | {"next": f"{home}?tab=1"}
    for password, headers, said in (
        ("<?>", {}, "not the right username and password"),
        ("", {}, "not the right username and password"),
        ("open sesame", ELSEWHERE, "This request came from another site"),
    ):
        status, page = ask("post", "/login", headers, **fields | {"password": password})
        assert status == 403
        assert said in page
        assert 'value="alice"' in page
        assert f'value="{home}?tab=1"' in page
        assert ask("get", home, JSON)[0] == 401
    assert ask("post", "/login", **fields) == (200, "Hello, alice!"), "and it led on"
    assert ask("post", "/logout", ELSEWHERE)[0] == 403
    assert ask("get", home, JSON)[0] == 200
    assert ask("post", "/logout")[0] == 200
    assert ask("get", home, JSON)[0] == 401
    evil = PASSWORD | {"next": "//elsewhere.example"}
    assert ask("post", "/login", **evil) == (200, "Hello, alice!")
    ask("post", "/logout")

    at_a_limit(names["manager"])
    status, page = ask("post", "/login", **fields)
    assert status == 403
    assert "There are too many sessions" in page


def test_the_example_of_the_manager_holds(capsys: pytest.CaptureFixture[str]) -> None:
    run.__wrapped__("docs/api/managers.md")
    assert "{'name': 'laptop'}" in capsys.readouterr().out


def test_my_devices_are_mounted_in_one_line_of_flask() -> None:
    client = Client(run("docs/my-devices.md", "flask")["app"])
    https = {"base_url": "https://localhost", "headers": {"User-Agent": "curl/8"}}
    assert client.get("/devices", **https).status_code == 401
    peer = {"REMOTE_ADDR": "192.0.2.7"}
    assert client.post("/login", environ_overrides=peer, **https).text == "Welcome!"
    assert "curl" in client.get("/devices", **https).text
    (device,) = (client.get("/devices/api", **https).json or {})["devices"]
    assert (device["name"], device["ip"]) == ("curl", "192.0.2.7")


def test_my_devices_are_mounted_in_one_line_of_starlette() -> None:
    app = run("docs/my-devices.md", "starlette")["app"]
    with TestClient(app, base_url="https://localhost", headers={"User-Agent": "curl/8"}) as client:
        assert client.get("/devices").status_code == 401
        assert client.post("/login").text == "Welcome!"
        assert "curl" in client.get("/devices").text
        (device,) = client.get("/devices/api").json()["devices"]
        assert device["name"] == "curl"


def test_my_devices_make_api_tokens() -> None:
    client = Client(run("docs/my-devices.md", "api tokens")["app"])
    https = {"base_url": "https://localhost"}
    client.post("/login", **https)
    fields = {"name": "ci", "scopes": ["read"], "expires_in": 2592000}
    made = client.post("/devices/api/tokens", json=fields, **https)
    token = (made.json or {})["token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get("/notes", headers=headers, **https).text == "Your notes"
    assert client.get("/devices/api/tokens", headers=headers, **https).status_code == 403


def test_my_devices_in_a_template_of_ones_own() -> None:
    names = run("docs/my-devices.md", "template")
    token = names["manager"].create_session("alice", device={"name": "Kitchen <tablet>"})
    client = Client(names["app"])
    shown = client.get("/devices", headers={"Authorization": f"Bearer {token}"}).text
    assert "<h2>Kitchen &lt;tablet&gt; (this one)</h2>" in shown


def test_the_manager_of_the_guide_to_deployment_can_be_made() -> None:
    make_manager = run("docs/deployment.md")["make_manager"]
    keys = f"{64 * 'n'} {64 * 'o'}"
    manager = make_manager({"REDIS_URL": "redis://localhost", "SESSION_KEYS": keys})
    assert repr(manager) == "<SessionManager on RedisStore>"
    with pytest.raises(ConfigurationError, match="secret_key"):
        make_manager({"REDIS_URL": "redis://localhost", "SESSION_KEYS": "short"})


def test_two_timeouts_after_a_change_of_keys_no_old_token_is_alive() -> None:
    """The worst case: due just before its end, and no response ever arrives."""
    old, new = 64 * "o", 64 * "n"
    store, clock = MemoryStore(), ManualClock()

    def who(keys: list[str]) -> str | None:
        manager = SessionManager(3600, store=store, secret_key=keys, clock=clock)
        app = SessionAuthMiddleware(plain_app, manager)
        return Client(app, use_cookies=False).get("/", headers={"Cookie": cookie}).text

    token = SessionManager(3600, store=store, secret_key=old, clock=clock).create_session(
        "alice", existing="new"
    )
    cookie = f"__Host-session={token}"
    clock.advance(3599)
    assert who([new, old]) == "alice"  # rotated, and the response is lost
    clock.advance(3599)
    assert who([new, old]) == "alice"
    assert who([new]) == ""  # too early: it would have been logged out
    clock.advance(2)
    assert who([new, old]) == ""


def plain_app(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [environ.get("REMOTE_USER", "").encode()]


def test_the_tests_of_the_testing_guide_pass(tmp_path: Path) -> None:
    for block in blocks(ROOT / "docs/testing.md"):
        if block.name is not None:
            (tmp_path / block.name).write_text(block.code)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stdout
    assert "7 passed" in ended.stdout


GUIDE: Final[Any] = run("docs/write-a-store.md")["TestFileStore"]


class TestTheStoreOfTheGuide(GUIDE):  # type: ignore[misc] # made from text
    PROGRAMS = 3
    ROUNDS = 3
    PAIRS = 20
    TRIPLES = 40


def test_the_example_of_the_fastapi_guide_holds() -> None:
    password = {"username": "alice", "password": "open sesame"}
    app = run("docs/fastapi.md", "fastapi")["app"]
    with TestClient(app, base_url="https://localhost") as client:
        assert client.get("/").json() == "Hello, stranger!"
        assert client.get("/me").status_code == 401
        assert client.post("/login", data=password | {"password": "?"}).status_code == 403
        assert client.post("/login", data=password).status_code == 204
        assert client.get("/").json() == "Hello, alice!"
        assert client.get("/me").json() == "alice"
        assert client.get("/reports").status_code == 200
        security = client.get("/openapi.json").json()["paths"]["/reports"]["get"]["security"]
        assert security == [{"SessionCookie": ["read"]}, {"BearerToken": ["read"]}]
        assert client.delete("/me").status_code == 204
        assert client.get("/me").status_code == 401


# The guides.


FRONT_END = "https://app.example.com"


def forms_client(app: Any) -> Any:
    """A client whose ``post`` is a script's, of another origin of the same site."""
    headers = {"Origin": FRONT_END, "Sec-Fetch-Site": "same-site"}
    return TestClient(app, base_url="https://api.example.com", headers=headers)


def test_the_single_page_app_with_a_cookie() -> None:
    app = run("docs/single-page-app.md", "cookie")["app"]
    with forms_client(app) as client:
        assert client.get("/me").status_code == 401
        preflight = {"Access-Control-Request-Method": "POST"}
        assert client.options("/login", headers=preflight).status_code == 200
        assert client.post("/login", data=PASSWORD | {"password": "?"}).status_code == 403
        answer = client.post("/login", data=PASSWORD)
        assert answer.json() == {"username": "alice"}
        assert answer.headers["Access-Control-Allow-Origin"] == FRONT_END
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert client.get("/me").json() == {"username": "alice"}
        assert client.post("/logout", headers=ELSEWHERE).status_code == 403
        assert client.post("/logout").status_code == 204
        refused = client.get("/me")
        assert refused.status_code == 401
        assert refused.headers["Access-Control-Allow-Origin"] == FRONT_END


def test_the_single_page_app_with_a_bearer_token() -> None:
    app = run("docs/single-page-app.md", "bearer")["app"]
    elsewhere = {"Origin": "https://app.example.org", "Sec-Fetch-Site": "cross-site"}
    with TestClient(app, base_url="https://api.example.com", headers=elsewhere) as client:
        answer = client.post("/login", data=PASSWORD)
        assert "Set-Cookie" not in answer.headers
        assert "X-Refreshed-Token" in answer.headers["Access-Control-Expose-Headers"]
        bearer = {"Authorization": f"Bearer {answer.json()['token']}"}
        assert client.get("/me", headers=bearer).json() == {"username": "alice"}
        assert client.post("/logout", headers=bearer).status_code == 204
        assert client.get("/me", headers=bearer).status_code == 401


def test_the_single_page_app_in_flask() -> None:
    client = Client(run("docs/single-page-app.md", "flask")["app"])
    script = {
        "base_url": "https://api.example.com",
        "headers": {"Origin": FRONT_END, "Sec-Fetch-Site": "same-site"},
    }
    answer = client.options("/login", **script)
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert client.get("/me", **script).headers["Access-Control-Allow-Origin"] == FRONT_END
    assert client.post("/login", data=PASSWORD, **script).status_code == 200
    assert (client.get("/me", **script).json or {})["username"] == "alice"
    other = client.get("/me", base_url="https://api.example.com", headers=ELSEWHERE)
    assert "Access-Control-Allow-Origin" not in other.headers


def test_the_mobile_client_follows_new_tokens() -> None:
    names = run("docs/mobile-client.md", "server", "client")
    manager, saved = names["manager"], list[str]()
    transport = httpx.WSGITransport(names["app"])
    with httpx.Client(transport=transport, base_url="https://api.example.com") as client:
        assert client.get("/me").status_code == 401
        names["log_in"](client, "alice", "open sesame")
        auth: Any = client.auth
        auth.save = saved.append
        assert client.get("/me").json() == {"username": "alice"}
        (device,) = manager.user_sessions("alice")
        assert device["device"] == {"name": "a phone"}
        assert saved == []
        auth.token = manager.refresh_session(auth.token)
        assert client.get("/me").status_code == 200
        assert client.post("/logout").status_code == 204
        assert client.get("/me").status_code == 401


def test_the_mobile_client_takes_over_what_a_response_brings() -> None:
    auth = run("docs/mobile-client.md", "server", "client")["SessionAuth"]("first")
    request = httpx.Request("GET", "https://api.example.com/me")
    flow = auth.auth_flow(request)
    assert next(flow).headers["Authorization"] == "Bearer first"
    with pytest.raises(StopIteration):
        flow.send(httpx.Response(401, headers={"X-Refreshed-Token": "second"}))
    assert auth.token == "second"


@pytest.mark.parametrize("names", [("apps",), ("apps", "subdomains")])
def test_several_apps_know_one_login(names: tuple[str, ...]) -> None:
    made = run("docs/several-apps.md", *names)
    if "subdomains" in names:  # the same views on apps with other settings
        made["shop"].add_url_rule("/login", view_func=made["login"], methods=["POST"])
        made["api"].get("/me")(made["me"])
    answer = Client(made["shop"], use_cookies=False).post(
        "/login", data=PASSWORD, base_url="https://shop.example.com"
    )
    cookie = answer.headers["Set-Cookie"]
    assert ("Domain=example.com" in cookie) is ("subdomains" in names)
    with TestClient(made["api"], base_url="https://api.example.com") as client:
        assert client.get("/me").status_code == 401
        brought = {"Cookie": cookie.partition(";")[0]}
        assert client.get("/me", headers=brought).json() == "alice"
    made["shop_manager"].store.close()
    made["api_manager"].store.close()


def test_several_workers_know_one_login(tmp_path: Path) -> None:
    make_manager = run("docs/several-workers.md")["make_manager"]
    environ = {"SESSION_FILE": str(tmp_path / "sessions.db"), "SESSION_KEY": 64 * "k"}
    one, other = make_manager(environ), make_manager(environ)
    assert other.session_username(one.create_session("alice")) == "alice"
    one.store.close()
    other.store.close()


def test_behind_a_proxy_the_address_is_the_visitors() -> None:
    app = run("docs/reverse-proxy.md")["app"]

    def address() -> str:
        return str(request.remote_addr)

    app.get("/address")(address)

    told = {"X-Forwarded-For": "192.0.2.7"}
    assert Client(app).get("/address", headers=told).text == "192.0.2.7"


def test_the_websocket_of_the_guide_is_for_users() -> None:
    names = run("docs/websockets.md")
    token = names["manager"].create_session("alice")
    with TestClient(names["app"], base_url="https://testserver") as client:
        with (
            pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)),
            client.websocket_connect("wss://testserver/chat"),
        ):
            pass
        pair = ["sessiongate.bearer", token]
        with client.websocket_connect("wss://testserver/chat", subprotocols=pair) as socket:
            assert socket.receive_text() == "Hello, alice!"
            assert socket.accepted_subprotocol == "sessiongate.bearer"


# The tables.


def table_under(document: str, heading: str) -> dict[str, str]:
    """The first two cells of each row of the table that follows a heading, without backticks."""
    text = (ROOT / document).read_text(encoding="utf-8").split(f"## {heading}\n", 1)[1]
    text = text.split("\n## ", 1)[0].split("\n### ", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", text.split("|\n", 2)[-1], re.MULTILINE)
    return {name.strip("`"): value.strip().strip("`") for name, value in rows}


def keywords_of(*functions: Any, without: tuple[str, ...] = ()) -> dict[str, str]:
    """The parameters that have a default, and the default as one would type it."""
    found = {
        name: parameter.default
        for function in functions
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not parameter.empty and name not in without
    }
    return {
        name: "time.time"
        if name == "clock"
        else repr(value).replace("'", '"').removeprefix("datetime.")
        for name, value in found.items()
    }


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("`SessionManager(…)`", keywords_of(SessionManager)),
        (
            "`JWTSessionManager(…)`, in addition",
            keywords_of(JWTSessionManager, without=(*keywords_of(SessionManager),)),
        ),
        (
            "`SessionAuthMiddleware(app, manager, …)`",
            keywords_of(MiddlewareSettings),
        ),
        ("`SessionCookie(…)`", keywords_of(SessionCookie)),
        ("`@login_required(…)`", keywords_of(Guard)),
    ],
)
def test_the_reference_of_the_configuration_is_complete(
    heading: str, expected: dict[str, str]
) -> None:
    assert table_under("docs/configuration.md", heading) == expected


@pytest.mark.parametrize("store", [SQLiteStore, RedisStore, PostgresStore, SQLAlchemyStore])
def test_so_it_is_for_the_stores(store: Any) -> None:
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8").split("## The stores")[1]
    rows = text.split(f"`{store.__name__}(")[1].split("Store(")[0].splitlines()
    table = "\n".join(rows)
    for name, default in keywords_of(store, without=("url",)).items():
        assert f"`{name}`" in table, name
        assert f"| `{default}` |" in table, name


def test_the_page_on_events_knows_every_kind() -> None:
    assert set(table_under("docs/events.md", "Find the event")) == set(get_args(EventKind))
