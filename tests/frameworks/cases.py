"""What a protected view answers, told once for all frameworks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from sessiongate import SessionManager
from sessiongate.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CASES", "FRESH", "HTML", "LOGIN_URL", "LOGIN_URL_WITH_QUERY", "SCOPES", "Case", "World"]

SECRET: Final = "a key that is long enough for everything in these tests, and a little more"
LOGIN_URL: Final = "/login"
LOGIN_URL_WITH_QUERY: Final = f"{LOGIN_URL}?lang=en"
FRESH: Final = 60
SCOPES: Final = ("read", "write")
HTML: Final = {"Accept": "text/html,application/xhtml+xml"}


class World:
    """A manager, its clock, and the tokens of three visitors."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.manager = SessionManager(
            secret_key=SECRET, clock=self.clock, max_concurrent_sessions=None, existing="new"
        )
        self.tokens = {
            "reader": self.manager.create_session("reader", scopes=["read"]),
            "old": self.manager.create_session("old", scopes=["read", "write"]),
        }
        self.clock.advance(FRESH + 1)
        self.tokens["writer"] = self.manager.create_session("writer", scopes=["read", "write"])

    def headers(self, visitor: str | None, transport: str = "cookie") -> dict[str, str]:
        if visitor is None:
            return {}
        token = self.tokens.get(visitor, "nonsense")
        if transport == "bearer":
            return {"Authorization": f"Bearer {token}"}
        return {"Cookie": f"__Host-session={token}"}


class Case(NamedTuple):
    """A request, and what must come of it."""

    path: str
    visitor: str | None
    status: int
    expected: Mapping[str, str | None] = {}
    """Parts of header values; ``None``: the header is absent."""
    headers: dict[str, str] = {}  # noqa: RUF012
    method: str = "GET"
    transport: str = "cookie"


_NOBODY = {"WWW-Authenticate": 'Bearer realm="sessiongate"'}
_INVALID = {"WWW-Authenticate": 'error="invalid_token"'}
_STEP_UP = {"WWW-Authenticate": 'error="insufficient_user_authentication"'}
_SCOPE = {"WWW-Authenticate": 'error="insufficient_scope", scope="read write"'}
_BACK = {"Location": f"{LOGIN_URL}?next=/page%3Fq%3Da%2526b"}
_XHR = HTML | {"Sec-Fetch-Mode": "cors"}
_IMAGE = HTML | {"Sec-Fetch-Mode": "no-cors"}
_STAY: dict[str, str | None] = {"Location": None}

CASES: Final = (
    *(Case(path, None, 401, _NOBODY) for path in ("/sync", "/async", "/class", "/write", "/fresh")),
    *(Case(path, "reader", 200) for path in ("/sync", "/async", "/class", "/mounted/inside")),
    Case("/mounted/inside", None, 401, _NOBODY),
    Case("/sync", "forged", 401, _NOBODY),
    Case("/sync", "forged", 401, _INVALID, transport="bearer"),
    Case("/sync", "reader", 200, transport="bearer"),
    Case("/write", "reader", 403, _SCOPE),
    Case("/write", "writer", 200),
    Case("/fresh", "writer", 200),
    Case("/fresh", "old", 401, _STEP_UP),
    Case("/page?q=a%26b", "reader", 200, headers=HTML),
    Case("/page?q=a%26b", None, 303, _BACK, HTML),
    Case("/page?q=a%26b", None, 303, _BACK),  # no Accept at all
    Case("/page?q=a%26b", None, 303, _BACK, {"Accept": "application/xml, Text/HTML;q=0.9"}),
    Case("/page?q=a%26b", None, 303, _BACK, HTML | {"Sec-Fetch-Mode": "navigate"}),
    Case("/page", None, 303, {"Location": LOGIN_URL, "Cache-Control": "no-store"}, HTML, "POST"),
    Case("/page?q=a%26b", None, 303, _BACK, HTML, "HEAD"),
    Case("/page", "forged", 303, {"Location": f"{LOGIN_URL}?next=/page"}, HTML),
    Case("/page", None, 401, _STAY, {"Accept": "application/json"}),
    Case("/page", None, 401, _STAY, {"Accept": "*/*"}),
    Case("/page", None, 401, _STAY, {"Accept": "text/plain, */*;q=0.8"}),
    Case("/page", None, 401, _STAY, {"Sec-Fetch-Mode": "cors"}),
    Case("/page", None, 401, _STAY, _XHR),
    Case("/page", None, 401, _STAY, _IMAGE),
    Case("/page", "forged", 401, _STAY, HTML, transport="bearer"),
    Case("/fresh-page", "old", 303, {"Location": f"{LOGIN_URL}?next=/fresh-page"}, HTML),
    Case("/fresh-page", "old", 401, _STAY | _STEP_UP, HTML, transport="bearer"),
    Case("/fresh-page", "old", 401, _STAY | _STEP_UP, _XHR),
    Case("/write-page", None, 303, {"Location": f"{LOGIN_URL}?lang=en&next=/write-page"}, HTML),
    Case("/write-page", "reader", 403, _STAY | _SCOPE, HTML),
    Case("/write-page", "writer", 200, headers=HTML),
    Case("/deep/%C3%A4%20b%3Fc", "reader", 200, headers=HTML),
    Case("/mounted/page", None, 303, {"Location": f"{LOGIN_URL}?next=/mounted/page"}, HTML),
)


def check(case: Case, status: int, headers: Any) -> None:
    """Compare a response with its case; ``headers`` as the framework's client gives them."""
    assert status == case.status, headers
    for name, part in case.expected.items():
        value = headers.get(name)
        if part is None:
            assert value is None
        else:
            assert part in value
    if status in {401, 403}:
        assert "no-store" in headers.get("Cache-Control")
    assert "Cookie" in headers.get("Vary")


def way_back(location: str | None) -> str:
    """What a login page reads from ``next``."""
    assert location is not None
    (target,) = parse_qs(urlsplit(location).query, strict_parsing=True)["next"]
    return target
