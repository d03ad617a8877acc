"""The middleware of the other stack: an error that names the right import.

``check_app`` sees it when the middleware is put around an app. ``names_the_other`` is for what
that cannot see, such as an ASGI app that is served by a WSGI server: then Python itself complains
of the number of arguments, and its message begins with the name that is given here.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Final, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["check_app", "names_the_other"]

Call = TypeVar("Call", bound="Callable[..., object]")

Stack = Literal["wsgi", "asgi"]

_OTHER: Final[dict[Stack, Stack]] = {"wsgi": "asgi", "asgi": "wsgi"}
_NAMES: Final[dict[Stack, str]] = {"wsgi": "WSGI", "asgi": "ASGI"}
_ARGUMENTS: Final[dict[Stack, tuple[str, ...]]] = {
    "wsgi": ("environ", "start_response"),
    "asgi": ("scope", "receive", "send"),
}


def check_app(app: object, stack: Stack) -> None:
    """Refuse an app that can be called as the other stack does it, and not as this one does.

    Raises:
        TypeError: It is such an app; the message names the right middleware.
    """
    other = _OTHER[stack]
    if _takes(app, _ARGUMENTS[other]) and not _takes(app, _ARGUMENTS[stack]):
        called = ", ".join(_ARGUMENTS[other])
        msg = f"this app is a {_NAMES[other]} app, called with ({called}): {_right(other)}"
        raise TypeError(msg)


def names_the_other(stack: Stack) -> Callable[[Call], Call]:
    """Let the error of a wrong number of arguments begin with the other middleware's name.

    Costs nothing when it is called, and leaves ``async def`` what it is, by which servers tell
    the kind of an app.
    """
    here = f"sessiongate.{stack}.SessionAuthMiddleware"
    other = _OTHER[stack]

    def named(call: Call) -> Call:
        call.__qualname__ = f"For a {_NAMES[other]} server {_right(other)}; {here}.__call__"
        return call

    return named


def _right(stack: Stack) -> str:
    return f"use sessiongate.{stack}.SessionAuthMiddleware"


def _takes(app: object, arguments: tuple[str, ...]) -> bool:
    """Whether it can be called with as many; not, where nothing is known of it."""
    if not callable(app):
        return False
    try:
        inspect.signature(app).bind(*arguments)
    except (TypeError, ValueError):
        return False
    return True
