"""Who a request is, only the middleware says; what the client says of it is overwritten."""

from __future__ import annotations

from typing import Any

import pytest
from tests.http.harness import Call, Reply, Site, bearer, cookie


def planted(site: Site, value: Any = "mallory") -> dict[str, Any]:
    """An identity that something before the middleware wrote down."""
    if site.stack == "wsgi":
        return {"REMOTE_USER": value, "sessiongate": value}
    return {"user": value, "auth": value, "sessiongate": value}


@pytest.mark.parametrize("value", ["mallory", ""])
def test_a_planted_identity_is_cleared(site: Site, value: str) -> None:
    for headers in ([], [cookie("forged")], [(b"authorization", b"Basic YTpi")]):
        response = site.ask(*headers, **planted(site, value))
        assert (response.status, response.who) == (200, None)


def test_a_planted_identity_is_overwritten(site: Site) -> None:
    token = site.open()
    for header in (cookie(token), bearer(token)):
        assert site.ask(header, **planted(site)).who == "alice"


@pytest.mark.parametrize(
    "name", [b"remote-user", b"x-remote-user", b"x-forwarded-user", b"sessiongate", b"user"]
)
def test_header_fields_name_nobody(site: Site, name: bytes) -> None:
    response = site.ask((name, b"mallory"))
    assert response.who is None

    async def look(call: Call) -> Reply:
        assert call.handle.session is None
        assert "REMOTE_USER" not in call.places
        return Reply()

    assert site.ask((name, b"mallory"), view=look).status == 200


@pytest.mark.parametrize("host", [b"evil.example", b"admin.example.com", b"", b"a\xffb"])
def test_the_host_changes_nobody(site: Site, host: bytes) -> None:
    assert site.ask((b"host", host), cookie(site.open())).who == "alice"
    assert site.ask((b"host", host)).who is None


@pytest.mark.parametrize("username", ["Ägidius", "名前", "a b", "o'neil", "x@y.example", "🙂"])
@pytest.mark.parametrize("kind", ["opaque", "jwt"])
def test_names_of_all_scripts_are_the_same_on_both_stacks(site: Site, username: str) -> None:
    token = site.open(username)
    assert site.ask(cookie(token)).who == username
    assert site.ask(bearer(token)).who == username


def test_an_identity_ends_with_its_request(site: Site) -> None:
    assert site.ask(cookie(site.open())).who == "alice"
    assert site.ask().who is None


def test_each_way_of_saying_nobody(site: Site) -> None:
    async def look(call: Call) -> Reply:
        handle, user = call.handle, call.handle.user
        assert (handle.transport, handle.session, handle.age) == (None, None, None)
        assert (handle.expires_at, handle.rotates_at) == (None, None)
        assert (user.username, user.info, user.scopes) == (None, None, ())
        assert (user.identity, user.display_name, user.is_authenticated) == ("", "", False)
        assert (repr(user), repr(handle)) == (
            "<User: anonymous>",
            "<Handle: <User: anonymous> by None>",
        )
        if call.site.stack == "asgi":
            assert call.places["auth"].scopes == []
        else:
            assert "REMOTE_USER" not in call.places
        return Reply()

    for headers in ([], [cookie("forged")]):
        assert site.ask(*headers, view=look).status == 200


def test_no_repr_shows_a_token(site: Site) -> None:
    token = site.open()

    async def look(call: Call) -> Reply:
        shown = [repr(call.handle), repr(call.handle.user), repr(call.places.get("auth"))]
        assert token not in " ".join([*shown, str(call.handle)])
        return Reply()

    assert site.ask(cookie(token), view=look).status == 200
