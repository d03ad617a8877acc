"""``sessiongate inspect``: the truth about a token, and no part of it."""

from __future__ import annotations

import hmac
import json
import string
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.cli.calling import KEY, everything
from tests.tokens.forger import decode, encode

from sessiongate import APITokens, JWTSessionManager, SessionManager
from sessiongate.core.rotation import WHEN_DUE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.calling import Caller

    from sessiongate.stores import SQLiteStore

OTHER_KEY = "o" * 64
HOUR = 3600
LONG = pytest.param("x" * 10_000, id="long")


class Clock:
    """Of the app, which may be elsewhere than the administrator's."""

    def __init__(self) -> None:
        self.offset = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["opaque", "jwt"])
def app(request: pytest.FixtureRequest, store: SQLiteStore, clock: Clock) -> SessionManager:
    options: dict[str, Any] = {
        "store": store,
        "secret_key": KEY,
        "max_concurrent_sessions": None,
        "existing": "new",
        "clock": clock,
        "rotate_after": 0,
    }
    if request.param == "opaque":
        return SessionManager(HOUR, **options)
    return JWTSessionManager(HOUR, issuer="shop", audience="shop-api", **options)


def rotated(app: SessionManager, token: str) -> str:
    """The successor, as the middleware gets it."""
    row = app.run(
        app.operations.present(app.now(), app.operations.read(token, app.now()), WHEN_DUE)
    )
    assert row is not None
    return app.operations.codec.mint(row)


def inspected(cli: Caller, token: str, *options: str, code: int = 0, **settings: str) -> Any:
    """What it says, in JSON; in words as well, so that both are searched for secrets."""
    cli.keep_secret(token)
    settings = {"SESSIONGATE_SECRET_KEY": KEY, **settings}
    cli("inspect", "-", *options, stdin=f"{token}\n", code=code, **settings)
    done = cli("inspect", "--json", *options, stdin=token, code=code, **settings)
    assert done.err == ""
    return json.loads(done.out)


def created(app: SessionManager, cli: Caller, **options: Any) -> str:
    return cli.keep_secret(app.create_session("alice", **options))


def test_a_valid_token(cli: Caller, app: SessionManager) -> None:
    told = inspected(cli, created(app, cli))
    (known,) = app.user_sessions("alice")
    assert (told["verdict"], told["standing"], told["signature"]) == ("valid", "current", "good")
    assert (told["handle"], told["generation"]) == (known["handle"], 0)
    assert told["session"]["username"] == "alice"
    assert told["session"]["live"] is True


def test_nothing_is_touched(
    cli: Caller, app: SessionManager, store: SQLiteStore, clock: Clock
) -> None:
    first = created(app, cli)
    second = rotated(app, first)
    clock.offset = -2 * HOUR
    expired = created(app, cli)
    clock.offset = -100
    before = everything(store)
    for token, code in ((second, 0), (first, 0), (expired, 1)):
        inspected(cli, token, code=code)
    # PresentedToken to the app, the second one would have been seen, and the first one got a time.
    assert everything(store) == before


def test_a_token_that_was_replaced_is_honoured_until_its_successor_is_seen(
    cli: Caller, app: SessionManager
) -> None:
    first = created(app, cli)
    second = rotated(app, first)

    told = inspected(cli, first)
    assert (told["verdict"], told["standing"]) == ("valid", "previous")
    assert told["honoured_until"] == told["session"]["expires_at"]
    words = cli("inspect", "-", stdin=first, SESSIONGATE_SECRET_KEY=KEY).out
    assert "until its successor is first presented" in words

    app.validate_session(second)
    told = inspected(cli, first)
    assert told["standing"] == "previous"
    assert told["honoured_until"] < told["session"]["expires_at"]
    assert inspected(cli, second)["standing"] == "current"


def test_a_stale_token_would_end_the_session_but_not_here(
    cli: Caller, app: SessionManager, clock: Clock
) -> None:
    clock.offset = -100
    first = created(app, cli)
    second = rotated(app, first)
    app.validate_session(second)

    told = inspected(cli, first, code=1)
    assert (told["verdict"], told["standing"]) == ("invalid", "stale")
    assert "ends the session" in told["reason"]
    assert inspected(cli, second)["verdict"] == "valid"


def test_a_token_that_was_refreshed_away(cli: Caller, app: SessionManager) -> None:
    first = created(app, cli)
    cli.keep_secret(app.refresh_session(first))
    told = inspected(cli, first, code=1)
    assert (told["verdict"], told["standing"]) == ("invalid", "retired")


def test_a_token_that_is_newer_than_the_store(
    cli: Caller, app: SessionManager, store: SQLiteStore
) -> None:
    token = created(app, cli)
    ahead = replace(everything(store)[0][0], generation=7)
    told = inspected(cli, app.operations.codec.mint(ahead), code=1)
    assert (told["verdict"], told["standing"], told["signature"]) == ("invalid", "unissued", "good")
    assert inspected(cli, token)["verdict"] == "valid"


