"""The page of administrators, and the same for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from tests.devices.site import HTML

from sessiongate.devices.flask import all_devices as for_flask
from sessiongate.devices.starlette import all_devices as for_starlette

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.devices.site import Site

PAGE = "/all-devices"


@pytest.fixture
def site(make: Callable[..., Site]) -> Site:
    return make(everybody=True, scopes=["admin"])


def admin(site: Site) -> str:
    token = site.manager.create_session("root", existing="new", scopes=("admin", "read"))
    assert token is not None
    return token


def users(site: Site, token: str, query: str = "") -> list[str]:
    """Whose sessions the page shows, in its order."""
    shown = site.ask("GET", f"{PAGE}{query}", token)
    assert shown.status == 200
    return [link.text for link in shown.all("a") if "dd" in link.path]


def forms(site: Site, token: str, query: str = "") -> list[str]:
    shown = site.ask("GET", f"{PAGE}{query}", token)
    found = [form.attributes for form in shown.all("form")]
    return [form["action"] or "" for form in found if form.get("method") == "post"]


def test_it_shows_everybody_the_oldest_first(site: Site) -> None:
    site.open("alice", device={"name": "Laptop"})
    token = admin(site)
    site.open("bob")
    assert users(site, token) == ["alice", "root", "bob"]
    shown = site.ask("GET", PAGE, token)
    assert shown.names == ["Laptop", "Unknown device", "Unknown device"]
    assert shown.text.count("This device") == 1
    assert token not in shown.text


def test_a_search_shows_one_user(site: Site) -> None:
    token = admin(site)
    for username in ("alice", "b&b", "alice"):
        site.open(username)
    assert users(site, token, "?username=alice") == ["alice", "alice"]
    assert users(site, token, f"?username={quote('b&b')}") == ["b&b"]
    nobody = site.ask("GET", f"{PAGE}?username=nobody", token)
    assert "Nobody is logged in" in nobody.text
    unfit = site.ask("GET", f"{PAGE}?username={'x' * 300}", token)
    assert (unfit.status, "Nobody is logged in" in unfit.text) == (200, True)


def test_page_by_page(site: Site) -> None:
    token = admin(site)
    for number in range(120):
        site.open(f"user{number}")
    seen: list[str] = []
    query = ""
    for _ in range(4):
        shown = site.ask("GET", f"{PAGE}{query}", token)
        seen += [link.text for link in shown.all("a") if "dd" in link.path]
        following = [link for link in shown.all("a") if link.text == "Next page"]
        if not following:
            break
        query = (following[0].attributes["href"] or "").removeprefix(PAGE)
    assert seen == ["root", *(f"user{number}" for number in range(120))]


def test_ending_one_comes_back_to_the_same_place(site: Site) -> None:
    token = admin(site)
    victims = []
    for _ in range(2):
        site.clock.advance(1)
        victims.append(site.open("alice"))
    (first, *_) = forms(site, token, "?username=alice")
    answer = site.ask("POST", first, token, **HTML)
    assert (answer.status, answer.headers["Location"]) == (303, f"{PAGE}?username=alice")
    assert [site.manager.session_username(v) for v in victims] == [None, "alice"]
    assert site.events[-1].kind == "logout"


def test_ending_all_of_a_user(site: Site) -> None:
    token = admin(site)
    for _ in range(3):
        site.open("alice")
    site.open("bob")
    *_, everywhere = forms(site, token, "?username=alice")
    answer = site.ask("POST", everywhere, token, **HTML)
    assert answer.status == 303
    assert users(site, token) == ["root", "bob"]


def test_logging_oneself_out(site: Site) -> None:
    token = admin(site)
    (mine,) = forms(site, token)
    answer = site.ask("POST", mine, token, **HTML)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert site.manager.n_active_sessions() == 0


@pytest.mark.parametrize(
    ("method", "below"),
    [("GET", ""), ("POST", "/end/HANDLE"), ("POST", "/end-user?username=alice"), ("GET", "/api"),
     ("DELETE", "/api/HANDLE"), ("POST", "/api/end-user?username=alice")],
)  # fmt: skip
def test_without_the_scope_nothing_is_shown_or_ended(site: Site, method: str, below: str) -> None:
    token = site.open("alice")
    (handle,) = site.handles()
    path = PAGE + below.replace("HANDLE", handle)
    for headers, status in (({}, 401), ({"token": token}, 403)):
        answer = site.ask(method, path, **headers)
        assert answer.status == status
        assert handle not in answer.text
    assert site.handles() == [handle]


def test_a_form_of_another_site_ends_nothing(site: Site) -> None:
    token = admin(site)
    site.open("alice")
    answer = site.ask("POST", f"{PAGE}/end-user?username=alice", token, Sec_Fetch_Site="cross-site")
    assert answer.status == 403
    assert len(site.handles()) == 1


@pytest.mark.parametrize("transport", ["cookie", "bearer"])
def test_the_same_for_programs(site: Site, transport: str) -> None:
    token = admin(site)
    for username in ("alice", "bob", "alice"):
        site.open(username)

    def ask(method: str, below: str) -> Any:
        return site.ask(method, f"{PAGE}/api{below}", token, transport=transport)

    first = ask("GET", "?limit=2").json["sessions"]
    rest = ask("GET", f"?after={first[-1]['handle']}").json["sessions"]
    assert [row["username"] for row in first + rest] == ["root", "alice", "bob", "alice"]
    assert ask("DELETE", f"/{first[1]['handle']}").status == 204
    assert ask("DELETE", f"/{first[1]['handle']}").status == 404
    assert ask("POST", "/end-user?username=alice").json == {"ended": 1}
    assert ask("POST", "/end-user").status == 400
    for query in ("?limit=x", "?limit=0", "?after=nonsense!", f"?after={'A' * 22}"):
        assert ask("GET", query).status == 400
    assert site.handles("alice") == []


def test_a_place_that_is_gone_leads_to_the_start(site: Site) -> None:
    answer = site.ask("GET", f"{PAGE}?username=bob&after={'A' * 22}", admin(site))
    assert (answer.status, answer.headers["Location"]) == (303, f"{PAGE}?username=bob")


@pytest.mark.parametrize("make_page", [for_flask, for_starlette])
@pytest.mark.parametrize("scopes", [None, [], ()])
def test_a_scope_has_to_be_named(make_page: Any, scopes: Any) -> None:
    options = {} if scopes is None else {"scopes": scopes}
    with pytest.raises(ValueError, match="scopes must name"):
        make_page(**options)


def test_a_template_of_the_app(make: Callable[..., Site]) -> None:
    template = "{% for d in page.devices %}{{ d.username }} {{ page.end_url(d) }};{% endfor %}"
    site = make(everybody=True, scopes=["admin"], template=template)
    token = admin(site)
    (handle,) = site.handles("root")
    assert site.ask("GET", PAGE, token).text == f"root {PAGE}/end/{handle};"


def test_below_a_mount(make: Callable[..., Site]) -> None:
    site = make(everybody=True, scopes=["admin"], mounted="/shop")
    token = admin(site)
    site.open("alice")
    shown = site.ask("GET", f"/shop{PAGE}", token)
    actions = [form.attributes["action"] or "" for form in shown.all("form")]
    assert all(action.startswith(f"/shop{PAGE}") for action in actions)
    answer = site.ask("POST", actions[-1], token, **HTML)
    assert (answer.status, answer.headers["Location"]) == (303, f"/shop{PAGE}")
    assert site.handles() == []


@pytest.mark.parametrize("name", ["", "%0a", "x" * 300])
def test_a_name_that_nobody_can_have(site: Site, name: str) -> None:
    token = admin(site)
    assert site.ask("POST", f"{PAGE}/end-user?username={name}", token).status == 303
    assert site.ask("POST", f"{PAGE}/api/end-user?username={name}", token).status == 400


def test_other_parameters_are_not_carried_along(site: Site) -> None:
    token = admin(site)
    site.open()
    (handle,) = site.handles()
    answer = site.ask("POST", f"{PAGE}/end/{handle}?url=x&username=alice&evil=1", token)
    assert (answer.status, answer.headers["Location"]) == (303, f"{PAGE}?username=alice")


def test_the_next_page_is_there_when_its_mark_has_ended(site: Site) -> None:
    token = admin(site)
    for number in range(60):
        site.open(f"user{number}")
    shown = site.ask("GET", PAGE, token)
    (following,) = [link for link in shown.all("a") if link.text == "Next page"]
    last = [form for form in shown.all("form") if "/end/" in (form.attributes["action"] or "")][-1]
    assert site.ask("POST", last.attributes["action"] or "", token).status == 303
    rest = site.ask("GET", following.attributes["href"] or "", token)
    assert rest.status == 200
    assert len(rest.names) == 11
