"""What a device is called, in words of our own: none of a client's reaches a page from here.

A user agent claims to be its ancestors as well, so the first mark that is
found wins. It may lie, and browsers tell less every year; so the words are
few: enough to tell one's phone from one's laptop.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["UNKNOWN", "ip_of", "name_of"]

UNKNOWN: Final = "Unknown device"

_PROGRAMS: Final = (
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("OPT/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("YaBrowser/", "Yandex Browser"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("Ddg/", "DuckDuckGo"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Trident/", "Internet Explorer"),
    ("Epiphany/", "GNOME Web"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("Wget/", "Wget"),
    ("HTTPie/", "HTTPie"),
    ("PostmanRuntime/", "Postman"),
    ("python-", "A Python program"),
    ("aiohttp/", "A Python program"),
    ("okhttp/", "An app"),
    ("Dart/", "An app"),
    ("CFNetwork/", "An app"),
    ("Go-http-client/", "A Go program"),
    ("axios/", "A Node.js program"),
    ("node-fetch/", "A Node.js program"),
)
_SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("iPod", "iPod"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "Mac"),
    ("Macintosh", "Mac"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
    ("Linux", "Linux"),
)


def name_of(device: Any) -> str:
    """The name that the app gave, or the user agent in words, or ``UNKNOWN``."""
    given = device if isinstance(device, str) else _text(device, "name")
    return given or _describe(_text(device, "user_agent"))


def ip_of(device: Any) -> str | None:
    """The recorded IP, ``None`` for unknown."""
    return _text(device, "ip") or None


def _text(device: Any, key: str) -> str:
    value = device.get(key) if isinstance(device, Mapping) else None
    return value if isinstance(value, str) else ""


def _describe(user_agent: str) -> str:
    """Such as “Firefox on Linux”."""
    program, system = (_first(user_agent, marks) for marks in (_PROGRAMS, _SYSTEMS))
    if program and system:
        return f"{program} on {system}"
    return program or (system and f"Unknown browser on {system}") or UNKNOWN


def _first(user_agent: str, marks: tuple[tuple[str, str], ...]) -> str:
    return next((word for mark, word in marks if mark in user_agent), "")
