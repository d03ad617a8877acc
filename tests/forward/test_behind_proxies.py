"""Whole requests through nginx and Caddy: what the backend is told, and what the browser gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import jwt
import pytest
from tests.forward.gates import AUDIENCE, DUE, bearer, cookie

if TYPE_CHECKING:
    from tests.forward.conftest import Site

HTML: Final = ("Accept", "text/html")
JSON: Final = ("Accept", "application/json")
CROSS: Final = ("Sec-Fetch-Site", "cross-site")
DEMANDING: Final = ("/", "/admin/", "/settings/", "/api/", "/reports/")


def test_a_login_leads_back_to_the_page_and_a_logout_ends_it(site: Site) -> None:
    away = site.ask("/page?q=a%26b", HTML)
    assert away.status == 303
    assert away.one("Location") == "/login?next=/page%3Fq%3Da%2526b"
    assert away.one("Cache-Control") == "no-store"
    login = site.ask("/login?next=/page%3Fq%3Da%2526b", method="POST")
    assert login.one("Location") == "/page?q=a%26b"
    assert login.session is not None
    ours = cookie(login.session)

    page = site.ask("/page?q=a%26b", ours)
    assert (page.status, page.told.user, page.told.url) == (200, "alice", "/page?q=a%26b")
    assert page.told.all("Remote-Scopes") == ["admin read"]
    assert page.all("Set-Cookie") == ["theme=dark; Path=/"]
    assert page.one("Cache-Control") is None
    assert "Cookie, Authorization" in page.all("Vary")

    assert site.ask("/logout", ours, CROSS, method="POST").status == 403
    assert site.ask("/page", ours).status == 200
    assert site.ask("/logout", ours, method="POST").session == ""
    assert site.ask("/page", ours, HTML).status == 303
    assert site.ask("/api/", ours).status == 401


@pytest.mark.parametrize("path", DEMANDING)
def test_nobody_gets_nowhere(site: Site, path: str) -> None:
    for method in ("GET", "POST", "DELETE", "HEAD", "OPTIONS"):
        assert site.ask(path, method=method).status in {303, 401}
    for more in ("", "?optional=1", "?x=1&optional=1&login=/"):
        refused = site.ask(path + more, JSON)
        assert refused.status == 401
        assert refused.one("WWW-Authenticate") == 'Bearer realm="sessiongate"'
    forged = site.ask(path, bearer("sg_nonsense"))
    assert forged.status == 401
    assert 'error="invalid_token"' in (forged.one("WWW-Authenticate") or "")


def test_a_scope_is_asked_for_where_it_is_demanded_alone(site: Site) -> None:
    reader, admin = (site.gate.open(scopes=scopes) for scopes in (["read"], ["admin"]))
    assert site.ask("/admin/", cookie(admin)).status == 200
    assert site.ask("/page", cookie(reader)).status == 200
    refused = site.ask("/admin/?optional=1", cookie(reader), HTML)
    assert refused.status == 403
    assert 'error="insufficient_scope", scope="admin"' in (refused.one("WWW-Authenticate") or "")


def test_a_fresh_login_is_asked_for_where_it_is_demanded(site: Site) -> None:
    ours = cookie(site.gate.open())
    assert site.ask("/settings/", ours).status == 200
    site.gate.clock.advance(301)
    assert site.ask("/settings/", ours, HTML).one("Location") == "/login?next=/settings/"
    refused = site.ask("/settings/", ours, JSON)
    assert refused.status == 401
    assert "insufficient_user_authentication" in (refused.one("WWW-Authenticate") or "")
    assert site.ask("/page", ours).status == 200


def test_a_public_page_is_for_everybody_and_knows_who_is_there(site: Site) -> None:
    for fields in ((), (cookie("sg_nonsense"),), (bearer("x"),)):
        public = site.ask("/public/", *fields)
        assert (public.status, public.told.user) == (200, "")
        assert set(public.told.all("Remote-User") + public.told.all("Remote-Scopes")) <= {""}
    assert site.ask("/public/", cookie(site.gate.open())).told.user == "alice"


def test_a_renewed_cookie_reaches_the_browser(site: Site) -> None:
    token = site.gate.open()
    site.gate.clock.advance(DUE)
    # A refusal hands out no token; the next response does.
    assert site.ask("/admin/", cookie(token)).session is None
    page = site.ask("/page", cookie(token))
    assert (page.status, page.told.user) == (200, "alice")
    assert page.session not in {None, "", token}
    assert "theme=dark; Path=/" in page.all("Set-Cookie")
    assert page.one("Cache-Control") == "no-store"
    assert page.session is not None
    again = site.ask("/page", cookie(page.session))
    assert (again.status, again.session) == (200, None)


def test_a_renewed_cookie_comes_with_any_answer_of_the_backend(site: Site) -> None:
    for status in (401, 404, 500):
        token = site.gate.open()
        site.gate.clock.advance(DUE)
        answer = site.ask(f"/page?status={status}", cookie(token), HTML)
        assert (answer.status, answer.told.user) == (status, "alice")
        assert answer.session not in {None, "", token}


def test_a_renewed_bearer_token_reaches_its_client(site: Site) -> None:
    token = site.gate.open()
    site.gate.clock.advance(DUE)
    page = site.ask("/api/", bearer(token))
    assert page.told.user == "alice"
    successor = page.one("X-Refreshed-Token")
    assert successor not in {None, "", token}
    assert page.one("Access-Control-Expose-Headers") == "X-Refreshed-Token"
    assert page.one("Cache-Control") == "no-store"
    again = site.ask("/api/", bearer(successor or ""))
    assert (again.status, again.one("X-Refreshed-Token")) == (200, None)


def test_who_shows_both_gets_both(site: Site) -> None:
    token = site.gate.open()
    site.gate.clock.advance(DUE)
    page = site.ask("/page", bearer(token), cookie(token))
    assert page.session == page.one("X-Refreshed-Token") not in {None, "", token}


def test_another_site_cannot_write_with_the_cookie(site: Site) -> None:
    ours = cookie(site.gate.open())
    elsewhere = ("Origin", "https://evil.example")
    for method in ("POST", "PUT", "DELETE"):
        assert site.ask("/page", ours, CROSS, method=method).status == 403
        assert site.ask("/page", ours, elsewhere, method=method).status == 403
        own = ("Origin", "http://app.example")
        assert site.ask("/page", ours, own, method=method).told.method == method
    assert site.ask("/page", ours, CROSS).status == 200
    public = site.ask("/public/", ours, CROSS, method="POST")
    assert (public.status, public.told.user) == (200, "")


def test_a_backend_gets_a_token_for_itself(site: Site) -> None:
    site.gate.clock.set(1_700_000_000)
    for fields in (
        (cookie(site.gate.open(scopes=["read", "admin"])),),
        (bearer(site.gate.open(scopes=["read"])),),
    ):
        (told,) = site.ask("/reports/", *fields).told.all("Authorization")
        claims = jwt.decode(told.removeprefix("Bearer "), options={"verify_signature": False})
        assert (claims["sub"], claims["aud"], claims["scope"]) == ("alice", AUDIENCE, "read")


def test_a_poll_rotates_nothing_and_a_skipped_path_reads_nothing(site: Site) -> None:
    token = site.gate.open()
    site.gate.clock.advance(DUE)
    poll = site.ask("/public/poll?x=1", cookie(token))
    assert (poll.told.user, poll.session) == ("alice", None)
    skipped = site.ask("/public/static/a.css", cookie(token))
    assert (skipped.told.user, skipped.session) == ("", None)
    assert site.ask("/public/", cookie(token)).session


def test_while_the_store_is_down_nobody_is_let_in_or_taken_for_nobody(site: Site) -> None:
    ours = cookie(site.gate.open())
    site.gate.store.down = True
    try:
        for path in (*DEMANDING, "/public/"):
            answer = site.ask(path, ours, HTML)
            assert (answer.status, answer.one("Retry-After")) == (503, "5")
        assert site.ask("/public/").status == 200
        assert site.ask("/page", HTML).status == 303
    finally:
        site.gate.store.down = False
    assert site.ask("/page", ours).status == 200


def test_what_is_malformed_is_a_400(site: Site) -> None:
    answer = site.ask("/api/", ("Authorization", "Bearer a b"))
    assert answer.status == 400
    assert 'error="invalid_request"' in (answer.one("WWW-Authenticate") or "")
    ours = bearer(site.gate.open())
    assert site.ask("/api/", ours, ours).status == 400
