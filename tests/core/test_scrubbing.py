"""What a driver says may be logged, and nothing that it was given in confidence."""

from __future__ import annotations

from string import ascii_letters, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.processor import MILLISECOND, yardsticks

from sessiongate import JWTSessionManager, SessionManager
from sessiongate.reports.scrubbing import scrubbed

HARMLESS = [
    "Redis at cache:6379 failed: AuthenticationError: invalid username-password pair.",
    "ReadOnlyError: You can't write against a read only replica.",
    "AuthenticationWrongNumberOfArgsError: wrong number of arguments",
    "Error 111 connecting to cache-0001.my-cluster.use1.cache.amazonaws.com:6379.",
    "DatabaseError: file is not a database",
    "/var/lib/app/sessions.db: unable to open database file",
    'FATAL: password authentication failed for user "app"',
    "Server says: ß, 漢字",
    "",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_a_driver_says_stays(text: str) -> None:
    assert scrubbed(text) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("redis://app:hunter2@db:6379/0 is down", "redis://…@db:6379/0 is down"),
        ("rediss://:p/a@ss:w0rd@db is down", "rediss://…@db is down"),
        ("at postgresql://app@db, postgresql://b:hunter2@c", "postgresql://…@db, postgresql://…@c"),
        ("host=db password=hunter2 user=app", "host=db password=… user=app"),
        ("host=db password='hunter 2\\' 3' user=app", "host=db password=… user=app"),
        ("db?PASSWORD=hunter2&user=app", "PASSWORD=…&user=app"),
        ("no key sg:{s:Ab0-dEfGhIjKlMnOpQrSt_}", "no key sg:{s:…}"),
        ("digest " + "0f" * 16, "digest …"),
        ("digest " + "AB" * 64, "digest …"),
    ],
)
def test_what_opens_something_goes(text: str, kept: str) -> None:
    said = scrubbed(text)
    assert kept in said
    assert not any(word in said for word in ("hunter", "w0rd", "dEfG", "0f0f", "ABAB"))


def test_no_token_and_no_id_stays() -> None:
    for manager in (SessionManager(), JWTSessionManager()):
        for _ in range(200):
            token = manager.create_session("alice", existing="replace") or ""
            assert scrubbed(f"cannot store {token}: down") == "cannot store …: down"
            handle = manager.user_sessions("alice")[0]["handle"]
            if not handle.isalpha():  # one in ten thousand such might be taken for a class
                assert scrubbed(f"no ('{handle}', 0), key=x:{handle}") == "no ('…', 0), key=x:…"


LETTERS = st.text(f"{ascii_letters}{digits}-_", min_size=3, max_size=17)


@given(
    before=LETTERS,
    begins=st.sampled_from(["-eyJ", "-sg_", "-sgp_", "-EYJ", "-SG_"]),
    inside=LETTERS,
    after=st.sampled_from(["", ".", ". Try again", ".0", "', 0)", ":x", "}", "@db", " eyJ"]),
)
def test_an_id_goes_whole_that_holds_what_a_token_begins_with(
    before: str, begins: str, inside: str, after: str
) -> None:
    sid = f"Aa1{before}{begins}{inside}"[:22].ljust(22, "x")
    said = scrubbed(f"no key {sid}{after}")
    assert said.startswith("no key …")
    assert not any(sid[at : at + 4] in said for at in range(len(sid) - 3))


def test_it_is_one_line_of_bounded_length() -> None:
    assert scrubbed("one\r\n\ttwo\x1b[31m\u2028three\0 ") == "one two [31m three"
    assert scrubbed("x" * 300) == "x" * 300
    assert len(scrubbed("word " * 100_000)) == 300
    assert scrubbed("word " * 798 + "redis://app:" + "hunter2" * 100 + "@db") == scrubbed(
        "word " * 798
    )


@pytest.mark.parametrize(
    "part",
    ["://", "://@", "sg_", "-sg_", "eyJ", "eyJ.", "-eyJ", "-eyJ.", "password='", "\\", "aB", "-"],
)
def test_hostile_words_cost_little(part: str) -> None:
    def work() -> None:
        scrubbed(part * 100_000)
        scrubbed((part * 1000)[:3999])

    most = 100 * MILLISECOND
    assert yardsticks(work, enough=most) <= most
