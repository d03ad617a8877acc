"""Requirement 13: what a request that is not let through is told (RFC 6750, section 3)."""

from __future__ import annotations

import pytest
from tests.http.harness import Call, Header, MakeSite, Reply, Site, bare, bearer, cookie

from sessiongate.kits.guard import Guard

MALFORMED = (b"authorization", b"Bearer x y")


async def guarded(call: Call) -> Reply:
    """A view that only users with the scope may see; as the decorators do it."""
    refusal = Guard(scopes=["write"]).check(call.session, lambda: None)
    if refusal is None:
        return Reply()
    headers = [(name.lower().encode(), value.encode()) for name, value in refusal.headers]
    kind = (b"content-type", b"text/plain")
    return Reply(refusal.status, [*headers, kind], [refusal.text.encode()])


def test_no_credential_is_told_no_error(site: Site) -> None:
    response = site.ask(view=guarded)
    assert response.status == 401
    assert response.one("www-authenticate") == 'Bearer realm="sessiongate"'


@pytest.mark.parametrize("kind", ["opaque", "jwt"])
def test_a_bad_token_is_told_so(site: Site) -> None:
    ended, stale = site.open(), site.open()
    site.manager.invalidate_session(ended)
    site.manager.refresh_session(stale)
    texts = set()
    for bad in ("x", "", ended, stale, ended[:-1], ended + "A", "\xe9", "a" * 9000):
        if bad:
            response = site.ask(bearer(bad))
            assert (response.status, response.reached) == (401, False)
            challenge = response.one("www-authenticate")
            assert challenge is not None
            assert 'error="invalid_token"' in challenge
            assert response.one("cache-control") == "no-store"
            texts.add((challenge, response.body))
        assert site.ask(cookie(bad), view=guarded).status == 401
    assert len(texts) == 1


@pytest.mark.parametrize("kind", ["opaque", "jwt"])
def test_an_expired_token_is_told_the_same(site: Site) -> None:
    token = site.open()
    site.clock.advance(3600)
    expired, forged = site.ask(bearer(token)), site.ask(bearer("forged"))
    assert expired == forged


def test_what_is_malformed_is_a_400(site: Site) -> None:
    token = site.open()
    cases: list[list[Header]] = [
        [MALFORMED],
        [bearer(token), bearer(token)],
        [MALFORMED, cookie(token)],
    ]
    texts = set()
    for headers in cases:
        response = site.ask(*headers)
        assert (response.status, response.reached) == (400, False)
        challenge = response.one("www-authenticate") or ""
        assert 'error="invalid_request"' in challenge
        assert response.one("cache-control") == "no-store"
        texts.add((challenge, response.body))
    assert len(texts) == 1
    assert b"malformed" in texts.pop()[1]


def test_two_live_sessions_are_a_400_that_says_so(site: Site) -> None:
    response = site.ask(cookie(site.open()), cookie(site.open("bob")))
    assert (response.status, response.problem) == (400, "invalid_request")
    challenge = response.one("www-authenticate") or ""
    assert 'error="invalid_request"' in challenge
    for text in (challenge, response.body.decode()):
        assert "two sessions" in text
        assert "malformed" not in text
    assert response.one("cache-control") == "no-store"


def test_a_request_of_another_site_is_a_403_that_a_person_understands(site: Site) -> None:
    elsewhere = (b"origin", b"https://elsewhere.example")
    response = site.ask(cookie(site.open()), elsewhere, method="POST", view=guarded)
    assert (response.status, response.problem) == (403, "cross_site")
    assert b"another site" in response.body
    assert response.one("www-authenticate") is None
    assert response.one("cache-control") == "no-store"
    assert b"elsewhere" not in response.body


def test_a_missing_scope_is_named(site: Site) -> None:
    response = site.ask(bearer(site.open()), view=guarded)
    assert response.status == 403
    challenge = response.one("www-authenticate") or ""
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="write"' in challenge
    assert site.ask(bearer(site.open(scopes=["write"])), view=guarded).status == 200


@pytest.mark.parametrize("template", ["{}", "{} x", "{},Bearer y", '"{}"', "{}\xe9"])
def test_nothing_of_the_input_is_reflected(site: Site, template: str) -> None:
    marker = "sg_Marker"
    bad = template.format(marker)
    for response in (
        site.ask((b"authorization", f"Bearer {bad}".encode("latin-1"))),
        site.ask(cookie(site.open()), cookie(bad), cookie(site.open("bob"))),
        site.ask(cookie(bad), view=guarded),
    ):
        assert response.status in {400, 401}
        assert marker not in repr(response.headers)
        assert marker.encode() not in response.body


def test_a_refusal_sets_no_cookie(site: Site) -> None:
    two = [cookie(site.open()), cookie(site.open("bob"))]
    for headers in ([MALFORMED], [bearer("x")], two, [cookie(site.open()), MALFORMED]):
        response = site.ask(*headers)
        assert (response.status in {400, 401}, response.token) == (True, None)


def test_a_view_without_a_guard_sees_nobody_and_why(site: Site) -> None:
    cases: list[tuple[list[Header], str]] = [
        ([bearer("forged")], "invalid_token"),
        ([MALFORMED], "invalid_request"),
        ([cookie(site.open()), cookie(site.open())], "invalid_request"),
    ]
    for headers, problem in cases:
        response = site.ask(*headers, view=bare)
        assert (response.status, response.who, response.problem) == (200, None, problem)
        assert site.ask(*headers, view=guarded).status == (401 if "token" in problem else 400)


def test_the_realm_can_be_chosen_and_is_checked(make: MakeSite) -> None:
    site = make(options={"realm": "the shop"})
    assert site.ask(view=guarded).one("www-authenticate") == 'Bearer realm="the shop"'
    for realm in ('a"b', "a\\b", "a\r\nb", "é"):
        with pytest.raises(ValueError, match="realm"):
            make(options={"realm": realm}).ask()
