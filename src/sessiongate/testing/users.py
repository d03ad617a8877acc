"""Users for tests of views alone, where no middleware runs: overrides of a dependency."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from sessiongate.core.arguments import SessionOptions
from sessiongate.http.user import User
from sessiongate.managers import SessionManager

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["user"]

# A user that was made up is no login: no handler hears of one.
_NOBODY_READS_IT: Final = logging.Logger("unheard", logging.CRITICAL + 1)  # noqa: LOG001


def user(
    username: str | None,
    *,
    scopes: Iterable[str] = (),
    claims: Mapping[str, Any] | None = None,
) -> User:
    """Make a user as a request with a valid session has it, ``None``: the anonymous one.

    For FastAPI: ``app.dependency_overrides[current_user] = lambda: user("alice")``. Where the
    middleware is to have its say, take ``login_as``.

    Args:
        username: As in ``create_session``, like the next two.
        scopes: What the session may do.
        claims: Custom JSON values, shown by ``info``.

    Raises:
        TypeError, ValueError: An argument is unfit.
    """
    manager = SessionManager(logger=_NOBODY_READS_IT)
    made = User(manager.information)
    if username is not None:
        options = SessionOptions(scopes=scopes, claims=claims)
        granted = manager.run(manager.logins.open(manager.now(), username, options))
        made.row = None if granted is None else granted.row
    return made
