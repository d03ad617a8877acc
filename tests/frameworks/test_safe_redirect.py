"""The way back from a login page stays on the site."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.frameworks.cases import way_back

from sessiongate import flask, starlette
from sessiongate.kits.page import Page, safe_redirect

ACCOUNT = "https://app.example.com/account/login"


@pytest.mark.parametrize(
    ("target", "stays"),
    [
        ("/", True),
        ("/account?tab=1#top", True),
        ("/account?next=//evil.example", True),
        ("/caf%C3%A9%0A", True),
        ("//evil.example", False),
        ("///evil.example", False),
        ("/\\evil.example", False),
        ("\\\\evil.example", False),
        ("\\/evil.example", False),
        ("https://evil.example/", False),
        ("https:evil.example", False),
        ("HTTPS:/evil.example", False),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        (" //evil.example", False),
        ("/\t/evil.example", False),
        ("/\n/evil.example", False),
        ("/\x00/evil.example", False),
        ("/\x7f/evil.example", False),
        ("\x0b/account", False),
        ("/a\r\nSet-Cookie: x=1", False),
        ("account", False),
        ("?next=/", False),
        ("", False),
        (None, False),
    ],
)
def test_only_a_path_of_this_site_is_followed(target: str | None, *, stays: bool) -> None:
    assert safe_redirect(target, "/home") == (target if stays else "/home")


@given(st.text(alphabet="/\\:@?#.%;e \t\n\r\x00\x0b\x7f\x85\xa0\u2028\uff0f", max_size=12))
def test_whatever_is_followed_is_on_this_host(target: str) -> None:
    followed = safe_redirect(target, "/home")
    assert urlsplit(urljoin(ACCOUNT, followed)).netloc == "app.example.com"
    # Browsers drop tabs and line ends, and read a backslash as a slash.
    browsed = "".join(c for c in followed if c not in "\t\r\n").replace("\\", "/").strip()
    assert browsed.startswith("/")
    assert not browsed.startswith("//")


@given(path=st.text(), query=st.text(alphabet="ab&=%+?/"))
def test_the_way_back_is_one_parameter_whatever_was_asked_for(path: str, query: str) -> None:
    target = Page("GET", f"/{path.lstrip('/')}", query, lambda _, default: default, "", str).target
    assert target.isascii()
    assert not set(target) & set(' "<>\\\r\n\t\x00')
    assert (target.count("?") > 0) == bool(query)


def test_the_frameworks_offer_the_same_function() -> None:
    assert flask.safe_redirect is starlette.safe_redirect is safe_redirect
    assert way_back("/login?next=/a%3Fb") == "/a?b"
