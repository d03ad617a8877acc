"""Whatever fields come, both stacks give one answer, and it is the one of a plain reading."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import example, given
from hypothesis import strategies as st
from tests.http.harness import COOKIE, Header, Site, make_site
from tests.http.reading import plainly

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
    st.sampled_from([b"a=1", b"", OURS + b"=x", *(OURS + b"=" + token for token in TOKENS)]),
    max_size=6,
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
        self.people = {token: place[1:-1].decode() for place, token in self.tokens.items()}

    def filled(self, headers: Sequence[Header]) -> list[Header]:
        filled = []
        for name, value in headers:
            for place, token in self.tokens.items():
                value = value.replace(place, token)  # noqa: PLW2901 - one place after the other
            filled.append((name, value))
        return filled


WORLDS = st.sampled_from(["opaque", "jwt"])


@given(WORLDS, fields, st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "DELETE"]))
@example("opaque", [(b"cookie", OURS + b"=<alice>"), (b"authorization", b"Bearer <bob>")], "GET")
@example("opaque", [(b"cookie", OURS + b"=<alice>"), (b"cookie", OURS + b"=<bob>")], "GET")
@example("opaque", [(b"cookie", OURS + b"=<due>"), (b"cookie", OURS + b"=<ended>")], "GET")
@example("jwt", [(b"cookie", OURS + b"=<ended>"), (b"cookie", OURS + b"=<due>")], "OPTIONS")
@example("opaque", [(b"cookie", OURS + b"=<due>"), (b"origin", b"null")], "POST")
@example("jwt", [(b"cookie", OURS + b"=<due>"), (b"authorization", b"Bearer <due>")], "GET")
@example("jwt", [(b"cookie", OURS + b"=<alice>"), (b"cookie", OURS + b"=<alice>")], "POST")
def test_both_stacks_give_one_answer(kind: str, headers: list[Header], method: str) -> None:
    world = World(kind)
    sent = world.filled(headers)
    by_wsgi = world.wsgi.ask(*sent, method=method)
    by_asgi = world.asgi.ask(*sent, method=method)
    assert by_wsgi == by_asgi
    safe = method in {"GET", "HEAD", "OPTIONS"}
    right = plainly(sent, world.people, dead={"ended", "expired"}, safe=safe)
    assert (by_wsgi.problem, by_wsgi.who) in right
    status = {"invalid_token": 401, "invalid_request": 400, "cross_site": 403}
    assert by_wsgi.status == status.get(by_wsgi.problem or "", 200)
    assert by_wsgi.reached == (by_wsgi.status == 200)
    assert by_wsgi.token is None or by_wsgi.who == "due"
    assert "replayed" not in world.wsgi.kinds()