def test_a_shared_token_is_honoured_as_long_as_its_session_lives(
    cli: Caller, app: SessionManager
) -> None:
    first = created(app, cli)
    rotated(app, first)
    app.create_session("alice", existing="reuse")
    assert inspected(cli, first)["standing"] == "previous"
    words = cli("inspect", "-", stdin=first, SESSIONGATE_SECRET_KEY=KEY).out
    assert "as long as the session lives" in words


def test_a_session_that_has_ended(cli: Caller, app: SessionManager) -> None:
    token = created(app, cli)
    app.invalidate_session(token)
    told = inspected(cli, token, code=1)
    assert (told["verdict"], told["session"], told["standing"]) == ("invalid", None, None)
    assert "no such session" in told["reason"]


def test_a_session_that_has_expired(cli: Caller, app: SessionManager, clock: Clock) -> None:
    clock.offset = -2 * HOUR
    told = inspected(cli, created(app, cli), code=1)
    assert told["verdict"] == "invalid"
    assert "expired" in told["reason"]
    assert told["session"]["live"] is False


def test_without_a_store_it_is_genuine_at_best(cli: Caller, app: SessionManager) -> None:
    told = inspected(cli, created(app, cli), SESSIONGATE_STORE="")
    assert (told["verdict"], told["session"]) == ("genuine", None)


def test_without_a_key_nothing_is_known(cli: Caller, app: SessionManager) -> None:
    told = inspected(cli, created(app, cli), SESSIONGATE_SECRET_KEY="", code=1)
    assert (told["verdict"], told["signature"]) == ("unknown", "not checked")
    assert told["session"]["live"] is True


@pytest.mark.parametrize("settings", [{}, {"SESSIONGATE_STORE": ""}])
def test_a_token_of_another_key(cli: Caller, app: SessionManager, settings: dict[str, str]) -> None:
    told = inspected(cli, created(app, cli), SESSIONGATE_SECRET_KEY=OTHER_KEY, code=1, **settings)
    assert (told["verdict"], told["signature"]) == ("invalid", "bad")


def test_an_altered_token(cli: Caller, app: SessionManager) -> None:
    token = created(app, cli)
    other = "1" if token[-20] == "0" else "0"
    told = inspected(cli, f"{token[:-20]}{other}{token[-19:]}", code=1)
    assert (told["verdict"], told["signature"]) == ("invalid", "bad")


@pytest.mark.parametrize(
    "token", ["", "hunter2", "sg_x.0.y", "a.b.c", "é" * 9, pytest.param("x" * 10_000, id="long")]
)
def test_what_is_no_token(cli: Caller, store: SQLiteStore, token: str) -> None:
    everything(store)
    done = cli("inspect", "-", "--json", stdin=token, code=1, SESSIONGATE_SECRET_KEY=KEY)
    told = json.loads(done.out)
    assert (told["verdict"], told["format"], told["handle"]) == ("invalid", None, None)
    assert token not in done.out or len(token) < 2


def test_a_token_on_the_command_line_is_read_with_a_word_of_warning(
    cli: Caller, app: SessionManager
) -> None:
    token = created(app, cli)
    done = cli("inspect", token, SESSIONGATE_SECRET_KEY=KEY)
    assert "visible to other users" in done.err
    assert "valid" in done.out


def test_the_key_comes_from_files_too_with_or_without_a_line_break(
    cli: Caller, app: SessionManager, tmp_path: Path
) -> None:
    token = created(app, cli)
    bare, lined, other = (tmp_path / name for name in ("bare", "lined", "other"))
    bare.write_text(KEY)
    lined.write_text(f"{KEY}\n")
    other.write_text(f"{OTHER_KEY}\n")
    for files in ((bare,), (lined,), (other, bare)):
        options = [part for file in files for part in ("--secret-key-file", str(file))]
        told = inspected(cli, token, *options, SESSIONGATE_SECRET_KEY=OTHER_KEY)
        assert told["verdict"] == "valid"
    done = cli("inspect", token, "--secret-key-file", "-", stdin=f"{KEY}\n")
    assert "valid" in done.out


