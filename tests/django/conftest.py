"""Django is configured once in a process: no other test may do so."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import django
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.core.management import call_command
from django.test.utils import override_settings, setup_test_environment, teardown_test_environment

from sessiongate import SessionManager

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(tempfile.mkdtemp(prefix="sessiongate-django-"))

settings.configure(
    SECRET_KEY="test " * 12,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="tests.django.project",
    USE_TZ=True,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": FOLDER / "django.db",
            "OPTIONS": {"init_command": "PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY"},
        }
    },
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "allauth",
        "allauth.account",
        "rest_framework",
        "sessiongate.django",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "sessiongate.django.SessionAuthMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "allauth.account.middleware.AccountMiddleware",
    ],
    AUTHENTICATION_BACKENDS=[
        "django.contrib.auth.backends.ModelBackend",
        "allauth.account.auth_backends.AuthenticationBackend",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "DIRS": [Path(__file__).parent / "templates"],
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["sessiongate.drf.SessionAuthentication"],
        "TEST_REQUEST_DEFAULT_FORMAT": "json",
    },
    # Tables as the models are, without the way there.
    MIGRATION_MODULES=dict.fromkeys(("admin", "auth", "contenttypes", "sessions", "account"), None),
    LOGIN_URL="/login",
    LOGIN_REDIRECT_URL="/",
    LOGOUT_REDIRECT_URL="/",
    ACCOUNT_EMAIL_VERIFICATION="none",
    ACCOUNT_RATE_LIMITS=False,
    LOGGING_CONFIG=None,
    SESSIONGATE={"manager": "tests.django.project.manager"},
)
django.setup()


@pytest.fixture(scope="session")
def _tables() -> Iterator[None]:
    from django.db import connections  # noqa: PLC0415 - once Django is there

    call_command("migrate", run_syncdb=True, verbosity=0)
    connections.close_all()
    yield
    shutil.rmtree(FOLDER)


@pytest.fixture(autouse=True)
def _empty_tables(_tables: None) -> Iterator[None]:
    """Each test begins without users, and ends without connections, in whatever thread."""
    from django.db import connections  # noqa: PLC0415
    from tests.django.project import empty_tables  # noqa: PLC0415

    setup_test_environment()
    empty_tables()
    yield
    teardown_test_environment()
    connections.close_all()
    async_to_sync(sync_to_async(connections.close_all))()


@pytest.fixture(autouse=True)
def manager() -> Iterator[SessionManager]:
    found = SessionManager(max_concurrent_sessions=None)
    with override_settings(SESSIONGATE={"manager": found}):
        yield found


@pytest.fixture(params=["wsgi", "asgi"])
def stack(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["signed_cookies", "db"])
def _engine(request: pytest.FixtureRequest) -> Iterator[None]:
    engine = f"django.contrib.sessions.backends.{request.param}"
    with override_settings(SESSION_ENGINE=engine):
        yield
