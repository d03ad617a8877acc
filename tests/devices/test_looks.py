"""What the default page is made of: safe, strict, and readable by everybody."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from sessiongate.devices.page import STYLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.devices.site import Reply, Site

HOSTILE = [
    '<script>alert("x")</script>',
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</li></ul></main><h1>free</h1>",
    "$url ${devices} {name} %s &amp;",
    "Firefox/1 Linux <b>",
]


@pytest.fixture
def page(site: Site) -> Reply:
    for name in ("Phone", "Tablet"):
        site.open(device={"name": name, "ip": "192.0.2.8"})
        site.clock.advance(60)
    return site.ask("GET", token=site.open(device={"name": "Laptop"}))


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", ["name", "ip", "user_agent", "username"])
def test_hostile_texts_stay_texts(site: Site, field: str, text: str) -> None:
    username = text if field == "username" else "alice"
    shown = site.ask("GET", token=site.open(username, device={field: text}))
    tame = site.ask("GET", token=site.open("tame", device={"name": "tame"}))

    skeleton = [(element.tag, set(element.attributes)) for element in shown.all("*")]
    assert skeleton == [(element.tag, set(element.attributes)) for element in tame.all("*")]
    if field != "user_agent":
        assert " ".join(text.split()) in shown.all("main")[0].text
    else:
        assert text not in shown.text


@pytest.mark.parametrize("device", [None, 5, [], ["a"], {"name": 7, "ip": None}, {}, "", True])
def test_whatever_an_app_calls_a_device_is_shown(site: Site, device: Any) -> None:
    shown = site.ask("GET", token=site.open(device=device))
    assert shown.names == ["Unknown device"]
    assert "IP address Unknown" in shown.all("dl")[0].text


def test_it_needs_no_script_and_no_inline_style(page: Reply) -> None:
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert not page.all("script") + page.all("style")
    for element in page.all("*"):
        assert not [name for name in element.attributes if name.startswith("on")]
        assert "style" not in element.attributes
        assert not str(element.attributes.get("href", "")).startswith(("data:", "http", "//"))


def test_its_policy_allows_its_style_and_nothing_else(site: Site, page: Reply) -> None:
    assert page.headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    (link,) = page.all("link")
    style = site.ask("GET", str(link.attributes["href"]))
    assert style.status == 200
    assert style.text == STYLE
    assert style.headers["Content-Type"] == "text/css; charset=utf-8"
    assert "immutable" in style.headers["Cache-Control"]
    assert "url(" not in STYLE
    assert "@import" not in STYLE


def test_it_is_personal_and_framed_by_nobody(page: Reply) -> None:
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "same-origin"


def test_a_screen_reader_finds_its_way(page: Reply) -> None:
    (document,) = page.all("html")
    assert document.attributes["lang"] == "en"
    (title,), (heading,), (main,) = page.all("title"), page.all("h1"), page.all("main")
    assert title.text == heading.text == "My devices"
    assert "main" in heading.path
    assert main.path == ("html", "body")
    (navigation,) = page.all("nav")
    assert navigation.attributes["aria-label"]
    (listed,) = page.all("ul")
    assert listed.attributes["role"] == "list", "Safari forgets a list that has no bullets"
    assert [element.path[-1] for element in page.all("li")] == ["ul"] * 3
    assert [element.path[-2] for element in page.all("h2")] == ["li"] * 3
    levels = [e.tag for e in page.all("*") if re.fullmatch("h[1-6]", e.tag)]
    assert levels == ["h1", "h2", "h2", "h2"]


def test_each_button_says_which_device_it_logs_out(page: Reply) -> None:
    by_id = {e.attributes["id"]: e.text for e in page.all("*") if "id" in e.attributes}
    assert len(by_id) == len([e for e in page.all("*") if "id" in e.attributes]), "ids are unique"
    names = []
    for button in page.all("button"):
        assert button.path[-1] == "form"
        parts = str(button.attributes.get("aria-labelledby", "")).split()
        name = " ".join(by_id[part] for part in parts) or button.text
        assert name.startswith(button.text), "what is read begins with what is seen (WCAG 2.5.3)"
        names.append(name)
    assert names == [
        *("Log out Laptop", "Log out Tablet", "Log out Phone"),
        "Log out all other devices",
    ]


def colours(block: str) -> dict[str, tuple[float, ...]]:
    return {
        name: tuple(int(value[at : at + 2], 16) / 255 for at in (0, 2, 4))
        for name, value in re.findall(r"--([a-z-]+): #([0-9a-f]{6});", block)
    }


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """WCAG 2.2, “contrast ratio”."""

    def luminance(colour: tuple[float, ...]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_their_ground(scheme: str) -> None:
    light, dark = STYLE.split("@media (prefers-color-scheme: dark)")
    named = colours(light if scheme == "light" else dark)
    for text, grounds in {
        "ink": ("ground", "card", "tint"),
        "soft": ("ground", "card"),
        "accent": ("ground",),
        "danger": ("ground", "card", "danger-tint"),
    }.items():
        for ground in grounds:
            assert contrast(named[text], named[ground]) >= 4.5, (text, ground)
    for shape in ("accent", "danger"):
        assert contrast(named[shape], named["card"]) >= 3, "WCAG 1.4.11"


def test_focus_is_seen_and_zoom_is_allowed(page: Reply) -> None:
    assert ":focus-visible { outline:" in STYLE
    assert "outline: none" not in STYLE
    contents = {e.attributes.get("name"): e.attributes.get("content") for e in page.all("meta")}
    assert contents["viewport"] == "width=device-width, initial-scale=1"
    assert contents["color-scheme"] == "light dark"


TEMPLATE = """\
<title>Ours</title>
{% for device in page.devices %}
<h2>{{ device.name }}</h2>
<form method="post" action="{{ page.end_url(device) }}"></form>
{% endfor %}
{% if page.has_others %}<form method="post" action="{{ page.end_others_url }}"></form>{% endif %}
"""


def test_an_app_may_have_a_template_of_its_own(make: Callable[..., Site]) -> None:
    site = make(template=TEMPLATE, path="/account/devices")
    here, there = site.open(device={"name": "Here & now"}), site.open(device={"name": "There"})
    shown = site.ask("GET", "/account/devices", here)

    assert shown.names == ["Here & now", "There"]
    assert shown.headers["Cache-Control"] == "no-store"
    assert shown.headers["X-Frame-Options"] == "DENY"
    assert "Content-Security-Policy" not in shown.headers, "that is the app's own"
    assert site.cost("GET", "/account/devices", here) == {"read": 1, "of_user": 1}
    assert site.ask("GET", "/account/devices/style.css").status == 404

    _, other, others = (str(form.attributes["action"]) for form in shown.all("form"))
    assert site.ask("POST", other, here).headers["Location"] == "/account/devices"
    assert site.manager.validate_session(there) is None
    assert site.ask("POST", others, here).status == 303
    assert len(site.ask("GET", "/account/devices", here).all("form")) == 1
