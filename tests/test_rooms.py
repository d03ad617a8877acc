"""Who may import whom: the folder listing is the architecture, and this holds it to that."""

from __future__ import annotations

import ast
import subprocess
import sys
from fnmatch import fnmatch
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import sessiongate

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(sessiongate.__file__).parent
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))

PURE = (
    *("errors.py", "events.py", "core/*.py", "keys/*.py", "tokens/*.py"),
    "admission/*.py",
    *("reports/outages.py", "reports/scrubbing.py", "reports/warnings.py"),
)
"""No I/O, no clock, no framework: all the rules."""
MIDDLEWARE = ("asgi.py", "wsgi.py")
KITS = ("flask.py", "starlette.py", "fastapi.py", "quart.py", "litestar.py")
DJANGO = ("django/*.py", "drf.py")
MOUNTED = ("devices/flask.py", "devices/starlette.py", "devices/django.py")
"""Pages that an app mounts, as one framework wants them."""
TOOLS = ("cli/*", "testing/*")
"""They may use everything, and nothing uses them."""

ROOMS = {
    "__init__.py": (*PURE, "managers/*.py", "machines/*.py", "http/cookies.py"),
    **dict.fromkeys(PURE, PURE),
    "stores/*.py": (
        *("errors.py", "core/row.py", "core/steps.py", "core/locks.py"),
        *("core/arguments.py", "core/buckets.py", "core/recent.py", "events.py", "stores/*"),
    ),
    "reports/*.py": (*PURE, "reports/*.py"),
    "feed/*.py": (*PURE, "feed/*.py"),
    "administration/*.py": (*PURE, "administration/*.py", "feed/hub.py"),
    "managers/*.py": (
        *(*PURE, "managers/*.py", "administration/*.py", "reports/*.py"),
        *("feed/*.py", "stores/memory.py"),
    ),
    "device_bound/*.py": (*PURE, "managers/*.py", "http/*", "device_bound/*"),
    "machines/*.py": (
        *(*PURE, "reports/*.py", "managers/*.py", "machines/*.py"),
        "http/request_session.py",
    ),
    "http/*.py": (
        *(*PURE, "reports/*.py", "managers/*.py"),
        *("feed/watch.py", "http/*"),
    ),
    "kits/*.py": (*PURE, "http/*", "kits/*"),
    **dict.fromkeys(
        MIDDLEWARE, (*PURE, "managers/*.py", "feed/streams.py", "http/*", "device_bound/*")
    ),
    **dict.fromkeys(KITS, (*PURE, "managers/*.py", "http/*", "kits/*", *MIDDLEWARE, *KITS)),
    "django/management/*": (*PURE, "managers/*.py", "devices/labels.py", *DJANGO),
    **dict.fromkeys(DJANGO, (*PURE, "managers/*.py", "http/*", "kits/*", *MIDDLEWARE, *DJANGO)),
    **dict.fromkeys(
        MOUNTED, (*PURE, "machines/*.py", "http/*", "kits/*", "devices/*", *KITS, *DJANGO)
    ),
    "forward/*.py": (*PURE, "managers/*.py", "http/*", "kits/*", "forward/*", *MIDDLEWARE),
    "devices/*.py": (*PURE, "managers/*.py", "machines/*.py", "http/*", "kits/*", "devices/*"),
    "observability.py": (
        *(*PURE, "managers/*.py", "machines/*.py"),
        *("feed/hub.py", "http/request_session.py"),
    ),
    **dict.fromkeys(TOOLS, ("*",)),
}
"""Which files of the package a file may import; as a pattern, like its key."""

FOR_TYPES = ("stores/base.py", "machines/api_tokens.py")
"""Whoever is handed one of these may name its type."""

OUTSIDERS = {
    "jwt": ("keys/jwt.py", "device_bound/proofs.py"),
    "redis": ("stores/redis.py", "stores/_redis_*.py"),
    "psycopg": ("stores/postgres.py", "stores/_postgres_*.py"),
    "psycopg_pool": ("stores/postgres.py", "stores/_postgres_*.py"),
    "sqlalchemy": ("stores/sqlalchemy.py", "stores/_sqlalchemy_*.py"),
    "sqlite3": ("stores/sqlite.py", "stores/_sqlite_*.py"),
    "werkzeug": ("flask.py", "quart.py", "kits/werkzeug.py", "wsgi.py", "http/cookies.py"),
    "flask": ("flask.py", "devices/flask.py"),
    "starlette": (
        "starlette.py",
        "fastapi.py",
        "asgi.py",
        "feed/streams.py",
        "device_bound/asgi.py",
        "devices/starlette.py",
        "forward/asgi.py",
    ),
    "fastapi": ("fastapi.py",),
    "quart": ("quart.py",),
    "litestar": ("litestar.py",),
    "django": (*DJANGO, "devices/django.py"),
    "asgiref": DJANGO,
    "rest_framework": ("drf.py",),
    "opentelemetry": ("observability.py",),
}
"""Who may know a library, besides the tools; the rest of the world is nobody's."""

LATE = {("http/cookies.py", "werkzeug")}
"""Loaded inside a function only: most requests write no cookie."""

