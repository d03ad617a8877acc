"""Where a value in a field begins and ends, to the byte."""

from __future__ import annotations

from sessiongate.http.cookies import SessionCookie
from sessiongate.http.credentials import MALFORMED, TokenReader, read_bearer, read_cookies
from sessiongate.tokens import TokenPayload

NAME = b"__Host-session"


def test_a_cookie_begins_after_blanks_or_a_semicolon_alone() -> None:
    for before, values in ((b";", ["v"]), (b" \t", ["v"]), (b"\v", []), (b"a=b;\f", [])):
        assert read_cookies(NAME, [before + NAME + b"=v"]) == values


def test_a_value_ends_at_blanks_or_a_semicolon_alone() -> None:
    for after, value in ((b" \t", "v"), (b";", "v"), (b"\v", "v\v"), (b"\f ;", "v\f")):
        assert read_cookies(NAME, [NAME + b"=v" + after]) == [value]


def test_credentials_begin_after_blanks_alone() -> None:
    assert read_bearer([b" \tBearer v \t"]) == "v"
    assert read_bearer([b"\vBearer v"]) == MALFORMED


def test_a_quote_that_is_open_hides_no_field() -> None:
    assert read_bearer([b'Basic "', b"bearer v"]) == MALFORMED


def test_parameters_are_looked_at_up_to_64_kibibytes() -> None:
    begin = b'Digest a="b",c='
    assert read_bearer([begin.ljust(65536, b"d")]) is None
    assert read_bearer([begin.ljust(65537, b"d")]) == MALFORMED


def test_a_bearer_token_is_what_follows_the_blanks() -> None:
    assert read_bearer([b"Bearer  Xv"]) == "Xv"
    for token in (b",v", b"v,", b"\tv", b"v w"):
        assert read_bearer([b"Bearer " + token]) == MALFORMED


def test_a_field_of_two_kibibytes_is_read_once() -> None:
    asked: list[str] = []

    def read(token: str, _now: int) -> TokenPayload:
        asked.append(token)
        return TokenPayload("sid", 1)

    reader = TokenReader(SessionCookie(), read)
    for size in (2048, 2048, 2049, 2049):
        reader.read([(NAME + b"=v;").ljust(size, b"a")], [], 0)
    assert asked == ["v"] * 3


def test_a_cookie_from_the_future_stands_beside() -> None:
    early = TokenPayload("sid", 1, valid_from=10)
    reader = TokenReader(SessionCookie(), lambda _token, _now: early)
    assert reader.read([NAME + b"=v"], [], 9).beside == (early,)
    assert reader.read([NAME + b"=v"], [], 10).tokens == (early,)


def reading(**payloads: TokenPayload) -> TokenReader:
    """A reader to whom these values are genuine tokens."""
    return TokenReader(SessionCookie(), lambda token, _now: payloads.get(token))


def cookies(*values: str) -> list[bytes]:
    return [b"; ".join(NAME + b"=" + value.encode() for value in values)]


def test_a_bearer_token_from_the_future_is_refused_until_its_time_has_come() -> None:
    early = TokenPayload("sid", 1, valid_from=10)
    before = reading(v=early).read([], [b"Bearer v"], 9)
    assert (before.problem, before.tokens, before.beside) == ("invalid_token", (), (early,))
    assert reading(v=early).read([], [b"Bearer v"], 10).tokens == (early,)


def test_the_sixteenth_forged_token_hides_what_is_older() -> None:
    genuine = TokenPayload("sid", 1)
    forged = [f"a.b.{number}" for number in range(16)]
    read = reading(v=genuine).read
    assert read(cookies("v", *forged[:15]), [], 0).tokens == (genuine,)
    assert read(cookies("v", *forged), [], 0).tokens == ()


def test_a_value_counts_up_to_the_longest_that_a_cookie_holds() -> None:
    longest = "v" * SessionCookie().longest_value
    payloads = {longest: TokenPayload("sid", 1), longest + "v": TokenPayload("other", 1)}
    read = reading(**payloads).read
    assert read(cookies(longest), [], 0).tokens == (payloads[longest],)
    assert read(cookies(longest + "v"), [], 0).tokens == ()


def test_a_fifth_session_hides_no_newer_token_of_the_four() -> None:
    sids = {f"v{number}": TokenPayload(f"sid {number}", 1) for number in range(5)}
    newer = TokenPayload("sid 0", 2)
    found = reading(newer=newer, **sids).read(cookies("newer", *reversed(sids)), [], 0)
    assert found.tokens == (newer, *list(sids.values())[1:4])


def test_a_token_whose_time_has_just_come_is_newer_than_the_one_before() -> None:
    old, new = TokenPayload("sid", 1), TokenPayload("sid", 2, valid_from=10)
    read = reading(old=old, new=new).read
    for values in (("old", "new"), ("new", "old")):
        assert read(cookies(*values), [], 9).tokens == (old,)
        assert read(cookies(*values), [], 10).tokens == (new,)
