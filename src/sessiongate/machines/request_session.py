"""The session of a request that came with an API token."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NoReturn, final

from sessiongate.core.row import FOREVER
from sessiongate.errors import APITokenError
from sessiongate.http.request_session import RequestSession
from sessiongate.machines.codec import PREFIX
from sessiongate.machines.rows import name_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sessiongate.core.arguments import SessionChanges
    from sessiongate.http.request_session import LoginOptions

_API_TOKEN: Final = re.compile(rb"[ \t]*bearer +" + PREFIX.encode(), re.IGNORECASE)


def brings_api_token(authorizations: Sequence[bytes]) -> bool:
    """Whether what came has the form of an API token, so that nothing else of the request counts.

    Several fields never have: it is not clear which of them is meant.
    """
    return len(authorizations) == 1 and _API_TOKEN.match(authorizations[0]) is not None


@final
class APITokenSession(RequestSession):
    """A ``RequestSession`` that may only be looked at: its token does not rotate, nor log in."""

    # In its class a plain attribute, which saves all others a call.
    @property
    def api_token(self) -> str | None:  # type: ignore[override]
        """What the user calls the token; ``None``: it is not valid."""
        row = self.user.row
        return None if row is None else name_of(row)

    @property
    def scopes(self) -> list[str]:
        """What the token may do; never ``"authenticated"``, which means a session."""
        return list(self.user.scopes)

    @property
    def expires_at(self) -> datetime | None:
        """When the token ends; ``None``: when it is revoked, or for the anonymous."""
        row = self.user.row
        return None if row is None or row.expires_at >= FOREVER else super().expires_at

    @property
    def age(self) -> None:
        """``None``: it does not say when the user last proved who they are."""

    def opening(self, username: str, options: LoginOptions) -> NoReturn:  # noqa: ARG002
        _refuse("login()")

    def closing(self) -> NoReturn:
        _refuse("logout()")

    def _refresh(self) -> NoReturn:
        _refuse("refresh()")

    def _update(self, changes: SessionChanges) -> NoReturn:  # noqa: ARG002
        _refuse("update()")


def _refuse(verb: str) -> NoReturn:
    msg = (
        f"{verb} is for sessions, and this request came with an API token: nothing was done. "
        "Tokens are made and revoked by APITokens.create(…) and .revoke(…)"
    )
    raise APITokenError(msg)