IMPURE = frozenset(
    {"time", "socket", "ssl", "select", "selectors", "asyncio", "threading", "concurrent"}
    | {"multiprocessing", "subprocess", "os", "io", "pathlib", "tempfile", "shutil", "http"}
    | {"urllib", "logging", "random", "contextvars"}
)
PURE_BUT = {
    ("core/locks.py", "threading.Lock"),
    ("core/locks.py", "threading.RLock"),
    ("core/locks.py", "os."),
}


class Import(NamedTuple):
    line: int
    target: str
    name: str
    """What is imported from the target, ``""`` for the target itself."""
    for_types: bool
    late: bool


def imports(source: str) -> list[Import]:
    """Every import of a file, whether for types only, and whether inside a function."""
    return list(_imports(ast.parse(source), for_types=False, late=False))


def _imports(tree: ast.AST, *, for_types: bool, late: bool) -> Iterator[Import]:
    if isinstance(tree, ast.Import):
        for alias in tree.names:
            yield Import(tree.lineno, alias.name, "", for_types, late)
    if isinstance(tree, ast.ImportFrom):
        target = "." * tree.level + (tree.module or "")
        for alias in tree.names:
            yield Import(tree.lineno, target, alias.name, for_types, late)
    late = late or isinstance(tree, (ast.FunctionDef, ast.AsyncFunctionDef))
    if isinstance(tree, ast.If) and ast.unparse(tree.test) == "TYPE_CHECKING":
        for statement in tree.body:
            yield from _imports(statement, for_types=True, late=late)
        for statement in tree.orelse:
            yield from _imports(statement, for_types=for_types, late=late)
        return
    for child in ast.iter_child_nodes(tree):
        yield from _imports(child, for_types=for_types, late=late)


def own_file(found: Import) -> str | None:
    """The file of this package that an import reads, ``None`` for outsiders."""
    package, *parts = found.target.split(".")
    if package != "sessiongate":
        return None
    named = [*parts, found.name] if found.name else parts
    candidates = [
        *("/".join(path) + ".py" for path in (named, parts)),
        *("/".join([*path, "__init__.py"]) for path in (named, parts)),
    ]
    return next((path for path in candidates if (ROOT / path).is_file()), candidates[0])


def room_of(file: str) -> str:
    """The first pattern that fits the file."""
    return next(room for room in ROOMS if fnmatch(file, room))


def broken_rules(file: str, source: str) -> list[str]:
    """Each breach as file, line and rule."""
    return [
        f"src/sessiongate/{file}:{found.line}: {rule}"
        for found in imports(source)
        if (rule := _broken_rule(file, found)) is not None
    ]


def _broken_rule(file: str, found: Import) -> str | None:
    if found.target.startswith("."):
        return "imports are absolute, so that a reader sees the room"
    own = own_file(found)
    if own is not None:
        return _broken_inside(room_of(file), found, own)
    return None if room_of(file) in TOOLS else _broken_outside(file, found)


def _broken_inside(room: str, found: Import, own: str) -> str | None:
    if found.for_types and own in FOR_TYPES:
        return None
    if room not in TOOLS and any(fnmatch(own, tool) for tool in TOOLS):
        return f"nobody imports {own}: it is a tool"
    if not any(fnmatch(own, allowed) for allowed in ROOMS[room]):
        return f"{room} may not import {own}, only {', '.join(ROOMS[room])}"
    return None


def _broken_outside(file: str, found: Import) -> str | None:
    room, library = room_of(file), found.target.split(".")[0]
    if library in OUTSIDERS:
        if not any(fnmatch(file, allowed) for allowed in OUTSIDERS[library]):
            return f"only {', '.join(OUTSIDERS[library])} may import {library}"
        if (file, library) in LATE and not found.late:
            return f"{library} is imported inside a function here, because it loads slowly"
    elif library not in sys.stdlib_module_names:
        return f"{library} is no library of this package"
    elif room in PURE and library in IMPURE and (file, f"{library}.{found.name}") not in PURE_BUT:
        return f"{room} is pure: {library} is I/O, a clock or a thread"
    return None


def test_every_file_is_in_a_room() -> None:
    homeless = [file for file in FILES if not any(fnmatch(file, room) for room in ROOMS)]
    assert not homeless, f"no room for {homeless}: name one in ROOMS, with what it may import"


