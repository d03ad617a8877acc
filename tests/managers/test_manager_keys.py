"""Keys of a manager: warned of, rotated, demanded where processes share a store."""

from __future__ import annotations

import secrets
import warnings
from base64 import b64encode, encodebytes
from typing import TYPE_CHECKING, Any

import pytest
from tests.managers.verbs import KEY

from sessiongate import (
    ConfigurationError,
    JWTSessionManager,
    SessionManager,
    SingleSessionManager,
    WeakKeyWarning,
)
from sessiongate.stores import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

ALL = [SessionManager, SingleSessionManager, JWTSessionManager]
Kind = type[SessionManager]


class SharedStore(MemoryStore):
    """A store as other processes would see it too."""

    shared = True


@pytest.mark.parametrize("cls", ALL)
def test_a_weak_key_draws_exactly_one_warning_at_the_line_to_mend(cls: Kind) -> None:
    with pytest.warns(WeakKeyWarning) as caught:
        cls(secret_key="my_secret")
    (warning,) = caught
    assert "secret_key has 9 bytes" in str(warning.message)
    assert "token_urlsafe" in str(warning.message)
    assert "my_secret" not in str(warning.message)
    assert warning.filename == __file__


@pytest.mark.parametrize(("algorithm", "least"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_the_least_size_is_that_of_the_algorithm(algorithm: str, least: int) -> None:
    JWTSessionManager(secret_key="x" * least, algorithm=algorithm, strict_keys=True)
    with pytest.warns(WeakKeyWarning, match=f"{algorithm} asks for {least}"):
        JWTSessionManager(secret_key="x" * (least - 1), algorithm=algorithm)


@pytest.mark.parametrize("cls", [SessionManager, SingleSessionManager])
def test_the_least_size_of_an_opaque_manager_is_32_bytes(cls: Kind) -> None:
    cls(secret_key="x" * 32, strict_keys=True)
    cls(secret_key="é" * 16, strict_keys=True)  # bytes count, not characters
    with pytest.warns(WeakKeyWarning, match="asks for 32"):
        cls(secret_key="x" * 31)


@pytest.mark.parametrize("cls", ALL)
def test_strict_keys_refuse_what_else_is_warned_of(cls: Kind) -> None:
    with pytest.raises(ConfigurationError, match="secret_key has 5 bytes"):
        cls(secret_key=[KEY, "short"], strict_keys=True)


@pytest.mark.parametrize("cls", ALL)
def test_no_key_given_makes_a_strong_one_of_its_own(cls: Kind) -> None:
    first, second = cls(strict_keys=True), cls(strict_keys=True)
    assert second.validate_session(first.create_session("alice") or "") is None


def test_the_jwt_manager_shows_its_key_as_given() -> None:
    assert JWTSessionManager(3600, 10, KEY).secret_key == KEY
    assert JWTSessionManager(secret_key=[KEY, KEY]).secret_key == [KEY, KEY]
    made = JWTSessionManager()
    assert isinstance(made.secret_key, str)
    assert len(made.secret_key) >= 64


@pytest.mark.parametrize("cls", ALL)
def test_keys_can_be_rotated(cls: Kind) -> None:
    old, new, store = "o" * 64, "n" * 64, MemoryStore()

    def manager(*keys: str) -> SessionManager:
        return cls(secret_key=list(keys), store=store)

    token = manager(old).create_session("alice") or ""
    both = manager(new, old)
    assert both.session_username(token) == "alice"
    fresh = both.refresh_session(token) or ""
    assert manager(new).session_username(fresh) == "alice"
    assert manager(old).validate_session(fresh) is None
    assert manager(new).validate_session(token) is None


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("key", [KEY, KEY.encode(), (KEY,)])
def test_text_bytes_and_lists_are_the_same_key(cls: Kind, key: Any) -> None:
    store = MemoryStore()
    token = cls(secret_key=KEY, store=store).create_session("alice") or ""
    assert cls(secret_key=key, store=store).session_username(token) == "alice"


@pytest.mark.parametrize("cls", ALL)
def test_a_shared_store_demands_a_key_and_says_how_to_make_one(cls: Kind) -> None:
    with pytest.raises(ConfigurationError, match=r"^secret_key is required.*token_urlsafe"):
        cls(store=SharedStore())
    assert cls(store=SharedStore(), secret_key=KEY).create_session("alice")


@pytest.mark.parametrize("cls", ALL)
def test_two_processes_over_one_store_are_one(cls: Kind) -> None:
    store = SharedStore()
    here, there = (cls(secret_key=KEY, store=store) for _ in range(2))
    token = here.create_session("alice") or ""
    assert there.session_username(token) == "alice"
    assert there.invalidate_session(token) == (True, "alice")
    assert here.validate_session(token) is None


ODD: dict[str, Callable[[], str | bytes]] = {
    "begins like DER, as one in 4096 of our own suggestions": lambda: "0T" + "x" * 84,
    "begins like DER": lambda: "0A" + "0" * 65,
    "not ASCII": lambda: "schlüssel-" * 8,
    "json": lambda: '{"secret": "' + "x" * 64 + '"}',
    "spaces": lambda: " " + "x" * 64 + " ",
    "octets": lambda: secrets.token_bytes(64),
    "octets like DER": lambda: bytes([0x30, 0x3E]) + b"\xff" * 62,
}


LIKE_DER = "0T0R" + "x" * 82
"""As long as our own suggestion, and by its bytes a SEQUENCE that holds a SEQUENCE."""
BLANKS = {
    "none": "",
    "spaces": "  ",
    "newline": "\n",
    "CRLF": "\r\n",
    "tab": "\t",
    "mixed": " \t\r\n\x0b\x0c",
}


@pytest.mark.parametrize("blanks", BLANKS.values(), ids=BLANKS)
@pytest.mark.parametrize("secret", [LIKE_DER, "0" * 66, "x" * 64, " " + "x" * 64], ids=len)
@pytest.mark.parametrize("cls", ALL)
def test_a_text_with_blanks_is_a_secret_with_them(cls: Kind, secret: str, blanks: str) -> None:
    """A key that was read from a file ends in a newline: another service has it as well."""
    store = MemoryStore()
    token = cls(secret_key=secret + blanks, store=store).create_session("alice") or ""
    again = cls(secret_key=(secret + blanks).encode(), store=store)
    assert again.session_username(token) == "alice"
    for other in {secret, secret + blanks + "\n", "\n" + secret + blanks} - {secret + blanks}:
        assert cls(secret_key=other, store=store).session_username(token) is None


def ssh2(kind: str) -> str:
    """A key in the format of RFC 4716, section 3: its own lines, headers, and two dashes fewer."""
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(range(32))
    lines = encodebytes(blob).decode().replace("\n", "\r\n")
    return (
        f"---- BEGIN SSH2 {kind} KEY ----\r\n"
        'Comment: "256-bit ED25519, alice@example.com"\r\n'
        f"x-long: a value \\\r\n that goes on\r\n{lines}---- END SSH2 {kind} KEY ----\r\n"
    )


SSH2: dict[str, Callable[[str], str | bytes]] = {
    "text": str,
    "bytes": str.encode,
    "unix lines": lambda text: text.replace("\r\n", "\n"),
    "one line": lambda text: text.replace("\r\n", ""),
    "stripped": str.strip,
    "blank lines before": lambda text: "\n\n  " + text,
    "comment before": lambda text: "# the key of the old server\n" + text,
    "BOM": lambda text: "\ufeff" + text,
    "base64": lambda text: b64encode(text.encode()),
}


@pytest.mark.parametrize("wrap", SSH2.values(), ids=SSH2)
@pytest.mark.parametrize("kind", ["PUBLIC", "ENCRYPTED PRIVATE"])
@pytest.mark.parametrize("cls", ALL)
def test_an_ssh2_key_is_no_secret(cls: Kind, kind: str, wrap: Callable[[str], str | bytes]) -> None:
    with pytest.raises(ConfigurationError, match=r"secret_key looks like .*shared secret"):
        cls(secret_key=wrap(ssh2(kind)))


@pytest.mark.parametrize("text", ["---- BEGIN" + "x" * 64, "BEGIN SSH2 PUBLIC KEY" + "x" * 64])
@pytest.mark.parametrize("cls", ALL)
def test_a_text_that_looks_a_little_like_one_is_taken(cls: Kind, text: str) -> None:
    cls(secret_key=text, strict_keys=True)


@pytest.mark.parametrize("make_key", ODD.values(), ids=ODD)
@pytest.mark.parametrize("cls", ALL)
def test_any_secret_is_used_as_it_is(cls: Kind, make_key: Callable[[], str | bytes]) -> None:
    m = cls(secret_key=make_key(), strict_keys=True)
    assert m.session_username(m.create_session("alice") or "") == "alice"


def test_a_good_key_draws_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for cls in ALL:
            cls(secret_key=KEY)
            cls()
