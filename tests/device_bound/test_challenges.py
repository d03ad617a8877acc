"""Challenges: only ours, only for one session, one generation, one purpose and a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sessiongate import SessionManager
from sessiongate.core.row import SECOND
from sessiongate.device_bound.challenges import Challenges

if TYPE_CHECKING:
    from sessiongate.device_bound.challenges import Purpose

SID = "A" * 22
NOW = 1_700_000_000 * SECOND
LONG = 600 * SECOND
KEY = b"k" * 64
OURS = Challenges([KEY], valid_for=LONG)


@pytest.mark.parametrize("purpose", ["bind", "refresh"])
def test_a_challenge_names_a_session_and_a_generation(purpose: Purpose) -> None:
    text = OURS.issue(purpose, SID, 7, NOW)
    assert OURS.read(purpose, text, NOW) == (SID, 7)
    assert OURS.read("refresh" if purpose == "bind" else "bind", text, NOW) is None


def test_a_challenge_counts_for_a_while() -> None:
    text = OURS.issue("refresh", SID, 1, NOW)
    assert OURS.read("refresh", text, NOW + LONG - 1) == (SID, 1)
    assert OURS.read("refresh", text, NOW + LONG) is None


def test_a_challenge_of_a_clock_that_is_ahead_counts() -> None:
    assert OURS.read("refresh", OURS.issue("refresh", SID, 1, NOW + LONG), NOW) == (SID, 1)


def test_all_keys_verify_and_the_first_signs() -> None:
    old, new = b"o" * 64, b"n" * 64
    text = Challenges([old], valid_for=LONG).issue("refresh", SID, 1, NOW)
    both = Challenges([new, old], valid_for=LONG)
    assert both.read("refresh", text, NOW) == (SID, 1)
    assert OURS.read("refresh", text, NOW) is None
    text = both.issue("refresh", SID, 1, NOW)
    assert Challenges([new], valid_for=LONG).read("refresh", text, NOW) == (SID, 1)


def test_what_was_altered_is_none_of_ours() -> None:
    text = OURS.issue("refresh", SID, 1, NOW)
    sid, generation, at, mac = text.split(".")
    for bad in (
        *("", "...", text + ".", text + "A", text[:-1], text + "\n", " " + text),
        f"{'B' * 22}.{generation}.{at}.{mac}",
        f"{sid}.2.{at}.{mac}",
        f"{sid}.01.{at}.{mac}",
        f"{sid}.{generation}.{int(at) + 1}.{mac}",
        f"{sid}.{generation}.{at}.{'A' * 22}",
        f"{sid}.{generation}.{at}.{mac[:-1]}é",
        f"{sid}.\u0661.{at}.{mac}",
        "." * 100_000,
    ):
        assert OURS.read("refresh", bad, NOW) is None


def test_a_challenge_is_no_token() -> None:
    manager = SessionManager(secret_key=KEY)
    token = manager.create_session("alice") or ""
    sid = token.removeprefix("sg_").partition(".")[0]
    challenge = OURS.issue("refresh", sid, 0, NOW)
    assert manager.validate_session(challenge) is None
    assert manager.validate_session(f"sg_{challenge}") is None
    assert OURS.read("refresh", token, NOW) is None
