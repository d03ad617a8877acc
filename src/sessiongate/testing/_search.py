"""Finding the middleware behind a client: wrapper by wrapper, as the app was put together."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from sessiongate import asgi, wsgi
from sessiongate.errors import ConfigurationError
from sessiongate.http.authenticator import RequestAuthenticator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sessiongate.http.cookies import SessionCookie
    from sessiongate.managers import SessionManager

__all__ = ["authenticator_of"]

_INNER: Final = (
    *("app", "application", "wsgi_app", "asgi_app", "wsgi_application"),
    "_transport",  # httpx keeps to itself what it sends through
    "_middleware",  # as our plugin of Litestar does
    "__self__",
    "__wrapped__",
)
"""Where a client or a wrapper keeps what is inside it."""
_MANY: Final = ("user_middleware", "middleware", "routes", "mounts", "_mounts")
"""The same for lists and mappings."""
_ENOUGH: Final = 2000
"""Objects to look at: an app that makes up its attributes must not hold a test forever."""

_OURS: Final = (asgi.SessionAuthMiddleware, wsgi.SessionAuthMiddleware)


def authenticator_of(
    client: Any, manager: SessionManager | None, cookie: SessionCookie | None
) -> RequestAuthenticator:
    """The rules that the client will meet: those of its app, or those of a manager that is given.

    Raises:
        ConfigurationError: No middleware is found, or not which one is meant.
    """
    found = list(_authenticators(client))
    if manager is None:
        return _only(found, cookie)
    stated = RequestAuthenticator(manager, cookie=cookie)
    if not found:
        return stated
    for one in found:
        if one.manager is stated.manager and cookie in {None, one.settings.cookie}:
            return one
    msg = (
        "manager= and cookie= are not those of the SessionAuthMiddleware in the client's app: "
        "leave them out, they are found there"
    )
    raise ConfigurationError(msg)


def _only(found: list[RequestAuthenticator], cookie: SessionCookie | None) -> RequestAuthenticator:
    if cookie is not None:
        msg = "cookie= describes a server that is out of sight: pass its manager= as well"
        raise ConfigurationError(msg)
    if not found:
        msg = (
            "no SessionAuthMiddleware was found behind this client: add it to the app, or pass "
            "manager= (and cookie=, if it is not the default) where the app is out of sight"
        )
        raise ConfigurationError(msg)
    if any(one.manager is not found[0].manager for one in found):
        msg = "this app has the sessions of several managers: say which is meant with manager="
        raise ConfigurationError(msg)
    return found[0]


def _authenticators(client: Any) -> Iterator[RequestAuthenticator]:
    """The rules of all middlewares that can be reached, the outer ones first."""
    if any(cls.__module__.startswith("django.test") for cls in type(client).__mro__):
        yield _of_django()
        return
    for thing in islice(_inside(client), _ENOUGH):
        middleware = thing if isinstance(thing, _OURS) else _announced(thing)
        if middleware is not None:
            yield middleware._authenticator  # noqa: SLF001 - a tool of the same house


def _of_django() -> RequestAuthenticator:
    """Those of the settings: all apps of a process have the same."""
    from sessiongate.django.configuration import configured  # noqa: PLC0415 - needs Django

    found = configured()
    return RequestAuthenticator(found.manager, **found.options)


def _announced(entry: Any) -> Any:
    """What ``add_middleware`` named: Starlette makes it at the first request; this one is like it.

    ``None`` where it named somebody else's.
    """
    cls = getattr(entry, "cls", None)
    if isinstance(cls, type) and issubclass(cls, _OURS):
        make: Any = cls
        return make(None, *entry.args, **entry.kwargs)
    return None


def _inside(client: Any) -> Iterator[Any]:
    waiting, seen = deque([client]), {id(client): client}
    while waiting:
        thing = waiting.popleft()
        yield thing
        inner = [getattr(thing, name, None) for name in _INNER]
        for name in _MANY:
            several = getattr(thing, name, None)
            if isinstance(several, dict):
                inner += several.values()
            elif isinstance(several, (list, tuple)):
                inner += several
        for one in inner:
            if one is not None and id(one) not in seen:
                seen[id(one)] = one  # kept, so that its id stays its own
                waiting.append(one)
