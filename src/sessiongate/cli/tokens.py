"""``sessiongate tokens``: the API tokens of users, made, shown and ended."""

from __future__ import annotations

import re
import warnings
from typing import Annotated, Final

import typer

from sessiongate.cli._kinds import SESSIONS, TOKENS, kind_of
from sessiongate.cli._output import UNITS, note, print_json
from sessiongate.cli._rows import commands
from sessiongate.cli._store import URL, AsJSON, Timeout, checked, sessions_at
from sessiongate.cli.keys import KeyFiles, required_keys
from sessiongate.core.arguments import check_scopes, check_text, check_username, microseconds
from sessiongate.core.row import SECOND
from sessiongate.errors import ConfigurationError, TokenLimitError, WeakKeyWarning
from sessiongate.machines.api_tokens import APITokens
from sessiongate.machines.codec import unproven
from sessiongate.tokens import TokenPayload

_AT_LIMIT: Final = 1

app: Final = commands(TOKENS)


@app.callback()
def main() -> None:
    """Make, show and end the API tokens of users."""


@app.command()
def create(  # noqa: PLR0913 - one option for each keyword of ``create``
    username: Annotated[str, typer.Argument(help="Whose; that there is such a user is yours.")],
    *,
    name: Annotated[str, typer.Option(help="What the user calls it, such as ci.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="What it may do; may be repeated.")
    ] = None,
    expires_in: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="90d, 12h, 30m or seconds; left out: never."),
    ] = None,
    max_per_user: Annotated[
        int | None, typer.Option(min=1, help="The limit of your app, if it has one.")
    ] = None,
    secret_key_file: KeyFiles = None,
    store: URL = None,
    timeout: Timeout = 3,
    as_json: AsJSON = False,
) -> None:
    """Make an API token and print it: this once.

    The key is that of your APITokens, without a line break at its end.
    """
    checked(check_username, username)
    checked(check_text, name, "--name")
    scopes = checked(check_scopes, scope or (), "--scope") or ()
    lifetime = checked(_seconds, expires_in)
    key = required_keys(secret_key_file)[0]
    with sessions_at(store, timeout) as rows, warnings.catch_warnings():
        warnings.simplefilter("ignore", WeakKeyWarning)  # that is for the app to hear
        if any(kind_of(row) is SESSIONS for row in rows.first()):
            msg = "this store holds sessions: your API tokens are in another one"
            raise ConfigurationError(msg)
        tokens = APITokens(store=rows.store, secret_key=key, max_per_user=max_per_user)
        try:
            token = tokens.create(username, name=name, scopes=scopes, expires_in=lifetime)
        except TokenLimitError as error:
            note(f"Error: {error}")
            raise typer.Exit(_AT_LIMIT) from None
    said = unproven(token)
    handle = said.sid if isinstance(said, TokenPayload) else None
    if as_json:
        print_json({"token": token, "handle": handle, "username": username, "name": name})
    else:
        typer.echo(token)
    note(f"API token {handle} of {username}. It is shown this once: keep it now.")


def _seconds(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,11})([dhms]?)", text)
    if found is None:
        msg = "--expires-in must be seconds, or a number with d, h, m or s, such as 90d"
        raise ValueError(msg)
    seconds = int(found[1]) * dict(UNITS).get(found[2], 1)
    return microseconds(seconds, "--expires-in", positive=True) // SECOND
