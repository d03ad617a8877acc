"""Opaque tokens: only what was minted here is one, and anything else costs no store call."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiongate import SessionManager
from sessiongate.stores import MemoryStore
from sessiongate.testing import CountingStore

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "k" * 64
STORE = CountingStore(MemoryStore())
MANAGER = SessionManager(secret_key=KEY, store=STORE, max_concurrent_sessions=None)
TOKEN = MANAGER.create_session("alice") or ""
OTHER = MANAGER.create_session("bob") or ""
TEXT = string.ascii_letters + string.digits + "-_.~+/= \0\r\n%é"


def refused_without_a_look(token: object) -> bool:
    before = STORE.calls
    return MANAGER.validate_session(token) is None and STORE.calls == before  # type: ignore[arg-type]


def test_a_token_is_id_generation_and_seal() -> None:
    assert re.fullmatch(r"sg_[A-Za-z0-9_-]{22}\.0\.[0-9a-f]{32}", TOKEN)
    assert MANAGER.session_username(TOKEN) == "alice"


def parts(token: str) -> list[str]:
    return token.split(".")


FORGED: dict[str, Callable[[], object]] = {
    "no seal": lambda: ".".join(parts(TOKEN)[:2]),
    "empty seal": lambda: ".".join([*parts(TOKEN)[:2], ""]),
    "zero seal": lambda: ".".join([*parts(TOKEN)[:2], "0" * 32]),
    "seal of another": lambda: ".".join([*parts(TOKEN)[:2], parts(OTHER)[2]]),
    "id of another": lambda: ".".join([parts(OTHER)[0], *parts(TOKEN)[1:]]),
    "generation on": lambda: TOKEN.replace(".0.", ".1."),
    "generation padded": lambda: TOKEN.replace(".0.", ".00."),
    "generation negative": lambda: TOKEN.replace(".0.", ".-1."),
    "generation gone": lambda: TOKEN.replace(".0.", ".."),
    "generation in other digits": lambda: TOKEN.replace(".0.", ".\N{ARABIC-INDIC DIGIT ZERO}."),
    "without prefix": lambda: TOKEN.removeprefix("sg_"),
    "prefix twice": lambda: "sg_" + TOKEN,
    "upper case": TOKEN.upper,
    "truncated": lambda: TOKEN[:-1],
    "truncated seal": lambda: TOKEN[:-16],
    "extended": lambda: TOKEN + "0",
    "padded": lambda: TOKEN + "=",
    "newline": lambda: TOKEN + "\n",
    "spaces": lambda: f" {TOKEN} ",
    "quotes": lambda: f'"{TOKEN}"',
    "NUL": lambda: TOKEN + "\0",
    "non-ASCII": lambda: TOKEN + "é",
    "surrogate": lambda: TOKEN + "\udc80",
    "full width": lambda: TOKEN.translate({ord(c): ord(c) + 0xFEE0 for c in "abcdef0123456789"}),
    "two": lambda: TOKEN + TOKEN,
    "two by comma": lambda: f"{TOKEN}, {TOKEN}",
    "a megabyte": lambda: "x" * 1_000_000,
    "a megabyte behind": lambda: TOKEN + "0" * 1_000_000,
    "a megabyte non-ASCII": lambda: "é" * 1_000_000,
    "a million dots": lambda: "." * 1_000_000,
    "bytes": TOKEN.encode,
    "bytearray": lambda: bytearray(TOKEN.encode()),
    "none": lambda: None,
    "int": lambda: 5,
    "list": lambda: [TOKEN],
    "dict": lambda: {TOKEN: TOKEN},
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_token_is_refused_without_a_look(forge: Callable[[], object]) -> None:
    assert refused_without_a_look(forge())


def test_another_key_makes_other_tokens() -> None:
    store = MemoryStore()
    token = SessionManager(secret_key="a" * 64, store=store).create_session("alice") or ""
    assert SessionManager(secret_key="b" * 64, store=store).validate_session(token) is None


def test_a_generation_not_reached_yet_is_refused_though_its_seal_is_right() -> None:
    token = MANAGER.create_session("carol") or ""
    fresh = MANAGER.refresh_session(token) or ""
    restored = SessionManager(secret_key=KEY, store=MemoryStore())
    assert restored.validate_session(fresh) is None
    assert MANAGER.session_username(fresh) == "carol"


def test_every_single_character_counts() -> None:
    for at, old in enumerate(TOKEN):
        for new in TEXT.replace(old, ""):
            assert refused_without_a_look(TOKEN[:at] + new + TOKEN[at + 1 :])


@given(st.text())
def test_no_text_is_a_token(text: str) -> None:
    assert refused_without_a_look(text)


@given(
    st.from_regex(r"\Asg_[A-Za-z0-9_-]{22}\.(0|[1-9][0-9]{0,20})\.[0-9a-f]{32}\Z")
    | st.text(st.sampled_from(TEXT), max_size=130)
    | st.builds(lambda at, more: TOKEN[:at] + more, st.integers(0, 60), st.text(max_size=70))
)
def test_nothing_alike_is_a_token(text: str) -> None:
    assert text == TOKEN or refused_without_a_look(text)


@given(st.one_of(st.none(), st.integers(), st.floats(), st.binary(), st.lists(st.text())))
def test_nothing_else_is_a_token(thing: object) -> None:
    assert refused_without_a_look(thing)
    assert thing not in MANAGER.sessions
