"""Whatever fields come, both stacks give one answer, and only a genuine token makes a user."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.http.harness import COOKIE, Header, Site, make_site

if TYPE_CHECKING:
    from collections.abc import Sequence

OURS = COOKIE.encode()
PEOPLE = ("alice", "bob", "due", "ended", "expired")
TOKENS = [f"<{name}>".encode() for name in PEOPLE]
BYTES = st.sampled_from(
    [b" ", b"\t", b";", b"; ", b",", b"=", b'"', b"\x1f", b"\xa0", b"\xff", b"x"]
)

jumble = st.lists(
    st.sampled_from([OURS, OURS + b"=", b"; " + OURS + b"=", *TOKENS]) | BYTES, max_size=7
).map(b"".join)
pairs = st.lists(
    st.sampled_from([b"a=1", b"", *(OURS + b"=" + token for token in TOKENS)]), max_size=3
).map(b"; ".join)
credentials = st.lists(
    st.sampled_from([b"Bearer ", b"bearer", b"Basic ", *TOKENS]) | BYTES, max_size=5
).map(b"".join) | st.sampled_from([b"Bearer " + token for token in TOKENS])
origins = st.sampled_from(
    [b"https://app.example.com", b"https://elsewhere.example", b"null", b"", b"\xff"]
)
sites = st.sampled_from([b"same-origin", b"same-site", b"cross-site", b"none", b""])

fields = st.lists(
    st.tuples(st.just(b"cookie"), jumble | pairs)
    | st.tuples(st.just(b"authorization"), credentials)
    | st.tuples(st.just(b"origin"), origins)
    | st.tuples(st.just(b"sec-fetch-site"), sites)
    | st.tuples(st.just(b"remote-user"), st.just(b"mallory")),
    max_size=5,
)


class World:
    """One manager behind both stacks, and tokens of every fate."""

    def __init__(self, kind: str) -> None:
        self.wsgi = make_site("wsgi", kind)
        self.asgi: Site = replace(self.wsgi, stack="asgi")
        expired, due = self.wsgi.open("expired"), self.wsgi.open("due")
        self.wsgi.clock.advance(1800)
        due = self.wsgi.manager.refresh_session(due) or ""
        self.wsgi.clock.advance(1800)
        ended = self.wsgi.open("ended")
        self.wsgi.manager.invalidate_session(ended)
        tokens = (self.wsgi.open("alice"), self.wsgi.open("bob"), due, ended, expired)
        self.tokens = dict(zip(TOKENS, (token.encode() for token in tokens), strict=True))

    def filled(self, headers: Sequence[Header]) -> list[Header]:
        filled = []
        for name, value in headers:
            for place, token in self.tokens.items():
                value = value.replace(place, token)  # noqa: PLW2901 - one place after the other
            filled.append((name, value))
        return filled


WORLDS = st.sampled_from(["opaque", "jwt"])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(WORLDS, fields, st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "DELETE"]))
@example("opaque", [(b"cookie", OURS + b"=<alice>"), (b"authorization", b"Bearer <bob>")], "GET")
@example("opaque", [(b"cookie", OURS + b"=<due>"), (b"origin", b"null")], "POST")
@example("jwt", [(b"cookie", OURS + b"=<due>"), (b"authorization", b"Bearer <due>")], "GET")
@example("jwt", [(b"cookie", OURS + b"=<alice>"), (b"cookie", OURS + b"=<alice>")], "POST")
def test_both_stacks_give_one_answer(kind: str, headers: list[Header], method: str) -> None:
    world = World(kind)
    sent = world.filled(headers)
    by_wsgi = world.wsgi.ask(*sent, method=method)
    by_asgi = world.asgi.ask(*sent, method=method)
    if by_wsgi.status != 200 and method == "HEAD":  # an ASGI server leaves the body out by itself
        by_asgi = replace(by_asgi, body=b"")
    assert by_wsgi == by_asgi
    assert by_wsgi.status in {200, 400, 401, 403}
    assert by_wsgi.reached == (by_wsgi.status == 200)
    brought = {name for name in PEOPLE if any(f"<{name}>".encode() in v for _, v in headers)}
    assert by_wsgi.who in {None, *(brought & {"alice", "bob", "due"})}
    assert by_wsgi.token is None or by_wsgi.who == "due"
    assert "replayed" not in world.wsgi.kinds()
