"""What a device is called, in words of our own: none of a client's reaches a page from here.

A user agent claims to be its ancestors as well, so the first mark that is
found wins. It may lie, and browsers tell less every year; so the words are
few: enough to tell one's phone from one's laptop.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_PROGRAMS: Final = {
    "Edge": ("Edg/", "EdgA/", "EdgiOS/"),
    "Opera": ("OPR/", "OPT/"),
    "Samsung Internet": ("SamsungBrowser/",),
    "Vivaldi": ("Vivaldi/",),
    "Yandex Browser": ("YaBrowser/",),
    "DuckDuckGo": ("DuckDuckGo/", "Ddg/"),
    "Firefox": ("Firefox/", "FxiOS/"),
    "Chromium": ("Chromium/",),  # which claims to be Chrome as well
    "Chrome": ("CriOS/", "HeadlessChrome/", "Chrome/"),
    "Internet Explorer": ("Trident/",),
    "GNOME Web": ("Epiphany/",),
    "Safari": ("Safari/",),
    "curl": ("curl/",),
    "Wget": ("Wget/",),
    "HTTPie": ("HTTPie/",),
    "Postman": ("PostmanRuntime/",),
    "A Python program": ("python-", "aiohttp/"),
    "An app": ("okhttp/", "Dart/", "CFNetwork/"),
    "A Go program": ("Go-http-client/",),
    "A Node.js program": ("axios/", "node-fetch/"),
}
_SYSTEMS: Final = {
    **{name: (name,) for name in ("iPhone", "iPad", "iPod", "Android", "Windows")},
    "ChromeOS": ("CrOS",),
    "Mac": ("Mac OS X", "Macintosh"),
    **{name: (name,) for name in ("FreeBSD", "OpenBSD", "Linux")},
}


def name_of(device: Any) -> str:
    """The name that the app gave, or the user agent in words, such as “Firefox on Linux”."""
    if given := device if isinstance(device, str) else _text(device, "name"):
        return given
    agent = _text(device, "user_agent")
    program, system = _first(_PROGRAMS, agent), _first(_SYSTEMS, agent)
    if program and system:
        return f"{program} on {system}"
    return program or (system and f"Unknown browser on {system}") or "Unknown device"


def ip_of(device: Any) -> str | None:
    """The recorded IP, ``None`` for unknown."""
    return _text(device, "ip") or None


def _text(device: Any, key: str) -> str:
    value: object = device.get(key) if isinstance(device, Mapping) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return value if isinstance(value, str) else ""


def _first(words: Mapping[str, tuple[str, ...]], user_agent: str) -> str:
    return next((word for word in words if any(mark in user_agent for mark in words[word])), "")
