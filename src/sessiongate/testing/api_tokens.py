"""Clients that send an API token: a real one, made as an account page would do it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sessiongate.errors import ConfigurationError
from sessiongate.http.response import ResponseChanges
from sessiongate.http.settings import MiddlewareSettings
from sessiongate.testing._clients import seats_of
from sessiongate.testing._search import authenticator_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sessiongate.core.arguments import Seconds
    from sessiongate.machines.api_tokens import APITokens

__all__ = ["api_token_as"]


def api_token_as(
    client: Any,
    username: str,
    *,
    name: str = "test",
    scopes: Iterable[str] = (),
    claims: Mapping[str, Any] | None = None,
    expires_in: Seconds | None = None,
    api_tokens: APITokens | None = None,
    base_url: str | None = None,
) -> str:
    """Make an API token, have the client send it from now on, and return it.

    The client sends it in each request that has no ``Authorization`` of its own, as in
    ``login_as``; who was logged in on this client before is forgotten by it. Blocks for one store
    call.

    Args:
        client: As in ``login_as``.
        username: As in ``APITokens.create``, like the next four.
        name: What the user calls it.
        scopes: What it may do.
        claims: Custom JSON values.
        expires_in: Seconds until it ends; ``None``: when it is revoked.
        api_tokens: Needed only where the app is out of sight, as it is for a client of a real
            server.
        base_url: Where the requests will go, if the client does not say it.

    Raises:
        ConfigurationError: The app accepts no API tokens, or no middleware is found.
        TokenLimitError: The user has ``max_per_user`` of them; none was made.
        StoreError: The store is down; none was made.
        TypeError, ValueError: An argument is unfit; none was made.
    """
    seat_for = seats_of(client)
    if api_tokens is None:
        settings = authenticator_of(client, None, None).settings
        api_tokens = settings.api_tokens
    else:
        settings = MiddlewareSettings(api_tokens.manager)
    if api_tokens is None:
        msg = (
            "the SessionAuthMiddleware behind this client has no api_tokens=, so it would refuse "
            "an API token; for a session there is login_as"
        )
        raise ConfigurationError(msg)
    seat = seat_for(settings, base_url)
    token = api_tokens.create(
        username, name=name, scopes=scopes, claims=claims, expires_in=expires_in
    )
    seat.forget()
    seat.keep(ResponseChanges(200, (), token))
    return token
