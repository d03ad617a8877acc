"""Who a request comes from, in the terms that Starlette and Flask users know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sessiongate.core.row import Row, scopes_and_claims_of

if TYPE_CHECKING:
    from collections.abc import Callable


class User:
    """The user of one request; anonymous if ``username`` is ``None``.

    One object for the whole request: it follows ``login`` and ``logout`` at
    once, wherever it was put.
    """

    __slots__ = ("_inform", "row")

    def __init__(self, inform: Callable[[Row | None], dict[str, Any] | None]) -> None:
        self._inform = inform
        self.row: Row | None = None
        """The session; the middleware's business."""

    @property
    def username(self) -> str | None:
        """Whose session it is; ``None`` for the anonymous."""
        return None if self.row is None else self.row.username

    @property
    def is_authenticated(self) -> bool:
        """Whether a valid session came with the request."""
        return self.row is not None

    @property
    def scopes(self) -> tuple[str, ...]:
        """What the session may do."""
        return () if self.row is None else scopes_and_claims_of(self.row)[0]

    @property
    def info(self) -> dict[str, Any] | None:
        """What ``validate_session`` says of the session; ``None`` for the anonymous."""
        return self._inform(self.row)

    @property
    def display_name(self) -> str:
        """The username, ``""`` for the anonymous (Starlette's ``BaseUser``)."""
        return self.username or ""

    identity = display_name

    def __repr__(self) -> str:
        return f"<User: {self.username!r}>" if self.is_authenticated else "<User: anonymous>"
