"""What a client writes itself about who it is, or what it asks for, counts for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from tests.forward.gates import bearer, cookie

if TYPE_CHECKING:
    from tests.forward.answers import Field
    from tests.forward.conftest import Site

HTML: Final = ("Accept", "text/html")
CROSS: Final = ("Sec-Fetch-Site", "cross-site")

SPELLINGS: Final = [
    *("Remote-User", "remote-user", "REMOTE-USER", "rEmOtE-uSeR"),
    *("Remote_User", "REMOTE_USER", "remote_user", "Remote_user"),
]


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("value", ["root", "", " root "])
def test_an_identity_of_the_clients_own_never_reaches_the_backend(
    site: Site, name: str, value: str
) -> None:
    scopes = name.lower().replace("user", "scopes")
    for times in (1, 2):
        forged: tuple[Field, ...] = ((name, value), (scopes, "admin")) * times
        told = site.ask("/public/", *forged).told
        assert told.user == ""
        assert set(told.all("Remote-User") + told.all("Remote-Scopes")) <= {""}
        told = site.ask("/page", *forged, cookie(site.gate.open(scopes=["read"]))).told
        assert told.all("Remote-User") == ["alice"]
        assert told.all("Remote-Scopes") == ["read"]


def test_a_field_named_by_connection_is_not_dropped(site: Site) -> None:
    """``Connection: Remote-User`` would have a proxy take away what the gate said."""
    ours = cookie(site.gate.open())
    for name in ("Remote-User", "Cookie", "X-Forwarded-Method", "X-Forwarded-Uri"):
        answer = site.ask("/page", ours, ("Connection", f"close, {name}"))
        if answer.status == 200:
            assert answer.told.all("Remote-User") == ["alice"]
        else:
            assert answer.status in {303, 400, 401}


FORGED: Final[list[tuple[Field, ...]]] = [
    (("X-Forwarded-Method", "GET"),),
    (("X-Original-Method", "GET"),),
    (("X-Forwarded-Method", "GET"), ("X-Forwarded-Method", "GET")),
    (("X_Forwarded_Method", "GET"),),
    (("X-Forwarded-Host", "evil.example"),),
    (("X-Original-Host", "evil.example"),),
    (("X_Forwarded_Host", "evil.example"),),
    (("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "https")),
    (("X-Forwarded-Uri", "/public/static/x"),),
    (("X-Original-URI", "/public/static/x"), ("X-Original-URL", "/public/static/x")),
    (("X-HTTP-Method-Override", "GET"), ("X-Rewrite-URL", "/public/")),
    (("Forwarded", "host=evil.example;proto=https"),),
]


@pytest.mark.parametrize("forged", FORGED, ids=lambda fields: " ".join(map("=".join, fields)))
def test_forged_descriptions_of_the_request_change_nothing(
    site: Site, forged: tuple[Field, ...]
) -> None:
    ours = cookie(site.gate.open())
    assert site.ask("/page", ours, CROSS, *forged, method="POST").status == 403
    evil = ("Origin", "https://evil.example")
    assert site.ask("/page", ours, evil, *forged, method="POST").status == 403
    own = ("Origin", "http://app.example")
    posted = site.ask("/page", ours, own, *forged, method="POST")
    assert (posted.told.user, posted.told.method) == ("alice", "POST")
    assert site.ask("/page", HTML, *forged).one("Location") == "/login?next=/page"
    assert site.ask("/admin/", ours, *forged).status == 403


def test_no_question_can_be_asked_from_outside(site: Site) -> None:
    ours = cookie(site.gate.open(scopes=["read"]))
    for path in (
        "/verify",
        "/_verify",
        "/_verify_public",
        "/verify?audience=https://reports.example",
    ):
        assert site.ask(path).status in {303, 401, 404}
        inside = site.ask(path, ours)
        assert inside.all("Authorization") == inside.all("Remote-User") == []


COOKIES: Final = [
    "{}",
    "a=1; {}",
    "{}; a=1",
    "a=1; {}; b=2",
    "a=1;{};b=2",
    "a=1;\t {} ; b=2",
    "{0}; {0}",
    "{0}; a=1; {0}; {0}",
    "{}; __Host-session=x",
    "a=1; sessiongate=y; {}",
]


@pytest.mark.parametrize("value", COOKIES)
def test_the_backend_gets_the_cookies_but_for_the_sessions(site: Site, value: str) -> None:
    token = site.gate.open()
    answer = site.ask("/page", ("Cookie", value.format(f"__Host-session={token}")))
    assert answer.told.user == "alice"
    assert token.encode() not in answer.body
    if value.count("session") == 0 and value.count("{}") == 1:
        found = "; ".join(answer.told.all("Cookie"))
        kept = {one.strip() for one in found.split(";") if one.strip()}
        assert kept == {one for one in ("a=1", "b=2") if one in value}


def test_the_backend_does_not_get_the_bearer_token(site: Site) -> None:
    token = site.gate.open()
    for path in ("/page", "/api/", "/public/", "/reports/"):
        answer = site.ask(path, bearer(token))
        assert answer.told.user == "alice"
        assert token.encode() not in answer.body


@pytest.mark.parametrize(
    "username", [" root", "root ", "100%", "Ünal", "名前", "a  b", '"<{$x}>\\', "%20"]
)
def test_a_name_arrives_as_it_is(site: Site, username: str) -> None:
    assert site.ask("/page", cookie(site.gate.open(username))).told.user == username
