"""Requirement 9: the attributes of the cookie are strict; weakening is explicit, nonsense refused.

RFC 6265bis, sections 4.1.2 and 4.1.3; OWASP ASVS 5.0, section 3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.http.harness import MakeSite, Site, attributes, cookie, enter, leave, set_cookies

from sessiongate import CookieNameWarning, SessionCookie
from sessiongate.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("kind", ["opaque", "jwt"])
def test_the_strict_attributes_are_the_default(site: Site) -> None:
    (ours,) = set_cookies(site.ask(view=enter))
    token, rest = attributes(ours)
    assert rest == {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"}
    assert site.ask(cookie(token)).who == "alice"


def test_plain_http_is_a_choice(make: MakeSite) -> None:
    site = make(options={"cookie": SessionCookie.for_http()})
    (ours,) = set_cookies(site.ask(view=enter), "sessiongate")
    token, rest = attributes(ours)
    assert rest == {"HttpOnly", "Path=/", "SameSite=Lax"}
    assert site.ask(cookie(token, "sessiongate")).who == "alice"


def test_plain_http_takes_the_other_choices(make: MakeSite) -> None:
    chosen = SessionCookie.for_http(
        "id", same_site="Strict", path="/app", domain="example.com", persistent=True
    )
    site = make(options={"cookie": chosen})
    (ours,) = set_cookies(site.ask(view=enter), "id")
    assert attributes(ours)[1] == {
        *("HttpOnly", "Path=/app", "SameSite=Strict", "Domain=example.com", "Max-Age=3600")
    }
    for never in ("secure", "partitioned"):
        with pytest.raises(TypeError, match=never):
            SessionCookie.for_http(**{never: True})  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="same_site='None' needs secure=True"):
        SessionCookie.for_http(same_site="None")  # type: ignore[arg-type]


@pytest.mark.parametrize("make_one", [SessionCookie, SessionCookie.for_http])
def test_a_name_that_others_use_draws_a_warning_at_the_line_to_mend(
    make_one: Callable[..., SessionCookie],
) -> None:
    with pytest.warns(CookieNameWarning, match=r"Flask's own session .* SessionMiddleware") as all_:
        made = make_one(name="session")
    assert [warning.filename for warning in all_] == [__file__]
    assert made.name == "session"
    for name in ("Session", "session_id", "__Host-session", "sessiongate"):
        SessionCookie(name=name)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"same_site": "Strict"}, {"SameSite=Strict"}),
        ({"same_site": "None"}, {"SameSite=None"}),
        ({"partitioned": True, "same_site": "None"}, {"Partitioned", "SameSite=None"}),
        ({"name": "id", "domain": "example.com"}, {"Domain=example.com"}),
        ({"name": "id", "path": "/app"}, {"Path=/app"}),
        ({"name": "__Secure-id", "path": "/app"}, {"Path=/app", "Secure"}),
    ],
)
def test_attributes_can_be_chosen_and_a_deletion_repeats_them(
    make: MakeSite, options: dict[str, Any], expected: set[str]
) -> None:
    chosen = SessionCookie(**options)
    site = make(options={"cookie": chosen})
    (ours,) = set_cookies(site.ask(view=enter), chosen.name)
    token, rest = attributes(ours)
    assert expected <= rest
    assert {"Secure", "HttpOnly"} <= rest
    (gone,) = set_cookies(site.ask(cookie(token, chosen.name), view=leave), chosen.name)
    value, deleted = attributes(gone)
    assert value == ""
    assert deleted - rest == {"Max-Age=0", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"}
    assert rest <= deleted


@pytest.mark.parametrize("kind", ["opaque", "jwt"])
def test_a_persistent_cookie_states_its_life_once(make: MakeSite) -> None:
    """``Max-Age`` alone, which is counted by the browser's clock; ``Expires`` is a date of ours."""
    site = make(options={"cookie": SessionCookie(persistent=True)})
    (ours,) = set_cookies(site.ask(view=enter))
    assert attributes(ours)[1] == {
        *("Secure", "HttpOnly", "Path=/", "SameSite=Lax"),
        "Max-Age=3600",
    }


def test_a_cookie_cannot_be_changed() -> None:
    """Its attributes fit together as they were checked."""
    chosen = SessionCookie()
    for option in ("name", "secure", "same_site", "path", "domain", "partitioned", "persistent"):
        with pytest.raises(AttributeError):
            setattr(chosen, option, getattr(SessionCookie.for_http(), option))
        with pytest.raises(AttributeError):
            delattr(chosen, option)
    with pytest.raises((AttributeError, TypeError)):
        chosen.samesite = "None"  # type: ignore[attr-defined]
    assert chosen == SessionCookie()
    assert hash(chosen) == hash(SessionCookie())


LABEL = "a" * 63


@pytest.mark.parametrize(
    ("option", "longest"),
    [
        ("name", "n" * 128),
        ("path", "/" + "p" * 1023),
        ("domain", LABEL),
        ("domain", f"{LABEL}.{LABEL}.{LABEL}.{'b' * 61}"),
    ],
)
def test_the_longest_that_is_taken(option: str, longest: str) -> None:
    chosen: Any = {"name": "id", option: longest}
    assert longest in SessionCookie(**chosen).issue("token", 60)
    with pytest.raises(ConfigurationError):
        SessionCookie(**chosen | {option: longest + "c"})


@pytest.mark.parametrize(
    "options",
    [
        {"name": "__Host-id", "domain": "example.com"},
        {"name": "__Host-id", "path": "/app"},
        {"name": "__Host-id", "secure": False},
        {"name": "__host-id", "secure": False},
        {"name": "__Secure-id", "secure": False},
        {"name": "id", "same_site": "None", "secure": False},
        {"name": "id", "partitioned": True, "secure": False},
        {"name": "__Http-id", "secure": False},
        {"name": "__HoSt-id", "domain": "example.com"},
        {"secure": "false"},
        {"secure": 1},
        {"secure": None},
        {"partitioned": "no"},
        {"persistent": 0},
        {"same_site": ["Lax"]},
        {"same_site": "lax"},
        {"same_site": None},
        {"name": ""},
        {"name": "a b"},
        {"name": "a=b"},
        {"name": "a;b"},
        {"name": "ä"},
        {"name": "a\n"},
        {"name": b"id"},
        {"name": "id", "path": ""},
        {"name": "id", "path": "app"},
        {"name": "id", "path": "/a;b"},
        {"name": "id", "path": "/a\r\nb"},
        {"name": "id", "path": "/ä"},
        {"name": "id", "domain": ""},
        {"name": "id", "domain": ".example.com"},
        {"name": "id", "domain": "example.com; Path=/"},
        {"name": "id", "domain": "example.com\n"},
        {"name": "id", "domain": "a" * 300},
        {"name": "id", "domain": "-"},
        {"name": "id", "domain": "a-.example.com"},
        {"name": "id", "domain": "\u017fhop.example.com"},  # an s to whoever ignores case
        {"name": "id", "domain": b"example.com"},
        {"name": "id", "path": "/" + "a" * 1024},
    ],
)
def test_contradictions_are_refused_at_construction(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        SessionCookie(**options)
