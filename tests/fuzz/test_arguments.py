"""Whatever is passed in: taken and kept exactly, or refused with a ValueError or a TypeError."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.corpus import REDIRECTS, replay
from tests.tokens.material import forms

from sessiongate import ConfigurationError, JWTSessionManager, SessionManager
from sessiongate.keys.secret import check_secret
from sessiongate.kits.page import safe_redirect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.tokens.material import Private

KEY = "k" * 64
OPAQUE = SessionManager(600, None, secret_key=KEY, existing="new")
JWT = JWTSessionManager(600, None, secret_key=KEY, existing="new")

TEXT = st.text() | st.text(st.characters(), min_size=250, max_size=260)
ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**4299, 10**4301)
    | st.floats()
    | TEXT
    | st.binary(max_size=4)
    | st.complex_numbers()
    | st.just(object)
)
THINGS = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.frozensets(ATOMS, max_size=2)
        | st.dictionaries(TEXT | st.integers() | st.none(), inner, max_size=3)
    ),
    max_leaves=6,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
LOGINS = st.fixed_dictionaries(
    {},
    optional={
        "scopes": st.lists(st.text("abc:/._-", min_size=1), max_size=3) | THINGS,
        "claims": st.dictionaries(st.text(min_size=1), JSON, max_size=3) | THINGS,
        "device": JSON | THINGS,
        "existing": st.sampled_from(["reuse", "new", "replace"]) | THINGS,
    },
)


@pytest.mark.parametrize("manager", [OPAQUE, JWT], ids=["opaque", "jwt"])
@given(st.text(min_size=1) | THINGS, LOGINS)
def test_a_login_is_kept_as_it_was_given(
    manager: SessionManager, username: Any, options: dict[str, Any]
) -> None:
    try:
        token = manager.create_session(username, **options)
    except (ValueError, TypeError):
        assert manager.n_active_sessions() == 0
        return
    assert token is not None
    assert token.isascii()
    assert token.isprintable()
    told = manager.validate_session(token)
    assert told is not None
    assert told["username"] == username
    claims = plain(options.get("claims") or {})
    assert {name: told[name] for name in claims} == claims
    assert tuple(told.get("scopes", ())) == tuple(sorted(set(options.get("scopes", ()))))
    (device,) = (one["device"] for one in manager.user_sessions(username))
    assert device == plain(options.get("device"))
    assert manager.invalidate_session(token) == (True, username)


def plain(value: Any) -> Any:
    """As JSON gives it back: tuples are lists."""
    return json.loads(json.dumps(value, default=dict))


@given(THINGS)
def test_no_thing_is_a_token(value: Any) -> None:
    for manager in (OPAQUE, JWT):
        assert manager.validate_session(value) is None
        assert manager.session_username(value) is None
        assert manager.invalidate_session(value) == (False, None)
        assert manager.refresh_session(value) is None


WRAPS: dict[str, Callable[[bytes], bytes]] = {
    "newline": lambda raw: raw + b"\n",
    "newlines": lambda raw: b"\r\n\n" + raw + b"\r\n",
    "spaces": lambda raw: b"  " + raw + b"\t",
    "BOM": lambda raw: b"\xef\xbb\xbf" + raw,
}
TEXT_WRAPS: dict[str, Callable[[bytes], bytes]] = {
    "CRLF": lambda raw: raw.replace(b"\n", b"\r\n"),
    "stripped": bytes.strip,
    "comment": lambda raw: b"# the key of production\n" + raw,
}
NAMES = [
    *("PEM public", "PEM private", "PEM certificate", "PEM PKCS#1"),
    *("DER public", "DER private", "DER certificate", "DER PKCS#1"),
    *("SSH public", "SSH private", "JWK", "JWK set", "JWK list"),
]


@given(
    key=st.sampled_from(["RSA", "P-256", "Ed25519"]),
    form=st.sampled_from(NAMES),
    wraps=st.lists(st.sampled_from([*WRAPS, *TEXT_WRAPS]), max_size=3, unique=True),
    text=st.booleans(),
)
def test_no_public_key_is_a_secret(
    private_keys: dict[str, Private], key: str, form: str, wraps: list[str], *, text: bool
) -> None:
    found = forms(private_keys[key])
    if form not in found:
        return
    material = found[form]
    for name in wraps:
        if name in WRAPS:
            material = WRAPS[name](material)
        elif form.startswith("PEM") or (form.startswith("SSH") and name != "comment"):
            material = TEXT_WRAPS[name](material)
    given_key = material.decode() if text and not form.startswith("DER") else material
    with pytest.raises(ConfigurationError, match="looks like"):
        check_secret(given_key)


@given(st.binary(min_size=32) | st.text(min_size=32).map(str.strip))
def test_a_secret_is_used_as_it_is_or_refused(secret: bytes | str) -> None:
    try:
        taken = check_secret(secret)
    except ConfigurationError:
        return
    assert taken == (secret.encode() if isinstance(secret, str) else secret)


@given(st.binary(min_size=24, max_size=64))
def test_no_random_secret_is_taken_for_a_key(raw: bytes) -> None:
    for secret in (raw.hex(), b64encode(raw).decode()):
        assert check_secret(secret) == secret.encode()


@given(st.text("/\\:@?#.%;e \t\n\r\x00\x08\x7f\x85\xa0\u2028\uff0f", max_size=12) | st.text())
@replay(REDIRECTS)
def test_a_redirect_stays_here(target: str) -> None:
    followed = safe_redirect(target, "/home")
    assert followed in {target, "/home"}
    # What a browser makes of it (WHATWG URL): no controls, and backslashes are slashes.
    browsed = "".join(c for c in followed.strip("".join(map(chr, range(33)))) if c not in "\t\r\n")
    browsed = browsed.replace("\\", "/")
    assert browsed.startswith("/")
    assert not browsed.startswith("//")
    base = "https://app.example.com/account/login"
    assert urlsplit(urljoin(base, browsed)).netloc == "app.example.com"
    assert not set(followed) & set("\r\n\x00")
