"""Requirement 13: what a request that is not let through is told (RFC 6750, section 3)."""

from __future__ import annotations

import pytest
from tests.http.harness import Call, Header, MakeSite, Reply, Site, bearer, cookie

from sessiongate.http.guard import Guard

MALFORMED = (b"authorization", b"Bearer x y")


async def guarded(call: Call) -> Reply:
    """A view that only users with the scope may see; as the decorators do it."""
    refusal = Guard(scopes=["write"]).judge(call.session, lambda: None)
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
        [cookie("a"), cookie("b")],
        [cookie(token), bearer(site.open("bob"))],
    ]
    for headers in cases:
        response = site.ask(*headers)
        assert (response.status, response.reached) == (400, False)
        assert 'error="invalid_request"' in (response.one("www-authenticate") or "")
        assert response.one("cache-control") == "no-store"


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
        site.ask(cookie(bad), cookie("other")),
        site.ask(cookie(bad), view=guarded),
    ):
        assert response.status in {400, 401}
        assert marker not in repr(response.headers)
        assert marker.encode() not in response.body


def test_a_refusal_sets_no_cookie(site: Site) -> None:
    for headers in ([MALFORMED], [bearer("x")], [cookie("a"), cookie("b")]):
        assert site.ask(*headers).token is None


def test_a_bad_bearer_token_may_be_let_through_as_nobody(make: MakeSite) -> None:
    site = make(options={"reject_invalid_bearer": False})
    response = site.ask(bearer("forged"), cookie(site.open()))
    assert (response.status, response.reached, response.who) == (200, True, None)
    refused = site.ask(bearer("forged"), view=guarded)
    assert refused.status == 401
    assert 'error="invalid_token"' in (refused.one("www-authenticate") or "")
    assert site.ask(MALFORMED).status == 400
    assert site.ask(bearer(site.open())).who == "alice"


def test_the_realm_can_be_chosen_and_is_checked(make: MakeSite) -> None:
    site = make(options={"realm": "the shop"})
    assert site.ask(view=guarded).one("www-authenticate") == 'Bearer realm="the shop"'
    for realm in ('a"b', "a\\b", "a\r\nb", "é"):
        with pytest.raises(ValueError, match="realm"):
            make(options={"realm": realm}).ask()


def test_a_head_request_gets_the_fields_and_no_body(site: Site) -> None:
    response = site.ask(bearer("forged"), method="HEAD")
    assert response.status == 401
    assert response.one("content-length") == str(len(site.ask(bearer("forged")).body))
    if site.stack == "wsgi":  # ASGI servers leave the body out by themselves
        assert response.body == b""
