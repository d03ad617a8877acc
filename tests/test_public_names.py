"""The names that users call: all there, with the promised signatures, and documented."""

from __future__ import annotations

import importlib
import inspect
from datetime import timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

import sessiongate
from sessiongate import JWTSessionManager, SessionCookie, SessionManager, SingleSessionManager
from sessiongate.core.arguments import SessionOptions
from sessiongate.stores import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

MANAGERS = [SessionManager, SingleSessionManager, JWTSessionManager]
MODULES = [
    *("sessiongate", "sessiongate.asgi", "sessiongate.wsgi", "sessiongate.flask"),
    *("sessiongate.starlette", "sessiongate.fastapi", "sessiongate.stores", "sessiongate.testing"),
    *("sessiongate.quart", "sessiongate.litestar"),
    *("sessiongate.devices", "sessiongate.devices.flask", "sessiongate.devices.starlette"),
    *("sessiongate.forward", "sessiongate.observability"),
]

ALL = {
    *("SessionManager", "SingleSessionManager", "JWTSessionManager", "SessionCookie", "Event"),
    *("SessionGateError", "ConfigurationError", "StoreError", "ResponseStartedError"),
    *("CrossSiteError", "NoSessionError", "WeakKeyWarning", "CookieNameWarning"),
    *("APITokens", "APITokenError", "TokenLimitError", "ServiceTokens", "Health"),
}

VERBS = {
    "create_session": "username, **options",
    "validate_session": "{token}",
    "refresh_session": "{token}",
    "update_session": "{token}, **changes",
    "update_user_sessions": "username, **changes",
    "list_sessions": "*, username=None, limit=100, after=None",
    "invalidate_session": "{token}",
    "session_username": "{token}",
    "n_active_sessions": "",
    "cleanup_expired_sessions": "",
    "health": "",
    "user_sessions": "username",
    "invalidate_user_session": "username, handle",
    "invalidate_user_sessions": "username, *, keep=None",
}
"""The parameters of each verb after ``self``."""

KEYWORDS = {
    "store": None,
    "secret_key": None,
    "strict_keys": False,
    "existing": "reuse",
    "max_sessions_per_user": None,
    "on_limit": "reject",
    "max_lifetime": None,
    "rotate_after": "half",
    "rotation_grace": 30,
    "remember_for": timedelta(days=30),
    "touch_every": None,
    "near_cache": None,
    "logger": None,
    "on_event": None,
}


def parameters(function: Any) -> str:
    """The parameters of a method after ``self``, without their types."""
    signature = inspect.signature(function)
    kept = [
        p.replace(annotation=p.empty) for name, p in signature.parameters.items() if name != "self"
    ]
    return str(inspect.Signature(kept)).strip("()") if kept else ""


def test_the_package_exports_exactly_these() -> None:
    assert set(sessiongate.__all__) == ALL
    assert all(hasattr(sessiongate, name) for name in ALL)


@pytest.mark.parametrize("cls", MANAGERS)
@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_its_parameters_and_a_twin_to_await(
    cls: type[SessionManager], verb: str
) -> None:
    token = "jwt_token" if cls is JWTSessionManager else "session_id"
    expected = VERBS[verb].format(token=token)
    if (cls, verb) == (JWTSessionManager, "invalidate_session"):
        expected = "jwt_token=None, jti=None"
    called, awaited = getattr(cls, verb), getattr(cls, f"a{verb}")
    assert parameters(called) == expected
    assert parameters(awaited) == parameters(called)
    assert inspect.iscoroutinefunction(awaited)
    assert not inspect.iscoroutinefunction(called)
    mine, theirs = inspect.signature(called), inspect.signature(awaited)
    assert mine.return_annotation == theirs.return_annotation


@pytest.mark.parametrize("cls", MANAGERS)
def test_the_options_of_create_session_are_these_and_no_others(cls: type[SessionManager]) -> None:
    for verb in (cls.create_session, cls.acreate_session):
        assert inspect.signature(verb).parameters["options"].annotation == "Unpack[SessionOptions]"
    defaults: dict[str, Any] = {"existing": None, "scopes": (), "claims": None, "device": None}
    defaults["remember"] = False
    assert SessionOptions.__optional_keys__ == defaults.keys()
    assert cls().create_session("alice", **defaults)
    for inner in ("transport", "replaces", "longest", "opening", "exsting"):
        unknown: dict[str, Any] = {inner: None}
        with pytest.raises(TypeError, match=inner):
            cls().create_session("alice", **unknown)


