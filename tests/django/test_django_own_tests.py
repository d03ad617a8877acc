"""Django's own tests of its users, with our middleware in the place of Django's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import django
import pytest

import sessiongate

pytestmark = pytest.mark.slow

SUITES = [
    f"auth_tests.test_{name}"
    for name in (
        *("views", "decorators", "login", "basic", "mixins", "middleware"),
        *("signals", "auth_backends", "remote_user"),
    )
]
FAILING = {
    "test_csrf_validation_passes_after_process_request_login_async": (
        "RemoteUserMiddleware reads request.session after auser(), without to await it"
    ),
    "test_protected_view_logged_in_performance": (
        "the first request takes over the login of a test client, which it notes in the data"
    ),
}
"""Which of them fail, and why."""
SETTINGS = """
from sessiongate import SessionManager

logins = []
SESSIONGATE = {"manager": SessionManager(max_concurrent_sessions=None, on_event=logins.append)}
DATABASES = {name: {"ENGINE": "django.db.backends.sqlite3"} for name in ("default", "other")}
SECRET_KEY = "django_tests_secret_key"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False

import atexit
atexit.register(lambda: print("events:", len(logins)))
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """The tests of the Django that is installed; they are not in its wheel."""
    release = f"django=={django.__version__}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--no-binary", ":all:", "--dest", str(tmp_path), release]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if run.returncode != 0:
        pytest.skip(f"no index has the source of {release}: {run.stderr[-200:]}")
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
    return next(tmp_path.glob("*/tests/runtests.py")).parent


def test_django_s_own_tests_pass_with_our_middleware(suite: Path) -> None:
    theirs = "django.contrib.auth.middleware.AuthenticationMiddleware"
    for name in ("runtests.py", "auth_tests/settings.py"):
        text = (suite / name).read_text(encoding="utf-8")
        assert theirs in text
        text = text.replace(theirs, "sessiongate.django.SessionAuthMiddleware")
        static = '"django.contrib.staticfiles",\n'
        text = text.replace(static, f'{static}    "sessiongate.django",\n')
        (suite / name).write_text(text, encoding="utf-8")
    (suite / "ours.py").write_text(SETTINGS, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "runtests.py", "--settings=ours", "--parallel=1", *SUITES],
        cwd=suite,
        env={**os.environ, "PYTHONPATH": str(Path(sessiongate.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    ran = re.search(r"^Ran (\d+) tests", run.stderr, re.MULTILINE)
    assert ran is not None, run.stderr[-2000:]
    assert int(ran[1]) > 400
    failed = set(re.findall(r"^(?:FAIL|ERROR): (\w+)", run.stderr, re.MULTILINE))
    assert failed <= FAILING.keys(), run.stderr[-4000:]
    events = re.search(r"^events: (\d+)$", run.stdout, re.MULTILINE)
    assert events is not None
    assert int(events[1]) > 100, "our middleware was not there"
