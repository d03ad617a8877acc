"""What a request says is told from its fields alone, however often and after whatever others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sessiongate.http.cookies import SessionCookie
from sessiongate.http.token_reader import CONTRADICTION, PresentedToken, TokenReader
from sessiongate.tokens import TokenPayload

NAME = b"__Host-session"
TICKETS = {
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
        ticket = TICKETS.get(token)
        return None if ticket is None or now < ticket.valid_from else ticket

    return TokenReader(SessionCookie(), read), asked


@given(st.lists(REQUESTS, min_size=1, max_size=8))
def test_what_was_read_before_makes_no_difference(
    requests: list[tuple[list[bytes], list[bytes], int]],
) -> None:
    seasoned, _ = reader()
    for request in requests:
        fresh: PresentedToken | None = reader()[0].read(*request)
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
    assert (
        seasoned.read([long], [], NOW)
        == seasoned.read([long], [], NOW)
        == ("cookie", TICKETS["genuine"], 3, True)
    )
    assert asked == ["genuine"] * 2


def test_of_two_tokens_of_one_session_the_newer_counts_and_the_older_is_to_be_renewed() -> None:
    read = reader()[0].read
    for cookie, bearer in ((b"genuine", b"older"), (b"older", b"genuine")):
        presented = read([NAME + b"=" + cookie], [b"Bearer " + bearer], NOW)
        assert presented == ("bearer", TICKETS["genuine"], 2, True)
    assert read([NAME + b"=genuine"], [b"Bearer foreign"], NOW) is CONTRADICTION


def test_a_token_from_the_future_is_none_beside_another() -> None:
    read = reader()[0].read
    early, genuine = NAME + b"=early", [b"Bearer genuine"]
    assert read([early], genuine, 9) == ("bearer", TICKETS["genuine"], 3, False)
    assert read([early], genuine, 10) == ("bearer", TICKETS["early"], 3, True)
    assert read([early], [], 10) == ("cookie", TICKETS["early"], 4, True)
    assert read([early], [], 9) == ("cookie", None, 0, True), "the clock was set back"
