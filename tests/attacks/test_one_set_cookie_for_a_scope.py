"""At most one ``Set-Cookie`` of our name goes out for one domain and path."""

from __future__ import annotations

from tests.http.conftest import kind, make, stack
from tests.http.harness import PLAIN, Call, MakeSite, Reply, set_cookies

from sessiongate import SessionCookie

__all__ = ["kind", "make", "stack"]


def test_the_view_writes_it_twice(make: MakeSite) -> None:
    """RFC 6265bis, 5.6.3: a leading dot of the domain counts for nothing."""
    site = make(options={"cookie": SessionCookie(name="sid", domain="example.com")})

    async def view(_call: Call) -> Reply:
        twice = [b"sid=a; Domain=.example.com; Path=/", b"sid=b; Domain=example.com; Path=/"]
        return Reply(headers=[PLAIN, *((b"set-cookie", one) for one in twice)])

    assert len(set_cookies(site.ask(view=view), "sid")) == 1
