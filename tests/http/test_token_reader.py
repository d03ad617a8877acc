"""What a request says is told from its fields alone, however often and after whatever others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sessiongate.http.cookies import SessionCookie
from sessiongate.http.credentials import NOTHING, Credentials, TokenReader
from sessiongate.tokens import TokenPayload

NAME = b"__Host-session"
PAYLOADS = {
    "genuine": TokenPayload("one", 3),
    "older": TokenPayload("one", 2),
    "foreign": TokenPayload("two", 0),
    "Bearer": TokenPayload("named like the scheme", 0),
    "early": TokenPayload("one", 4, valid_from=10),
}

NOW = 10

VALUES = st.sampled_from([b"genuine", b"older", b"foreign", b"forged", b"", b"Bearer", b"early"])
COOKIES = st.one_of(
    st.builds(lambda value: NAME + b"=" + value, VALUES),
    st.builds(lambda value: b"a=b; " + NAME + b"=" + value + b"; c=d", VALUES),
    st.builds(lambda a, b: NAME + b"=" + a + b";" + NAME + b"=" + b, VALUES, VALUES),
    st.sampled_from([b"", b"a=b", b"Bearer genuine", NAME + b"=genuine; a=" + b"b" * 2048]),
)
AUTHORIZATIONS = st.one_of(
    st.builds(
        lambda scheme, value: scheme + b" " + value, st.sampled_from([b"Bearer", b"basic"]), VALUES
    ),
    st.sampled_from([b"Bearer", b"", NAME + b"=genuine"]),
)
REQUESTS = st.tuples(
    st.lists(COOKIES, max_size=2), st.lists(AUTHORIZATIONS, max_size=2), st.sampled_from([9, 10])
)


def reader() -> tuple[TokenReader, list[str]]:
    asked: list[str] = []

    def read(token: str, now: int) -> TokenPayload | None:
        asked.append(token)
        payload = PAYLOADS.get(token)
        return None if payload is None or now < payload.valid_from else payload

    return TokenReader(SessionCookie(), read), asked


@given(st.lists(REQUESTS, min_size=1, max_size=8))
def test_what_was_read_before_makes_no_difference(
    requests: list[tuple[list[bytes], list[bytes], int]],
) -> None:
    seasoned, _ = reader()
    for request in requests:
        fresh = reader()[0].read(*request)
        for _ in range(2):
            assert seasoned.read(*request) == fresh


def test_a_genuine_field_is_read_once_and_any_other_each_time() -> None:
    seasoned, asked = reader()
    fields: list[tuple[list[bytes], list[bytes]]] = [
        ([NAME + b"=genuine"], []),
        ([], [b"Bearer genuine"]),
        ([NAME + b"=forged"], []),
        ([], [b"Bearer forged"]),
    ]
    for _ in range(3):
        for cookies, authorizations in fields:
            seasoned.read(cookies, authorizations, NOW)
    assert asked == ["genuine", "genuine", *["forged"] * 6]


def test_a_field_is_not_remembered_at_any_length() -> None:
    seasoned, asked = reader()
    long = NAME + b"=genuine; a=" + b"b" * 2048
    for _ in range(2):
        assert seasoned.read([long], [], NOW).tokens == (PAYLOADS["genuine"],)
    assert asked == ["genuine"] * 2


def by_cookie(*names: str, cookies: int = 1) -> Credentials:
    """What cookies of these names come down to."""
    tokens = tuple(PAYLOADS[name] for name in names)
    found = Credentials("cookie", tokens, tokens[0].generation, renews_cookie=True)
    return replace(found, cookies=cookies)


def by_bearer(name: str, sent_generation: int, **more: Any) -> Credentials:
    """What a bearer token of this name comes down to."""
    found = Credentials("bearer", (PAYLOADS[name],), sent_generation, by_authorization=True)
    return replace(found, **more)


def test_of_two_tokens_of_one_session_the_newer_counts_and_the_older_is_to_be_renewed() -> None:
    read = reader()[0].read
    for held, shown in ((b"genuine", b"older"), (b"older", b"genuine")):
        both = read([NAME + b"=" + held], [b"Bearer " + shown], NOW)
        assert both == by_bearer("genuine", 2, renews_cookie=True, cookies=1)
        field = NAME + b"=" + held + b"; " + NAME + b"=" + shown
        assert read([field], [], NOW) == by_cookie("genuine", cookies=2)


def test_a_cookie_of_another_session_stands_beside_a_bearer_token() -> None:
    read, other = reader()[0].read, (PAYLOADS["genuine"],)
    came = read([NAME + b"=genuine"], [b"Bearer foreign"], NOW)
    assert came == by_bearer("foreign", 0, cookies=1, beside=other)
    bad = read([NAME + b"=genuine"], [b"Bearer forged"], NOW)
    assert bad == Credentials(
        problem="invalid_token", by_authorization=True, cookies=1, beside=other
    )


def test_each_session_counts_once_and_the_last_cookie_first() -> None:
    read = reader()[0].read
    names = (b"older", b"forged", b"foreign", b"genuine", b"")
    fields = [NAME + b"=" + name for name in names]
    assert read(fields, [], NOW) == by_cookie("genuine", "foreign", cookies=4)
    assert read(fields[::-1], [], NOW) == by_cookie("genuine", "foreign", cookies=4)


def test_of_more_than_four_sessions_the_last_four_count() -> None:
    tokens = {f"s{i}": TokenPayload(f"s{i}", 0) for i in range(6)}
    read = TokenReader(SessionCookie(), lambda token, _: tokens.get(token)).read
    field = b"; ".join(NAME + b"=" + name.encode() for name in tokens)
    assert [token.sid for token in read([field], [], NOW).tokens] == ["s5", "s4", "s3", "s2"]


def test_nothing_that_is_ours_is_nothing() -> None:
    read = reader()[0].read
    assert read([b"a=b"], [b"Basic x"], NOW) == NOTHING
    assert read([NAME + b"=forged"], [], NOW) == replace(NOTHING, cookies=1)


def test_a_token_from_the_future_is_none_beside_another() -> None:
    read = reader()[0].read
    early, genuine = NAME + b"=early", [b"Bearer genuine"]
    assert read([early], genuine, 9) == by_bearer("genuine", 3, cookies=1)
    both = by_bearer("early", 3, renews_cookie=True, cookies=1)
    assert read([early], genuine, 10) == both
    assert read([early], [], 10) == by_cookie("early")
    assert read([early], [], 9) == replace(NOTHING, cookies=1), "the clock was set back"