def test_what_makes_no_sense_says_so(cli: Caller, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert "cannot read" in cli("inspect", "-", "--secret-key-file", missing, code=2).err
    assert "both" in cli("inspect", "-", "--secret-key-file", "-", code=2).err
    assert "algorithm must be one of" in cli("inspect", "--algorithm", "none", code=2).err
    assert "issuer must not be empty" in cli("inspect", "--issuer", "", code=2).err
    done = cli("inspect", stdin="a", SESSIONGATE_SECRET_KEY=" ", code=1)
    assert "invalid" in done.out


# What only a JWT has.


@pytest.fixture
def site(store: SQLiteStore, clock: Clock) -> JWTSessionManager:
    return JWTSessionManager(
        HOUR, None, KEY, issuer="shop", audience="shop-api", store=store, clock=clock
    )


def forged(token: str, **claims: Any) -> str:
    """The token with other claims, under the very header that the key makes."""
    header, payload, _ = token.split(".")
    changed = json.loads(decode(payload)) | claims
    kept = {name: value for name, value in changed.items() if value is not None}
    body = f"{header}.{encode(json.dumps(kept).encode())}"
    return f"{body}.{encode(hmac.digest(KEY.encode(), body.encode(), 'sha512'))}"


def test_the_claims_are_told_in_words(cli: Caller, site: JWTSessionManager) -> None:
    token = created(site, cli, scopes=["read"], claims={"role": "a-private-role"})
    told = inspected(cli, token)
    claims = told["claims"]
    assert (claims["iss"], claims["aud"], claims["sub"]) == ("shop", "shop-api", "alice")
    assert (claims["scope"], claims["alg"]) == ("read", "HS512")
    assert told["other_claims"] == ["role"]
    words = cli("inspect", stdin=token, SESSIONGATE_SECRET_KEY=KEY).out
    for word in ("shop-api", 'not_compared  ["alg", "iss", "aud"]', "alice", "role", "(in 59m)"):
        assert word in words
    assert "a-private-role" not in words


def test_what_the_app_expects_is_compared_if_it_is_told(
    cli: Caller, site: JWTSessionManager
) -> None:
    token = created(site, cli)
    right = ("--issuer", "shop", "--audience", "shop-api", "--algorithm", "HS512")
    told = inspected(cli, token, *right)
    assert (told["verdict"], told["not_compared"]) == ("valid", [])
    assert inspected(cli, token)["not_compared"] == ["alg", "iss", "aud"]
    for wrong, word in (
        (("--issuer", "other"), "issuer"),
        (("--audience", "other"), "audience"),
        (("--algorithm", "HS256"), "another algorithm"),
    ):
        told = inspected(cli, token, *wrong, code=1)
        assert told["verdict"] == "invalid"
        assert word in told["reason"]


@pytest.mark.parametrize(
    ("claims", "word"),
    [
        ({"exp": 1_000_000_000, "iat": 1_000_000_000 - HOUR}, "expired"),
        ({"iat": time.time() + 2 * HOUR, "exp": time.time() + 3 * HOUR}, "future"),
        ({"jti": "x"}, "jti"),
        ({"jti": None}, "jti"),
        ({"sub": "bob"}, "another user"),
        ({"sub": None}, "subject"),
        ({"iss": None}, "issuer"),
        ({"aud": ["shop-api"]}, "audience"),
        ({"iat": "yesterday"}, "iat"),
        ({"exp": True}, "exp"),
        ({"exp": 10**30}, "exp"),
        ({"nbf": 0}, "nbf"),
    ],
)
def test_a_jwt_of_our_key_that_we_never_issued(
    cli: Caller, site: JWTSessionManager, claims: dict[str, Any], word: str
) -> None:
    told = inspected(cli, forged(created(site, cli), **claims), code=1)
    assert (told["verdict"], told["signature"]) == ("invalid", "good")
    assert word in told["reason"]


def test_a_claim_of_the_app_is_not_taken_for_the_algorithm(
    cli: Caller, site: JWTSessionManager
) -> None:
    told = inspected(cli, created(site, cli, claims={"alg": "none"}))
    assert (told["verdict"], told["claims"]["alg"]) == ("valid", "HS512")


def test_an_algorithm_that_is_none(cli: Caller, site: JWTSessionManager) -> None:
    _, payload, signature = created(site, cli).split(".")
    header = encode(b'{"alg":"none","typ":"JWT"}')
    told = inspected(cli, f"{header}.{payload}.{signature}", code=1)
    assert told["verdict"] == "invalid"
    assert "algorithm" in told["reason"]


@pytest.mark.parametrize("which", ["private", "public"])
def test_a_key_pair_of_which_the_public_half_is_enough(
    cli: Caller, store: SQLiteStore, tmp_path: Path, which: str
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    file = tmp_path / "key.pem"
    file.write_bytes(private if which == "private" else public)
    app = JWTSessionManager(HOUR, None, private.decode(), algorithm="ES256", store=store)
    cli.secrets.add(private.decode().splitlines()[1])
    token = created(app, cli)
    assert inspected(cli, token, "--secret-key-file", str(file))["verdict"] == "valid"

    # A key of another kind is no answer to the question, whatever the token says.
    told = inspected(cli, token, code=1)
    assert told["verdict"] == "unknown"
    assert "must be a PEM key" in told["reason"]
    settings = {"SESSIONGATE_SECRET_KEY": KEY}
    cli("inspect", "--algorithm", "ES256", stdin=token, code=2, **settings)


def test_a_public_key_is_never_taken_for_a_shared_secret(
    cli: Caller, site: JWTSessionManager, tmp_path: Path
) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    file = tmp_path / "key.pem"
    file.write_bytes(
        key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    told = inspected(cli, created(site, cli), "--secret-key-file", str(file), code=1)
    assert told["verdict"] == "unknown"


def test_the_leeway_of_the_app_counts(cli: Caller, store: SQLiteStore, clock: Clock) -> None:
    app = JWTSessionManager(HOUR, None, KEY, store=store, clock=clock, leeway=600)
    clock.offset = -HOUR - 60
    token = created(app, cli)
    assert inspected(cli, token, code=1)["verdict"] == "invalid"
    assert inspected(cli, token, "--leeway", "600")["verdict"] == "valid"


# API tokens.


@pytest.fixture
def api_tokens(store: SQLiteStore, clock: Clock) -> APITokens:
    return APITokens(store=store, secret_key=KEY, clock=clock)


def test_an_api_token(cli: Caller, api_tokens: APITokens) -> None:
    token = cli.keep_secret(api_tokens.create("alice", name="nightly", scopes=["read"]))
    told = inspected(cli, token)
    assert (told["verdict"], told["format"], told["signature"]) == ("valid", "api_token", "good")
    (known,) = api_tokens.tokens("alice")
    assert (told["handle"], told["generation"], told["standing"]) == (known["handle"], None, None)
    assert (told["session"]["name"], told["session"]["last_used"]) == ("nightly", None)
    words = cli("inspect", stdin=token, SESSIONGATE_SECRET_KEY=KEY).out
    for word in ("it is a live API token", "of alice", "ends never", "name nightly"):
        assert word in words
    assert inspected(cli, token, SESSIONGATE_STORE="")["verdict"] == "genuine"
    told = inspected(cli, token, SESSIONGATE_SECRET_KEY="", code=1)
    assert (told["verdict"], told["handle"]) == ("unknown", known["handle"])


def test_an_api_token_that_is_over(cli: Caller, api_tokens: APITokens, clock: Clock) -> None:
    token = cli.keep_secret(api_tokens.create("alice", name="ci"))
    api_tokens.revoke_all("alice")
    told = inspected(cli, token, code=1)
    assert (told["verdict"], told["signature"], told["session"]) == ("invalid", "good", None)
    assert "no such API token" in told["reason"]

    clock.offset = -2 * HOUR
    token = cli.keep_secret(api_tokens.create("alice", name="ci", expires_in=HOUR))
    told = inspected(cli, token, code=1)
    assert (told["reason"], told["session"]["live"]) == ("it has expired", False)


def test_an_api_token_of_another_key(cli: Caller, api_tokens: APITokens) -> None:
    token = cli.keep_secret(api_tokens.create("alice", name="ci"))
    told = inspected(cli, token, code=1, SESSIONGATE_SECRET_KEY=OTHER_KEY)
    assert (told["verdict"], told["signature"]) == ("invalid", "bad")
    assert "not signed by a key given here" in told["reason"]


@pytest.mark.parametrize(
    ("altered", "word"),
    [
        (lambda token: token[:-1], "50 letters and digits"),
        (lambda token: f"{token}0", "50 letters and digits"),
        (lambda token: token.replace("_", "_-", 1)[:-1], "50 letters and digits"),
        (lambda token: token[:4], "50 letters and digits"),
        (lambda token: with_checksum(f"sgp_{'z' * 22}{token[26:48]}"), "50 letters and digits"),
        (lambda token: token[:30] + ("a" if token[30] == "b" else "b") + token[31:], "checksum"),
    ],
)
@pytest.mark.parametrize("key", [KEY, ""])
def test_an_api_token_that_was_mistyped(
    cli: Caller, api_tokens: APITokens, altered: Callable[[str], str], word: str, key: str
) -> None:
    token = altered(api_tokens.create("alice", name="ci"))
    done = cli("inspect", "-", "--json", stdin=token, code=1, SESSIONGATE_SECRET_KEY=key)
    told = json.loads(done.out)
    found = told["verdict"], told["signature"], told["handle"]
    assert found == ("invalid", "not checked", None)
    assert word in told["reason"]
    assert token not in done.out or len(token) < 10


def with_checksum(sealed: str) -> str:
    number, digits = crc32(sealed.encode()), ""
    for _ in range(6):
        number, value = divmod(number, 62)
        digits = (string.digits + string.ascii_uppercase + string.ascii_lowercase)[value] + digits
    return sealed + digits