def test_the_constructors_are_called_as_promised() -> None:
    plain = inspect.signature(SessionManager).parameters
    assert list(plain)[:2] == ["session_timeout", "max_concurrent_sessions"]
    assert (plain["session_timeout"].default, plain["max_concurrent_sessions"].default) == (
        3600,
        10,
    )
    keyword_only = {n: p.default for n, p in plain.items() if p.kind is p.KEYWORD_ONLY}
    assert callable(keyword_only.pop("clock"))
    assert keyword_only == KEYWORDS
    assert parameters(SingleSessionManager.__init__) == "session_timeout=3600, **kwargs"
    assert parameters(JWTSessionManager.__init__) == (
        "session_timeout=3600, max_concurrent_sessions=10, secret_key=None, *, algorithm='HS512', "
        "issuer='plantdb-api', audience='plantdb-client', leeway=0, **kwargs"
    )


def test_the_family_is_as_promised() -> None:
    assert issubclass(SingleSessionManager, SessionManager)
    assert issubclass(JWTSessionManager, SessionManager)
    assert issubclass(sessiongate.ConfigurationError, ValueError)
    for error in ("ConfigurationError", "StoreError", "ResponseStartedError"):
        assert issubclass(getattr(sessiongate, error), sessiongate.SessionGateError)


@pytest.mark.parametrize("cls", MANAGERS)
def test_the_attributes_are_there(cls: type[SessionManager]) -> None:
    m = cls()
    assert m.session_timeout == 3600
    assert m.max_concurrent_sessions == (1 if cls is SingleSessionManager else 10)
    assert m.logger.name == "sessiongate"
    assert hasattr(m, "secret_key") is (cls is JWTSessionManager)


@pytest.mark.parametrize("name", ["session_timeout", "max_concurrent_sessions", "secret_key"])
def test_what_was_decided_at_the_start_cannot_be_assigned(name: str) -> None:
    m = JWTSessionManager(secret_key="k" * 64)
    before = getattr(m, name)
    with pytest.raises(AttributeError, match=name):
        setattr(m, name, 1)
    assert getattr(m, name) == before


@pytest.mark.parametrize("edge", ["asgi", "wsgi"])
def test_both_middlewares_take_the_same_keywords(edge: str) -> None:
    middleware = importlib.import_module(f"sessiongate.{edge}").SessionAuthMiddleware
    app, manager = object(), SessionManager()
    middleware(
        app=app,
        manager=manager,
        cookie=SessionCookie.for_http(),
        refreshed_token_header="X-Token",
        trusted_origins=["https://app.example.com"],
        realm="here",
        record_device=False,
    )
    middleware(app, manager)
    with pytest.raises(TypeError, match="realms"):
        middleware(app, manager, realms="here")
    with pytest.raises(TypeError, match="positional"):
        middleware(app, manager, SessionCookie())
    with pytest.raises(TypeError, match="manager must be a SessionManager"):
        middleware(app, object())


@pytest.mark.parametrize("framework", ["flask", "starlette", "fastapi", "quart", "litestar"])
def test_the_frameworks_have_the_same_names(framework: str) -> None:
    module = importlib.import_module(f"sessiongate.{framework}")
    names = {"login_required", "login_user", "logout_user", "current_user"}
    assert names <= set(module.__all__)


def test_types_are_shipped() -> None:
    assert files("sessiongate").joinpath("py.typed").is_file()


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_documented(module: str) -> None:
    found = importlib.import_module(module)
    assert found.__doc__
    assert list(undocumented(found)) == []


def undocumented(module: Any) -> Iterator[str]:
    for name in module.__all__:
        thing = getattr(module, name)
        if inspect.isclass(thing):
            yield from _undocumented_in(thing)
        elif inspect.isfunction(thing) and not inspect.getdoc(thing):
            yield f"{module.__name__}.{name}"


def _undocumented_in(cls: type) -> Iterator[str]:
    if not cls.__doc__:
        yield cls.__qualname__
    for base in cls.__mro__:
        if not base.__module__.startswith("sessiongate"):
            continue
        for name, member in vars(base).items():
            inside = name.startswith("_") or (
                name.startswith("test") and "Contract" in cls.__name__
            )
            # The protocol says what each verb means.
            inside = inside or hasattr(Store, name) or name in {"together", "atogether"}
            speaks = inspect.isroutine(member) or isinstance(member, (property, classmethod))
            if speaks and not inside and not inspect.getdoc(member):
                yield f"{base.__qualname__}.{name}"
