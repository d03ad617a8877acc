"""At most one ``Set-Cookie`` of our name goes out for one domain and path, however it is spelled."""

from __future__ import annotations

import pytest
from sessiongate import SessionCookie
from tests.http.conftest import kind, make, stack
from tests.http.harness import PLAIN, Call, MakeSite, Reply, set_cookies

__all__ = ["kind", "make", "stack"]


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (b"Domain=.example.com; Path=/", b"Domain=example.com; Path=/"),
        (b"Path=/a; Path=/", b"Path=/"),
        (b"Domain=; Path=/", b"Path=/"),
    ],
)
def test_the_view_writes_it_twice(make: MakeSite, first: bytes, last: bytes) -> None:
    """RFC 6265bis, 5.6.3: a leading dot of the domain counts for nothing."""
    site = make(options={"cookie": SessionCookie(name="sid", domain="example.com")})

    async def view(_call: Call) -> Reply:
        return Reply(
            headers=[PLAIN, (b"set-cookie", b"sid=a; " + first), (b"set-cookie", b"sid=b; " + last)]
        )

    assert len(set_cookies(site.ask(view=view), "sid")) == 1
