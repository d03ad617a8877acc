"""The API tokens on “my devices”: list, make and revoke, for the page and for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from sessiongate.core.arguments import check_scopes
from sessiongate.devices import DEFAULT_LIFETIME, APIToken
from sessiongate.devices.endpoints import (
    LONGEST_BODY,
    OK,
    PRIVATE,
    Answer,
    Endpoint,
    Endpoints,
    json_answer,
    on,
    see_other,
)
from sessiongate.errors import TokenLimitError
from sessiongate.machines.api_tokens import APITokens, WantedToken
from sessiongate.machines.rows import details_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sessiongate.core.steps import Flow
    from sessiongate.devices.endpoints import Asked

_CREATED: Final = 201


def my_endpoints(
    path: str,
    render: Callable[..., Any] | None,
    api_tokens: APITokens | None,
    **options: Any,
) -> Endpoints:
    """Those of “my devices”, with the API tokens if there are some."""
    if api_tokens is None:
        return Endpoints(path, render, **options)
    if not isinstance(api_tokens, APITokens):
        msg = "api_tokens must be an APITokens, such as APITokens(store=…, secret_key=…), or None"
        raise TypeError(msg)
    return TokenEndpoints(path, render, api_tokens, **options)


class TokenEndpoints(Endpoints):
    """The devices, and the API tokens beside them.

    Those are in a store of their own. As with devices, the name of the user is part of what it
    is asked.
    """

    def __init__(
        self,
        path: str,
        render: Callable[..., Any] | None,
        api_tokens: APITokens,
        **options: Any,
    ) -> None:
        super().__init__(path, render, **options)
        self._api_tokens, self._manager = api_tokens, api_tokens.manager

    def __iter__(self) -> Iterator[Endpoint]:
        yield from super().__iter__()
        person, program = self._audiences()
        make, below = "make_token", "/api/tokens"
        yield Endpoint(make, "POST", "", person, self._make, reads_body=True)
        yield Endpoint("revoke_token", "POST", "/revoke/{handle}", person, self._revoke)
        yield Endpoint("api_tokens", "GET", below, program, self._api_list_tokens)
        yield Endpoint(f"api_{make}", "POST", below, program, self._api_make, reads_body=True)
        below += "/{handle}"
        yield Endpoint("api_revoke_token", "DELETE", below, program, self._api_revoke)

    def _show(self, asked: Asked, status: int = OK, **more: Any) -> Flow[Answer]:
        more["api_tokens"] = yield from self._tokens(asked)
        more["token_scopes"] = asked.session.user.scopes
        return (yield from super()._show(asked, status, **more))

    def _make(self, asked: Asked) -> Flow[Answer]:
        status, text = yield from self._create(asked)
        more = {"new_token" if status == _CREATED else "error": text}
        return (yield from self._show(asked, status, **more))

    def _revoke(self, asked: Asked) -> Flow[Answer]:
        yield from self._close(asked)
        return see_other(asked.page_url("/revoke/", asked.handle))

    def _api_list_tokens(self, asked: Asked) -> Flow[Answer]:
        tokens = yield from self._tokens(asked)
        return json_answer(OK, {"tokens": [token.as_json() for token in tokens]})

    def _api_make(self, asked: Asked) -> Flow[Answer]:
        status, text = yield from self._create(asked)
        return json_answer(status, {"token" if status == _CREATED else "error": text})

    def _api_revoke(self, asked: Asked) -> Flow[Answer]:
        if (yield from self._close(asked)):
            return Answer(204, PRIVATE)
        return json_answer(404, {"error": "There is no such token."})

    def _tokens(self, asked: Asked) -> Flow[tuple[APIToken, ...]]:
        """Those of the user, the newest first."""
        rows = yield from on(self._manager, self._api_tokens.listing(asked.session.user.identity))
        return tuple(APIToken(**details_of(row)) for row in reversed(rows))

    def _create(self, asked: Asked) -> Flow[tuple[int, str]]:
        """Make what is asked for: a status, and the token or why there is none."""
        try:
            token = yield from on(self._manager, self._api_tokens.creating(_wanted(asked)))
        except TokenLimitError as error:
            return error.status, str(error)
        except (ValueError, TypeError) as error:
            return 400, str(error)
        return _CREATED, token

    def _close(self, asked: Asked) -> Flow[bool]:
        manager, session = self._manager, asked.session
        closing = manager.administration.close_of(
            manager.now(), session.user.identity, asked.handle, session.transport
        )
        return on(manager, closing)


def _wanted(asked: Asked) -> WantedToken:
    """The token that a body asks for; ``ValueError`` or ``TypeError`` says what is unfit."""
    fields, allowed = _fields(asked), asked.session.user.scopes
    scopes = check_scopes(fields.get("scopes", ()))
    if not set(scopes) <= set(allowed):
        msg = f"scopes must be some of your session's: {', '.join(allowed) or 'it has none'}"
        raise ValueError(msg)
    name, seconds = fields.get("name", ""), fields.get("expires_in", DEFAULT_LIFETIME)
    return WantedToken(
        asked.session.user.identity,
        name.strip() if isinstance(name, str) else name,
        scopes,
        None,
        _lifetime(seconds),
    )


def _fields(asked: Asked) -> dict[str, Any]:
    """The fields of a JSON object or of a form."""
    if len(asked.body) > LONGEST_BODY:
        msg = f"the body must be at most {LONGEST_BODY} bytes"
        raise ValueError(msg)
    kind = asked.content_type.partition(";")[0].strip().lower()
    try:
        if kind == "application/json":
            return dict(**json.loads(asked.body))
        form = parse_qs(asked.body.decode(), keep_blank_values=True, errors="strict")
    except (ValueError, TypeError, RecursionError):
        msg = "the body must be a JSON object or a form, in UTF-8"
        raise ValueError(msg) from None
    if kind != "application/x-www-form-urlencoded":
        msg = "Content-Type must be application/json or application/x-www-form-urlencoded"
        raise ValueError(msg)
    return {name: v if name == "scopes" else v[-1] for name, v in form.items()}


def _lifetime(value: object) -> float | None:
    if value is None or value == "never":
        return None
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        msg = "expires_in must be a number of seconds, or 'never'"
        raise TypeError(msg)
    return value
