"""What the reader does with huge fields: it looks at each byte about once, and copies few."""

from __future__ import annotations

import pytest

from sessiongate.http.credentials import read_credentials

NAME = b"__Host-session"
TAIL = b"x" * 1_000_000
MANY = 4000
"""Fewer than the reader gives up at."""


class Watched(bytes):
    """Bytes that know how many of them were copied out."""

    copied = 0

    def __getitem__(self, key: object) -> bytes:  # type: ignore[override]
        part = super().__getitem__(key)  # type: ignore[call-overload]
        assert isinstance(part, bytes)
        self.copied += len(part)
        return part


@pytest.mark.parametrize(
    "field",
    [
        (NAME + b"=a;") * MANY + TAIL,
        (NAME + b"=;") * MANY + TAIL,
        (NAME + b"=a; ") * MANY + NAME + b"=" + TAIL,
        (NAME + b" ") * MANY + TAIL,
        (b" " * 200 + NAME + b"=a;") * MANY,
        (b"x" * 200 + NAME + b"=a;") * MANY,
        NAME + b"=" + (NAME + b"=") * MANY + TAIL,
        b" " * 1_000_000 + NAME + b"=a",
        NAME + b"=" + TAIL,
        b"a=1;" * 250_000,
    ],
    ids=[
        "pairs and a tail",
        "empty pairs and a tail",
        "pairs and a huge one",
        "names and a tail",
        "blanks before pairs",
        "longer names",
        "names in a value",
        "blanks",
        "one value",
        "neighbours",
    ],
)
def test_a_flood_is_copied_once_at_most(field: bytes) -> None:
    watched = Watched(field)
    read_credentials(NAME, [watched], [])
    assert watched.copied <= 2 * len(field)
