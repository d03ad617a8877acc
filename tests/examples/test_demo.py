"""The demo over real sockets: what its pages promise a visitor."""

from __future__ import annotations

import json
import re
import signal
import socket
import stat
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.examples.running_demo import Browser, Demo
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(data: Path) -> Iterator[Demo]:
    with Demo.start(data) as demo:
        yield demo
        code, errors = demo.stop()
    assert (code, "Traceback" in errors) == (0, False), errors


@pytest.fixture
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


@pytest.fixture(params=["flask", "starlette"])
def here(demo: Demo, request: pytest.FixtureRequest) -> str:
    site: str = getattr(demo, request.param)
    return site


@pytest.fixture
def there(demo: Demo, here: str) -> str:
    return demo.starlette if here == demo.flask else demo.flask


def test_a_login_on_one_is_known_on_the_other_and_so_is_its_logout(
    demo: Demo, browser: Browser, here: str, there: str
) -> None:
    response = browser.log_in(here, demo.password, next="/devices")

    assert response.url == f"{here}/devices"
    assert browser.is_known_to(here)
    assert browser.is_known_to(there)

    stolen = dict(browser.cookies)
    browser.post(f"{there}/logout")

    assert not browser.cookies
    assert not browser.is_known_to(here)
    with Browser() as thief:
        thief.cookies.update(stolen)
        assert not thief.is_known_to(here)
        assert not thief.is_known_to(there)


def test_who_is_not_logged_in_is_sent_to_the_form_and_back(browser: Browser, here: str) -> None:
    sent_to = browser.get(f"{here}/devices").url
    assert (sent_to.path, sent_to.params["next"]) == ("/login", "/devices")
    assert 'name="next" value="/devices"' in browser.get(sent_to).text


@pytest.mark.parametrize("way_back", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_the_way_back_stays_on_this_site(
    demo: Demo, browser: Browser, here: str, way_back: str
) -> None:
    response = browser.log_in(here, demo.password, next=way_back)
    assert response.url == f"{here}/account"


def test_wrong_names_and_wrong_passwords_are_told_apart_by_nobody(
    demo: Demo, browser: Browser, here: str
) -> None:
    wrong_password = browser.log_in(here, "guess")
    wrong_name = browser.log_in(here, demo.password, username="mallory")

    assert wrong_password.status_code == wrong_name.status_code == 403
    assert 'role="alert"' in wrong_password.text
    assert wrong_name.text.replace("mallory", "alice") == wrong_password.text
    assert not browser.cookies


def test_what_somebody_typed_is_shown_as_text(browser: Browser, here: str) -> None:
    response = browser.log_in(here, "guess", username='"><script>', next='"><script>')
    assert '"><script>' not in response.text


def test_my_devices_ends_one_and_all_others(
    demo: Demo, browser: Browser, here: str, there: str
) -> None:
    browser.log_in(here, demo.password)
    browser.post(f"{here}/devices/end-others")
    assert browser.other_devices(here) == []

    with Browser() as phone, Browser() as tablet:
        phone.log_in(there, demo.password)
        (end,) = browser.other_devices(here)
        browser.post(end)
        assert not phone.is_known_to(there)

        phone.log_in(there, demo.password)
        tablet.log_in(here, demo.password)
        assert len(browser.other_devices(here)) == 2
        browser.post(f"{here}/devices/end-others")
        assert not phone.is_known_to(here)
        assert not tablet.is_known_to(there)
    assert browser.is_known_to(here)


def test_my_devices_are_in_words_and_in_the_look_of_the_demo(
    demo: Demo, browser: Browser, here: str
) -> None:
    browser.log_in(here, demo.password)
    page = browser.get(f"{here}/devices")
    assert "Firefox on Linux" in page.text
    assert "From 127.0.0.1 since" in page.text
    assert '<nav class="menu"' in page.text
    assert page.headers["Content-Security-Policy"].startswith("default-src 'self';")
    devices = browser.get(f"{here}/devices/api").json()["devices"]
    assert [device["is_current"] for device in devices].count(True) == 1


def test_ending_this_one_on_my_devices_is_a_logout(demo: Demo, browser: Browser, here: str) -> None:
    browser.log_in(here, demo.password)
    (own, *_) = re.findall(r'action="(/devices/end/[^"]+)"', browser.get(f"{here}/devices").text)
    assert browser.post(here + own).url == f"{here}/"
    assert not browser.cookies
    assert not browser.is_known_to(here)


def test_another_site_cannot_post_the_forms(demo: Demo, browser: Browser, here: str) -> None:
    browser.log_in(here, demo.password)
    for form in ("logout", f"devices/end/{'A' * 22}", "devices/end-others", "devices"):
        response = browser.post(f"{here}/{form}", headers={"Sec-Fetch-Site": "cross-site"})
        assert response.status_code == 403
    assert browser.is_known_to(here)


def test_a_bearer_token_opens_both_until_its_logout(demo: Demo, here: str, there: str) -> None:
    with httpx.Client(trust_env=False) as client:
        wrong = client.post(f"{here}/api/login", json={"username": "alice", "password": "guess"})
        assert wrong.status_code == 403
        assert client.post(f"{here}/api/login", json=[]).status_code == 403
        broken: dict[str, Any] = {"content": "{", "headers": {"Content-Type": "application/json"}}
        assert client.post(f"{here}/api/login", **broken).status_code == 400

        login = client.post(
            f"{here}/api/login", json={"username": "alice", "password": demo.password}
        )
        client.headers["Authorization"] = f"Bearer {login.json()['token']}"
        assert not client.cookies
        for site in (here, there):
            me = client.get(f"{site}/api/me").json()
            assert (me["username"], me["transport"]) == ("alice", "bearer")
            assert me["scopes"] == ["notes:read", "notes:write"]
            assert me["logged_in_at"] < me["rotates_at"] < me["ends_at"]

        assert client.post(f"{there}/api/logout").status_code == 204
        for site in (here, there):
            refused = client.get(f"{site}/api/me")
            assert refused.status_code == 401
            assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]


