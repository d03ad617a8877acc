"""User agents in words, as browsers and programs send them."""

from __future__ import annotations

import pytest

from sessiongate.devices.labels import name_of

MOZILLA = "Mozilla/5.0"
KHTML = "AppleWebKit/537.36 (KHTML, like Gecko)"
APPLE = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
X11 = "(X11; Linux x86_64)"
WINDOWS = "(Windows NT 10.0; Win64; x64)"
MAC = "(Macintosh; Intel Mac OS X 10_15_7)"
IPHONE = "(iPhone; CPU iPhone OS 18_0 like Mac OS X)"
ANDROID = "(Linux; Android 10; K)"
CHROME = "Chrome/140.0.0.0"


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (
            f"{MOZILLA} (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "Firefox on Linux",
        ),
        (
            f"{MOZILLA} (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0",
            "Firefox on Android",
        ),
        (
            f"{MOZILLA} {IPHONE} {APPLE} FxiOS/140.0 Mobile/15E148 Safari/605.1.15",
            "Firefox on iPhone",
        ),
        (f"{MOZILLA} {IPHONE} {APPLE} Version/18.0 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        (f"{MOZILLA} {MAC} {APPLE} Version/18.0 Safari/605.1.15", "Safari on Mac"),
        (
            f"{MOZILLA} {IPHONE} {APPLE} CriOS/140.0.0.0 Mobile/15E148 Safari/604.1",
            "Chrome on iPhone",
        ),
        (f"{MOZILLA} {WINDOWS} {KHTML} {CHROME} Safari/537.36", "Chrome on Windows"),
        (f"{MOZILLA} {X11} {KHTML} Chromium/140.0 {CHROME} Safari/537.36", "Chromium on Linux"),
        (f"{MOZILLA} {X11} {KHTML} HeadlessChrome/140.0.0.0 Safari/537.36", "Chrome on Linux"),
        (
            f"{MOZILLA} (X11; CrOS x86_64 14541.0.0) {KHTML} {CHROME} Safari/537.36",
            "Chrome on ChromeOS",
        ),
        (f"{MOZILLA} {ANDROID} {KHTML} {CHROME} Mobile Safari/537.36", "Chrome on Android"),
        (f"{MOZILLA} {WINDOWS} {KHTML} {CHROME} Safari/537.36 Edg/140.0.0.0", "Edge on Windows"),
        (
            f"{MOZILLA} {ANDROID} {KHTML} {CHROME} Mobile Safari/537.36 EdgA/140.0",
            "Edge on Android",
        ),
        (f"{MOZILLA} {MAC} {KHTML} {CHROME} Safari/537.36 OPR/125.0.0.0", "Opera on Mac"),
        (
            f"{MOZILLA} {ANDROID} {KHTML} SamsungBrowser/28.0 {CHROME} Mobile Safari/537.36",
            "Samsung Internet on Android",
        ),
        (f"{MOZILLA} {X11} {KHTML} {CHROME} Safari/537.36 Vivaldi/7.5", "Vivaldi on Linux"),
        (
            f"{MOZILLA} (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
            "Internet Explorer on Windows",
        ),
        ("curl/8.10.1", "curl"),
        ("Wget/1.21.4", "Wget"),
        ("python-requests/2.32.3", "A Python program"),
        ("python-httpx/0.28.1", "A Python program"),
        ("okhttp/4.12.0", "An app"),
        ("MyApp/7 CFNetwork/1568.100.1 Darwin/24.0.0", "An app"),
        ("Go-http-client/2.0", "A Go program"),
        ("Something/1.0 (Linux)", "Unknown browser on Linux"),
        ("Something/1.0", "Unknown device"),
        ("", "Unknown device"),
    ],
)
def test_a_user_agent_in_words(agent: str, words: str) -> None:
    assert name_of({"user_agent": agent}) == words


def test_the_name_that_the_app_gave_comes_first() -> None:
    agent = "curl/8.10.1"
    assert name_of({"user_agent": agent, "name": "Build server"}) == "Build server"
    assert name_of({"user_agent": agent, "name": ""}) == "curl"
    assert name_of("Kiosk") == "Kiosk"
    assert name_of(None) == "Unknown device"
