"""The setting ``SESSIONGATE``, read and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.utils.module_loading import import_string

from sessiongate.http.settings import MiddlewareOptions
from sessiongate.managers import SessionManager

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.db.models import Field

_OWN: Final = ("manager", "scopes", "user_field", "move_django_sessions")
_BY_PATH: Final = ("scopes", "cookie", "api_tokens", "passive", "skip")
"""What may be named by a dotted path instead."""
_EXAMPLE: Final = 'SESSIONGATE = {"manager": "project.sessions.manager"}'


class Configuration(NamedTuple):
    """What ``SESSIONGATE`` says.

    Attributes:
        manager: Whose sessions.
        scopes: What a session of this user may do, asked at each login.
        user_field: Which field of the user is the username of a session.
        move: Whether a session of Django's opens one of ours.
        options: Of the middleware, as ``MiddlewareSettings`` has them.
    """

    manager: SessionManager
    scopes: Callable[[Any], Iterable[str]]
    user_field: Field[Any, Any]
    move: bool
    options: MiddlewareOptions

    def username_of(self, user: AbstractBaseUser) -> str:
        """The username of this user's sessions."""
        return self.user_field.value_to_string(user)


def configured() -> Configuration:
    """Read the setting. It costs little, and nothing is remembered: tests override settings.

    Raises:
        ImproperlyConfigured: It is missing, or unfit; the message says how.
    """
    given = getattr(settings, "SESSIONGATE", None)
    if not isinstance(given, Mapping) or "manager" not in given:
        msg = f"SESSIONGATE must be a dict that names the manager, such as {_EXAMPLE}"
        raise ImproperlyConfigured(msg)
    options = dict(cast("Mapping[str, Any]", given))
    known = (*_OWN, *MiddlewareOptions.__annotations__)
    for name in options:
        if name not in known:
            msg = f"SESSIONGATE has an unknown key {name!r}; it may have: {', '.join(known)}"
            raise ImproperlyConfigured(msg)
    if options.get("device_bound"):
        msg = "SESSIONGATE['device_bound'] is not there yet for Django: leave it out"
        raise ImproperlyConfigured(msg)
    for name in _BY_PATH:
        if isinstance(options.get(name), str):
            options[name] = _imported(name, options[name])
    manager = options.pop("manager")
    if isinstance(manager, str):
        manager = _imported("manager", manager)
    if not isinstance(manager, SessionManager):
        msg = (
            "SESSIONGATE['manager'] must be a SessionManager or the dotted path of one, not a "
            f"{type(manager).__name__}"
        )
        raise ImproperlyConfigured(msg)
    scopes: Any = options.pop("scopes", _no_scopes)
    if not callable(scopes):
        msg = "SESSIONGATE['scopes'] must be a function of the user, or the dotted path of one"
        raise ImproperlyConfigured(msg)
    user_field = _user_field(options.pop("user_field", None))
    move = bool(options.pop("move_django_sessions", False))
    # One list of trusted sites is enough. Ours knows no wildcards.
    trusted = [origin for origin in settings.CSRF_TRUSTED_ORIGINS if "*" not in origin]
    options.setdefault("trusted_origins", trusted)
    return Configuration(
        manager, cast(Any, scopes), user_field, move, cast(MiddlewareOptions, options)
    )


def _imported(name: str, path: str) -> Any:
    try:
        return import_string(path)
    except ImportError as error:
        msg = f"SESSIONGATE[{name!r}] is {path!r}, which cannot be imported: {error}"
        raise ImproperlyConfigured(msg) from error


def _user_field(name: str | None) -> Field[Any, Any]:
    model: Any = get_user_model()
    name = model.USERNAME_FIELD if name is None else name
    try:
        field = model._meta.pk if name == "pk" else model._meta.get_field(name)  # noqa: SLF001
    except FieldDoesNotExist:
        field = None
    if field is None or not getattr(field, "unique", False):
        msg = (
            f"SESSIONGATE['user_field'] is {name!r}, which is no unique field of "
            f"{model.__name__}: two users would share their sessions. Take 'pk'"
        )
        raise ImproperlyConfigured(msg)
    return cast("Field[Any, Any]", field)


def _no_scopes(_user: Any) -> tuple[str, ...]:
    return ()