def test_an_api_token_opens_both_with_its_scope_until_it_is_revoked(
    demo: Demo, browser: Browser, here: str, there: str
) -> None:
    browser.log_in(here, demo.password)
    form = {"name": "A script", "scopes": "notes:read"}
    page = browser.post(f"{here}/devices", data=form)
    (token,) = set(re.findall(r"sgp_[0-9A-Za-z]{50}", page.text))
    blind = browser.post(f"{there}/devices/api/tokens", json={"name": "Blind"}).json()["token"]

    with httpx.Client(trust_env=False) as script:
        for site in (here, there):
            script.headers["Authorization"] = f"Bearer {token}"
            me = script.get(f"{site}/api/me").json()
            assert (me["username"], me["api_token"]) == ("alice", "A script")
            assert (me["scopes"], me["age"], me["rotates_at"]) == (["notes:read"], None, None)
            assert script.get(f"{site}/devices/api").status_code == 403
            assert script.post(f"{site}/api/logout").status_code == 403
            script.headers["Authorization"] = f"Bearer {blind}"
            assert script.get(f"{site}/api/me").status_code == 403

        for row in browser.get(f"{there}/devices/api/tokens").json()["tokens"]:
            browser.delete(f"{there}/devices/api/tokens/{row['handle']}")
        assert script.get(f"{here}/api/me").status_code == 401


def test_the_websocket_answers_as_long_as_the_session_lives(demo: Demo, browser: Browser) -> None:
    browser.log_in(demo.flask, demo.password)
    cookie = {"Cookie": f"sessiongate={browser.cookies['sessiongate']}"}
    address = demo.starlette.replace("http", "ws") + "/ws"

    with connect(address, additional_headers=cookie, proxy=None) as websocket:
        websocket.send("hello")
        assert json.loads(websocket.recv()) == {"username": "alice", "text": "hello"}

        browser.post(f"{demo.flask}/logout")  # in the other tab, and another process
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv(60)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "session ended")


def test_the_websocket_is_refused_before_it_is_accepted(demo: Demo, browser: Browser) -> None:
    address = demo.starlette.replace("http", "ws") + "/ws"
    with pytest.raises(InvalidStatus) as refused, connect(address, proxy=None):
        pass
    assert refused.value.response.status_code == 401

    browser.log_in(demo.flask, demo.password)
    cookie = {"Cookie": f"sessiongate={browser.cookies['sessiongate']}"}
    cookie["Origin"] = "https://evil.example"
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(address, additional_headers=cookie, proxy=None),
    ):
        pass
    assert refused.value.response.status_code == 403


def test_account_pages_are_kept_by_no_cache_and_run_no_foreign_script(
    demo: Demo, browser: Browser, here: str
) -> None:
    browser.log_in(here, demo.password)
    headers = browser.get(f"{here}/account").headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"].startswith("default-src 'self';")
    for asset in ("style.css", "app.js", "gate.svg"):
        assert browser.get(f"{here}/static/{asset}").status_code == 200


@pytest.mark.usefixtures("demo")
def test_the_keys_are_for_their_owner_alone(data: Path) -> None:
    keys = [data / "secret.key", data / "api_tokens.key"]
    assert [stat.S_IMODE(key.stat().st_mode) for key in keys] == [0o600, 0o600]
    assert min(len(key.read_text()) for key in keys) >= 64
    assert keys[0].read_text() != keys[1].read_text()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_cleanly_and_a_restart_logs_nobody_out(
    tmp_path: Path, browser: Browser, number: signal.Signals
) -> None:
    with Demo.start(tmp_path) as demo:
        browser.log_in(demo.starlette, demo.password)
        code, errors = demo.stop(number)
    assert (code, "Traceback" in errors) == (0, False), errors

    with Demo.start(tmp_path) as demo:
        assert browser.is_known_to(demo.flask)
        assert browser.is_known_to(demo.starlette)
        assert demo.stop(number)[0] == 0


@pytest.mark.slow
def test_a_port_that_is_taken_is_no_obstacle(tmp_path: Path, browser: Browser) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as occupant:
        taken = occupant.getsockname()[1]
        with Demo.start(tmp_path, flask_port=taken) as demo:
            assert f"Port {taken} is taken" in demo.output
            assert browser.get(f"{demo.flask}/").status_code == 200


@pytest.mark.slow
def test_the_key_may_come_from_the_environment(tmp_path: Path) -> None:
    with Demo.start(tmp_path, secret_key="k" * 64) as demo:
        assert "Ready" in demo.output
    assert not (tmp_path / "secret.key").exists()


@pytest.mark.slow
def test_a_server_that_fails_ends_the_demo_with_an_error(tmp_path: Path) -> None:
    with Demo.start(tmp_path, secret_key=" ") as demo:
        _, errors = demo.process.communicate()
    assert demo.process.returncode == 1
    assert "secret_key must not be empty" in errors
    assert "ended unexpectedly" in errors
