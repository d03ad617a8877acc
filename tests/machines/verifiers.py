"""The second service of the example, in Python and in Node, over real sockets."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import httpx
import pytest
from flask import Flask
from tests.machines.issuing import AUDIENCE, ISSUER
from tests.servers.running import serving_wsgi

from service_tokens import reports
from sessiongate.flask import jwks_blueprint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sessiongate import ServiceTokens

__all__ = ["LANGUAGES", "asked", "installed", "publishing", "running"]

LANGUAGES: Final = ("python", "node")
EXAMPLE: Final = Path(reports.__file__).parent
_INSTALL: Final = ("ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund")
_OLDEST_NODE: Final = 20
"""What jose needs."""
_LONG: Final = 120
"""Seconds, after which a test that hangs is a test that fails."""


def installed(folder: Path) -> Path:
    """The example of Node with its one dependency, as the lock file says; its folder.

    Skips the test where Node is too old or npm has no registry; where there is no Node, as any
    other test of a server does.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        _missing(f"needs node {_OLDEST_NODE} or newer and npm on the PATH")
    if _release(node) < _OLDEST_NODE:  # as some systems have it, and no package mends it
        pytest.skip(f"needs node {_OLDEST_NODE} or newer")
    for name in ("package.json", "package-lock.json", "reports.mjs"):
        shutil.copy(EXAMPLE / name, folder)
    run = subprocess.run(
        [npm, *_INSTALL, "--prefer-offline"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=_LONG,
    )
    if run.returncode:
        pytest.skip(f"npm ci found no registry, or no package: {run.stderr}")
    return folder


def _release(node: str) -> int:
    run = subprocess.run([node, "--version"], capture_output=True, text=True, check=True)
    return int(run.stdout.removeprefix("v").partition(".")[0])


def _missing(reason: str) -> NoReturn:
    if os.environ.get("SESSIONGATE_REQUIRE_BACKENDS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def publishing(tokens: ServiceTokens) -> Iterator[str]:
    """The URL of a JWK Set, served by Flask."""
    app = Flask(__name__)
    app.register_blueprint(jwks_blueprint(tokens))
    with serving_wsgi(app) as address:
        yield f"http://{address}/.well-known/jwks.json"


@contextmanager
def running(language: str, folder: Path, jwks_url: str, issuer: str = ISSUER) -> Iterator[str]:
    """The service; its URL."""
    if language == "python":
        verify = reports.Verifier(
            issuer=issuer, audience=AUDIENCE, clients={"web"}, jwks_url=jwks_url
        )
        with serving_wsgi(reports.create_app(verify)) as address:
            yield f"http://{address}/"
        return
    process = subprocess.Popen(
        ["node", "reports.mjs"],
        cwd=folder,
        env=os.environ | {"PORT": "0", "ISSUER": issuer, "JWKS_URL": jwks_url},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url, "node did not start"
        yield url
    finally:
        process.kill()
        process.wait(_LONG)
        process.stdout.close()


def asked(url: str, token: str | None) -> tuple[int, Any]:
    """The status, and who the service says that the user is, or its challenge."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    answer = httpx.get(url, headers=headers, trust_env=False, timeout=_LONG)
    found = answer.json()["user"] if answer.is_success else answer.headers.get("WWW-Authenticate")
    return answer.status_code, found
