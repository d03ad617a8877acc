"""The way back from a login page stays on the site."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.frameworks.cases import way_back

from sessiongate import ConfigurationError, flask, starlette
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


HOSTS = ["wiki.example", "Reports.example:8443", "http://localhost:8000", "[::1]"]


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        ("https://wiki.example/page?a=b#c", True),
        ("https://wiki.example", True),
        ("https://wiki.example?x", True),
        ("https://WIKI.example:443/", True),
        ("https://reports.example:8443/", True),
        ("http://localhost:8000/x", True),
        ("https://[::1]/", True),
        ("/page", True),
        ("http://wiki.example/", False),
        ("https://wiki.example:8443/", False),
        ("https://reports.example/", False),
        ("https://localhost:8000/", False),
        ("https://evil.example/", False),
        ("https://wiki.example.evil.example/", False),
        ("https://a.wiki.example/", False),
        ("https://evil.example/wiki.example", False),
        ("https://wiki.example@evil.example/", False),
        ("https://evil.example\\@wiki.example/", False),
        ("https://wiki.example\\.evil.example/", False),
        ("https://evil.example#@wiki.example/", False),
        ("https://wiki.example./", False),
        ("https:/wiki.example/", False),
        ("https:wiki.example/", False),
        ("https:///wiki.example/", False),
        ("HTTPS://wiki.example/", False),
        ("//wiki.example/", False),
        ("/\\wiki.example/", False),
        ("ftp://wiki.example/", False),
        ("javascript://wiki.example/%0aalert(1)", False),
        (" https://wiki.example/", False),
        ("https://wiki.example/\n", False),
        ("https://wiki\t.example/", False),
        ("https://xn--wki-8na.example/", False),
        ("https://w\u0456ki.example/", False),
    ],
)
def test_another_host_is_followed_only_if_it_is_allowed(target: str, *, allowed: bool) -> None:
    assert safe_redirect(target, "/home", allowed_hosts=HOSTS) == (target if allowed else "/home")


@given(target=st.text(alphabet="https:/\\@?#.wikevlxamp \t%", max_size=30))
def test_whatever_is_followed_is_on_an_allowed_host(target: str) -> None:
    followed = safe_redirect(f"https://wiki.example{target}", "/", allowed_hosts=["wiki.example"])
    browsed = urlsplit(urljoin(ACCOUNT, followed.replace("\\", "/")))
    assert browsed.hostname in {"app.example.com", "wiki.example"}
    assert browsed.username is None


@pytest.mark.parametrize("host", ["*.example", "a/b", "", "https://a.example/x", "ftp://a", "a b"])
def test_hosts_that_are_none_are_refused(host: str) -> None:
    with pytest.raises(ConfigurationError, match="allowed_hosts"):
        safe_redirect("/", allowed_hosts=[host])
    with pytest.raises(TypeError, match="list of hosts"):
        safe_redirect("/", allowed_hosts="wiki.example")


def test_the_frameworks_offer_the_same_function() -> None:
    assert flask.safe_redirect is starlette.safe_redirect is safe_redirect
    assert way_back("/login?next=/a%3Fb") == "/a?b"
