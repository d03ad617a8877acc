"""Invariant: whatever bytes come, the reader never raises, finds only ours, and is no stack's own.

What it finds stands in the input as ``name=value`` between semicolons, or after the word Bearer;
fields that are joined, as WSGI servers do, are judged like the fields that came.
"""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from sessiongate.http.credentials import AMBIGUOUS, NOTHING, read_credentials

NAME = b"id"

PIECES = [
    b"id",
    b"=",
    b";",
    b" ",
    b"\t",
    b",",
    b'"',
    b"a",
    b"token",
    b"Bearer",
    b"bearer",
    b"Basic",
]
ODD = [
    b"\x00",
    b"\r\n",
    b"\x1c",
    b"\x1f",
    b"\x85",
    b"\xa0",
    b"\xff",
    b"%69d",
    b"ID",
    b"xid",
    b"id=",
]

fields = st.lists(
    st.lists(st.sampled_from(PIECES + ODD) | st.binary(max_size=3), max_size=12).map(b"".join),
    max_size=4,
)


def pairs(cookies: list[bytes]) -> set[bytes]:
    """All values that stand under our name, by the plainest reading there is."""
    found = set()
    for pair in b";".join(cookies).split(b";"):
        name, equal, value = pair.partition(b"=")
        if equal and name.lstrip(b" \t") == NAME:
            found.add(value.strip(b" \t"))
    return found - {b""}


@given(fields, fields)
@example([b"xid=a; id=b"], [])
@example([b"id=a", b"id=a; id=b"], [])
@example([b"id id=a"], [])
@example([], [b"Bearer a", b"Bearer a"])
@example([b"id=a"], [b""])
def test_only_ours_is_found(cookies: list[bytes], authorizations: list[bytes]) -> None:
    read = read_credentials(NAME, cookies, authorizations)
    values = pairs(cookies)
    if read is AMBIGUOUS:
        assert authorizations or len(values) > 1
        return
    assert len(values) <= 1
    cookie, bearer = read
    assert {cookie} - {None} == {value.decode("latin-1") for value in values}
    if bearer is not None:
        scheme, _, token = b",".join(authorizations).strip(b" \t").partition(b" ")
        assert scheme.lower() == b"bearer"
        assert token.lstrip(b" ") == bearer.encode("latin-1")
        assert bearer
        assert not {" ", "\t", ","} & set(bearer)
    if read == (None, None):
        assert read is NOTHING


@given(fields, fields)
def test_joined_fields_are_judged_alike(cookies: list[bytes], authorizations: list[bytes]) -> None:
    joined = read_credentials(
        NAME,
        [b"; ".join(cookies)] if cookies else [],
        [b",".join(authorizations)] if authorizations else [],
    )
    assert read_credentials(NAME, cookies, authorizations) == joined


@given(fields, fields, st.sampled_from([b"a=1", b'b="', b"=", b"", b"xid=z", b"id=", b"\xff"]))
def test_a_neighbour_changes_nothing(
    cookies: list[bytes], authorizations: list[bytes], neighbour: bytes
) -> None:
    alone = read_credentials(NAME, cookies, authorizations)
    for among in ([neighbour, *cookies], [*cookies, neighbour]):
        assert read_credentials(NAME, among, authorizations) == alone
