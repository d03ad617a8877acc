"""``sessiongate keygen`` and ``sessiongate jwks``."""

from __future__ import annotations

import json
import stat
import warnings
from typing import TYPE_CHECKING

import jwt
import pytest
from tests.cli.calling import Caller

from sessiongate import JWTSessionManager, SessionManager
from sessiongate.keys.jwt import ALGORITHMS

if TYPE_CHECKING:
    from pathlib import Path

PAIRS = [name for name in ALGORITHMS if not name.startswith("HS")]


@pytest.mark.parametrize("arguments", [(), ("--algorithm", "HS512")])
def test_a_secret_is_long_enough_for_everything_and_never_the_same(
    arguments: tuple[str, ...],
) -> None:
    first, second = (Caller()("keygen", *arguments).out for _ in range(2))
    assert first != second
    assert first.endswith("\n")
    key = first.strip()
    assert len(key) >= 64
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SessionManager(secret_key=key, strict_keys=True)
        JWTSessionManager(secret_key=key, strict_keys=True)


def quick(algorithm: str) -> bool:
    """A pair of RSA takes a third of a second to make, and is of the same kind for each hash."""
    return not algorithm.startswith(("RS", "PS")) or algorithm in {"RS256", "PS512"}


@pytest.mark.parametrize(
    "algorithm",
    [pytest.param(name, marks=[] if quick(name) else pytest.mark.slow) for name in PAIRS],
)
def test_a_key_pair_signs_and_its_public_half_verifies(algorithm: str, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    Caller()("keygen", "--algorithm", algorithm, "--output", str(file))
    manager = JWTSessionManager(secret_key=file.read_text(), algorithm=algorithm)
    token = manager.create_session("alice")
    assert token is not None

    private = {"".join(file.read_text().split("\n")[1:3])}
    jwks = Caller(secrets=private)("jwks", "--algorithm", algorithm, "--secret-key-file", str(file))
    assert json.loads(jwks.out) == manager.jwks()
    (key,) = json.loads(jwks.out)["keys"]
    assert not {"d", "p", "q", "dp", "dq", "qi"} & key.keys()
    claims = jwt.decode(token, jwt.PyJWK(key), algorithms=[algorithm], audience="plantdb-client")
    assert claims["sub"] == "alice"


def test_the_file_is_for_its_owner_and_is_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "secret.key"
    done = Caller()("keygen", "--output", str(file))
    key = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key == key.strip()
    assert key not in done.out + done.err

    refused = Caller()("keygen", "--output", str(file), code=2)
    assert "File exists" in refused.err
    assert file.read_text() == key


def test_several_keys_are_published_during_a_change_of_keys(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("new.pem", "old.pem")]
    options = []
    for file in files:
        Caller()("keygen", "--algorithm", "EdDSA", "--output", str(file))
        options += ["--secret-key-file", str(file)]
    told = json.loads(Caller()("jwks", "--algorithm", "EdDSA", *options).out)
    assert len(told["keys"]) == 2


def test_what_cannot_be_published_says_why(tmp_path: Path) -> None:
    secret = tmp_path / "secret.key"
    Caller()("keygen", "--output", str(secret))
    cli = Caller(secrets={secret.read_text()})
    options = ("--secret-key-file", str(secret))
    assert "shares a secret" in cli("jwks", "--algorithm", "HS512", *options, code=2).err
    assert "must be a PEM key" in cli("jwks", "--algorithm", "ES256", *options, code=2).err
    assert "must be one of" in cli("jwks", "--algorithm", "none", *options, code=2).err
    assert "no key" in cli("jwks", "--algorithm", "ES256", code=2, SESSIONGATE_SECRET_KEY="").err
    for algorithm in ("none", "HS1", "es256"):
        assert "must be one of" in cli("keygen", "--algorithm", algorithm, code=2).err
