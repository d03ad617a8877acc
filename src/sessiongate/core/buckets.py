"""Where a sharded store keeps the sessions of a user: one of 256 buckets, which their sids name.

So all keys of a user share a slot of a Redis Cluster, and the buckets lie evenly over the slots.
"""

from __future__ import annotations

import secrets
from binascii import crc_hqx
from functools import cache
from itertools import product
from string import ascii_letters, digits
from typing import Final
from zlib import crc32

BUCKETS: Final = 256
WIDTH: Final = 2
"""Characters of a sid that name its bucket: the first ones."""

_SLOTS: Final = 16384
"""Of a Redis Cluster. A key is in the one that the CRC of the name in its braces says."""


@cache
def bucket_names() -> tuple[str, ...]:
    """The names of all buckets in the order of their slots: one in each 256th of these."""
    found: dict[int, str] = {}
    for letters in product(ascii_letters + digits + "-_", repeat=WIDTH):
        name = "".join(letters)
        found.setdefault(crc_hqx(name.encode(), 0) % _SLOTS * BUCKETS // _SLOTS, name)
    return tuple(name for _, name in sorted(found.items()))


def bucket_of(username: str) -> str:
    """The bucket of a user."""
    return bucket_names()[crc32(username.encode("utf-8", "surrogateescape")) % BUCKETS]


def new_sid(username: str, *, sharded: bool) -> str:
    """A new sid: 128 bits, of which 12 name the bucket if the store is ``sharded``.

    A sid opens nothing: nobody can guess the MAC or signature of its token.
    """
    sid = secrets.token_urlsafe(16)
    return bucket_of(username) + sid[WIDTH:] if sharded else sid
