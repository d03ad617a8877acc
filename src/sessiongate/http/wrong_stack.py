"""The middleware of the other stack: an error that names the right import.

``check_app`` sees it when the middleware is put around an app. ``qualified_name`` is for what
that cannot see, such as an ASGI app that is served by a WSGI server: then Python itself complains
of the number of arguments, and its message begins with the qualified name of the function.
"""

from __future__ import annotations

import inspect
from typing import Final, Literal

Stack = Literal["wsgi", "asgi"]

_KINDS: Final = {"wsgi": "a WSGI", "asgi": "an ASGI"}
_OTHER: Final[dict[Stack, Stack]] = {"wsgi": "asgi", "asgi": "wsgi"}
_ARGUMENTS: Final = {"wsgi": ("environ", "start_response"), "asgi": ("scope", "receive", "send")}


def check_app(app: object, stack: Stack) -> None:
    """Refuse an app that can be called as the other stack does it, and not as this one does.

    Raises:
        TypeError: It is such an app; the message names the right middleware.
    """
    other = _OTHER[stack]
    arguments = _ARGUMENTS[other]
    if _takes(app, arguments) and not _takes(app, _ARGUMENTS[stack]):
        called = f"called with ({', '.join(arguments)})"
        msg = f"this app is {_KINDS[other]} app, {called}: use {_name(other)}"
        raise TypeError(msg)


def qualified_name(stack: Stack) -> str:
    """A name for ``__call__`` that begins with the other stack's middleware."""
    other = _OTHER[stack]
    return f"For a {other.upper()} server use {_name(other)}; {_name(stack)}.__call__"


def _name(stack: Stack) -> str:
    return f"sessiongate.{stack}.SessionAuthMiddleware"


def _takes(app: object, arguments: tuple[str, ...]) -> bool:
    """Whether it can be called with as many; not, where nothing is known of it."""
    if not callable(app):
        return False
    try:
        inspect.signature(app).bind(*arguments)
    except (TypeError, ValueError):
        return False
    return True
