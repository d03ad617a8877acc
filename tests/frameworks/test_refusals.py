"""Who is refused, and that the framework answers: its handlers, formats and CORS apply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.frameworks.cases import SECRET
from tests.frameworks.kits import FRONT_END, KITS, add_cors, add_json_errors, make_kit

from sessiongate import SessionManager
from sessiongate.testing import ManualClock

if TYPE_CHECKING:
    from tests.frameworks.kits import Kit

ELSEWHERE = {"Sec_Fetch_Site": "cross-site", "Origin": "https://elsewhere.example"}


@pytest.fixture
def manager() -> SessionManager:
    return SessionManager(
        secret_key=SECRET, max_concurrent_sessions=2, existing="new", clock=ManualClock()
    )


@pytest.fixture(params=KITS)
def kit(request: pytest.FixtureRequest, manager: SessionManager) -> Kit:
    return make_kit(request.param, manager)


def cookie(*tokens: Any) -> dict[str, str]:
    return {"Cookie": "; ".join(f"__Host-session={token}" for token in tokens)}


REFUSED = pytest.mark.parametrize(
    ("method", "headers", "status", "said"),
    [
        ("GET", {}, 401, "Authentication is required."),
        ("GET", {"Authorization": "Bearer dead"}, 401, "The token is not valid."),
        ("GET", {"Authorization": "Bearer"}, 400, "The Authorization header is malformed."),
        ("GET", {"Cookie": "two"}, 400, "The request came with two sessions, log in again."),
        ("POST", {"Cookie": "one", **ELSEWHERE}, 403, "This request came from another site"),
    ],
)


def with_tokens(headers: dict[str, str], manager: SessionManager) -> dict[str, str]:
    """The headers with real tokens in place of their number."""
    count = {"one": 1, "two": 2}.get(headers.get("Cookie", ""), 0)
    tokens = [manager.create_session(name) for name in ("alice", "bob")[:count]]
    return headers | cookie(*tokens) if tokens else headers


@REFUSED
def test_a_guard_says_what_is_wrong(
    manager: SessionManager,
    kit: Kit,
    method: str,
    headers: dict[str, str],
    status: int,
    said: str,
) -> None:
    answer = kit.ask(method, "/private", **with_tokens(headers, manager))
    assert answer.status == status
    assert said in answer.text
    assert ("WWW-Authenticate" in answer.headers) == (status != 403)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers


@REFUSED
def test_a_script_of_another_origin_may_read_it(
    manager: SessionManager,
    kit: Kit,
    method: str,
    headers: dict[str, str],
    status: int,
    said: str,
) -> None:
    add_cors(kit.app)
    headers = {"Origin": FRONT_END} | with_tokens(headers, manager)
    headers["Origin"] = FRONT_END
    answer = kit.ask(method, "/private", **headers)
    assert answer.status == status
    assert said in answer.text
    assert answer.headers["Access-Control-Allow-Origin"] == FRONT_END


@REFUSED
def test_the_app_formats_it(
    manager: SessionManager,
    kit: Kit,
    method: str,
    headers: dict[str, str],
    status: int,
    said: str,
) -> None:
    add_json_errors(kit.app)
    answer = kit.ask(method, "/private", **with_tokens(headers, manager))
    assert answer.status == status
    assert said in answer.json["error"]
    assert ("WWW-Authenticate" in answer.headers) == (status != 403)


@REFUSED
def test_nobody_is_locked_out_of_what_is_for_everybody(
    manager: SessionManager,
    kit: Kit,
    method: str,
    headers: dict[str, str],
    status: int,
    said: str,
) -> None:
    """The login page among it."""
    del method, status, said
    headers = with_tokens(headers, manager)
    assert kit.ask("GET", "/enter", **headers).text == "Who are you?"
    told = kit.ask("POST", "/open", **headers)
    assert told.status == 200
    assert told.json["username"] is None


def test_a_login_at_a_limit_is_refused_with_a_clear_text(manager: SessionManager, kit: Kit) -> None:
    for name in ("alice", "bob"):
        assert manager.create_session(name)
    answer = kit.ask("POST", "/login/carol")
    assert answer.status == 403
    assert "There are too many sessions: log out on another device" in answer.text
    assert "Set-Cookie" not in answer.headers
    assert manager.n_active_sessions() == 2
    assert manager.user_sessions("carol") == []


def test_the_app_formats_the_limit_as_well(manager: SessionManager, kit: Kit) -> None:
    add_json_errors(kit.app)
    for name in ("alice", "bob"):
        assert manager.create_session(name)
    answer = kit.ask("POST", "/login/carol")
    assert answer.status == 403
    assert answer.json["error"].startswith("There are too many sessions")


def test_the_login_of_the_request_itself_gives_none_at_a_limit(
    manager: SessionManager, kit: Kit
) -> None:
    assert kit.ask("POST", "/quiet/alice").json is True
    assert manager.create_session("bob")
    assert kit.ask("POST", "/quiet/carol").json is False


def test_a_login_in_place_of_the_own_session_needs_no_room(
    manager: SessionManager, kit: Kit
) -> None:
    tokens = [manager.create_session(name) for name in ("alice", "bob")]
    assert kit.ask("POST", "/login/carol", **cookie(tokens[0])).text == "Welcome!"
    assert manager.n_active_sessions() == 2


@pytest.mark.parametrize("logged_in", [False, True])
def test_another_site_logs_nobody_in(manager: SessionManager, kit: Kit, *, logged_in: bool) -> None:
    token = manager.create_session("alice")
    headers = ELSEWHERE | (cookie(token) if logged_in else {})
    answer = kit.ask("POST", "/login/mallory", **headers)
    assert answer.status == 403
    assert "Open this site itself and try again." in answer.text
    assert "Set-Cookie" not in answer.headers
    assert manager.user_sessions("mallory") == []
    assert manager.session_username(str(token)) == "alice"


def test_another_site_may_log_in_where_the_view_says_so(manager: SessionManager, kit: Kit) -> None:
    answer = kit.ask("POST", "/form-post/alice", **ELSEWHERE)
    assert answer.text == "Welcome!"
    assert answer.headers["Set-Cookie"].startswith("__Host-session=sg_")
    assert len(manager.user_sessions("alice")) == 1


@pytest.mark.parametrize("logged_in", [False, True])
def test_another_site_logs_nobody_out(
    manager: SessionManager, kit: Kit, *, logged_in: bool
) -> None:
    """Without its cookie the browser would obey a deletion all the same."""
    token = manager.create_session("alice")
    headers = ELSEWHERE | (cookie(token) if logged_in else {})
    answer = kit.ask("POST", "/logout", **headers)
    assert answer.status == 403
    assert "came from another site" in answer.text
    assert "Set-Cookie" not in answer.headers
    assert manager.session_username(str(token)) == "alice"


def test_the_app_formats_the_refusals_of_the_verbs(kit: Kit) -> None:
    add_json_errors(kit.app)
    for path in ("/login/mallory", "/logout"):
        answer = kit.ask("POST", path, **ELSEWHERE)
        assert answer.status == 403
        assert answer.json["error"].startswith("This request came from another site")


def test_a_browser_is_not_sent_from_another_site_to_the_login_page(
    manager: SessionManager,
) -> None:
    """The login would be refused as well."""
    headers = ELSEWHERE | cookie(manager.create_session("alice"))
    for name in KITS:
        answer = make_kit(name, manager, login_url="/enter").ask(
            "POST", "/private", Accept="text/html", **headers
        )
        assert answer.status == 403, name


@pytest.mark.parametrize("name", KITS)
def test_a_browser_with_two_sessions_is_sent_to_the_login_page(
    manager: SessionManager, name: str
) -> None:
    kit = make_kit(name, manager, login_url="/enter")
    headers = cookie(manager.create_session("alice"), manager.create_session("bob"))
    answer = kit.ask("GET", "/private", Accept="text/html", **headers)
    assert (answer.status, answer.headers["Location"]) == (303, "/enter?next=/private")
    assert kit.ask("POST", "/login/carol", **headers).text == "Welcome!"
    assert [row["username"] for row in manager.sessions.values()] == ["carol"]