@pytest.mark.parametrize("file", FILES)
def test_a_room_imports_what_it_may(file: str) -> None:
    assert broken_rules(file, (ROOT / file).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("core/operations.py", "import time"),
        ("core/rotation.py", "from threading import Lock"),
        ("core/recent.py", "import threading"),
        ("keys/secret.py", "import jwt"),
        ("tokens/opaque.py", "from jwt import decode"),
        ("core/decisions.py", "from sessiongate.stores.memory import MemoryStore"),
        ("core/steps.py", "from sessiongate.stores.base import Store"),
        ("core/operations.py", "from sessiongate import managers"),
        ("stores/memory.py", "from sessiongate.managers import SessionManager"),
        ("stores/memory.py", "from sessiongate.core import operations"),
        ("stores/memory.py", "from sessiongate.core.decisions import Decisions"),
        ("stores/redis.py", "from sessiongate.admission.rules import Login"),
        ("stores/sqlite.py", "from sessiongate.core.rotation import present"),
        ("stores/memory.py", "from sessiongate.tokens import TokenPayload"),
        ("stores/memory.py", "from sessiongate.http.cookies import SessionCookie"),
        ("stores/memory.py", "import redis"),
        ("stores/redis.py", "import psycopg"),
        ("stores/base.py", "import sqlite3"),
        ("managers/session.py", "from sessiongate.stores.sqlite import SQLiteStore"),
        ("managers/session.py", "from sessiongate.stores import MemoryStore"),
        ("managers/session.py", "from sessiongate.http.authenticator import RequestAuthenticator"),
        ("managers/session.py", "import sessiongate.wsgi"),
        ("stores/__init__.py", "from sessiongate.cli import app"),
        ("http/authenticator.py", "import starlette"),
        ("http/authenticator.py", "from werkzeug.http import dump_cookie"),
        ("http/cookies.py", "from werkzeug.http import dump_cookie"),
        ("http/authenticator.py", "def f():\n    from sessiongate import asgi"),
        ("http/authenticator.py", "from . import refusals"),
        ("http/authenticator.py", "from sessiongate.kits.guard import Guard"),
        ("http/authenticator.py", "from sessiongate.device_bound.binding import Binding"),
        ("device_bound/binding.py", "from sessiongate.wsgi import SessionAuthMiddleware"),
        ("kits/guard.py", "from sessiongate.flask import login_required"),
        ("kits/guard.py", "import starlette"),
        ("asgi.py", "from sessiongate.kits import refusals"),
        ("wsgi.py", "import starlette"),
        ("asgi.py", "import werkzeug"),
        ("starlette.py", "from fastapi import Depends"),
        ("quart.py", "from flask import request"),
        ("litestar.py", "import starlette"),
        ("flask.py", "if TYPE_CHECKING:\n    from sessiongate.testing import ManualClock"),
        ("asgi.py", "from sessiongate import testing"),
        ("asgi.py", "import requests"),
        ("devices/endpoints.py", "from flask import Blueprint"),
        ("devices/endpoints.py", "from sessiongate.flask import login_required"),
        ("devices/flask.py", "from starlette.routing import Route"),
        ("devices/flask.py", "from sessiongate.stores.memory import MemoryStore"),
        ("http/authenticator.py", "from sessiongate.devices.labels import name_of"),
        ("forward/decision.py", "from sessiongate.starlette import login_required"),
        ("asgi.py", "from sessiongate.forward import ForwardAuth"),
        ("django/users.py", "from rest_framework.permissions import BasePermission"),
        ("django/middleware.py", "from sessiongate.flask import login_required"),
        ("kits/guard.py", "from django.http import HttpRequest"),
    ],
)
def test_a_breach_would_be_found(file: str, line: str) -> None:
    breaches = broken_rules(file, line)
    assert len(breaches) == 1
    assert breaches[0].startswith(f"src/sessiongate/{file}:{line.count(chr(10)) + 1}: ")


@pytest.mark.parametrize("room", ["", "http/", "kits/"])
def test_no_two_files_need_each_other(room: str) -> None:
    """At import time nowhere; in a room that is named here not even for types, nor late."""
    graph = {
        file: {
            own
            for found in imports((ROOT / file).read_text(encoding="utf-8"))
            if (room or not (found.for_types or found.late)) and (own := own_file(found))
        }
        for file in FILES
        if file.startswith(room)
    }
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"these import each other: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [
        ("sessiongate", "jwt cryptography redis psycopg sqlite3 flask starlette werkzeug asyncio"),
        ("sessiongate.asgi", "jwt cryptography redis psycopg sqlite3 flask werkzeug fastapi"),
        ("sessiongate.wsgi", "jwt cryptography redis psycopg sqlite3 flask starlette asyncio"),
        ("sessiongate.stores", "redis psycopg sqlite3"),
        ("sessiongate.starlette", "jwt redis psycopg flask werkzeug fastapi"),
        ("sessiongate.fastapi", "jwt redis psycopg flask werkzeug"),
        ("sessiongate.flask", "jwt redis psycopg starlette fastapi quart"),
        ("sessiongate.quart", "jwt redis psycopg starlette fastapi litestar"),
        ("sessiongate.litestar", "jwt redis psycopg flask werkzeug fastapi quart"),
        ("sessiongate.forward", "jwt redis psycopg flask starlette werkzeug"),
        ("sessiongate.devices", "jwt redis psycopg flask werkzeug starlette asyncio"),
        ("sessiongate.devices.flask", "jwt redis psycopg starlette fastapi"),
        ("sessiongate.devices.starlette", "jwt redis psycopg flask werkzeug fastapi"),
        ("sessiongate.django", "jwt redis psycopg flask starlette werkzeug fastapi"),
    ],
)
def test_a_part_loads_only_what_it_needs(module: str, unneeded: str) -> None:
    script = f"import sys, {module}; print(*sorted(set({unneeded.split()!r}) & sys.modules.keys()))"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.split() == []
