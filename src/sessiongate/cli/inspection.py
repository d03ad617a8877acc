"""``sessiongate inspect``."""

from __future__ import annotations

import json
import time
import warnings
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sessiongate.cli._output import ago, date, facts, instant, print_json
from sessiongate.cli._report import Expected, Finding, Verdict, examine, honoured, look_up
from sessiongate.cli._rows import details
from sessiongate.cli._secrets import STDIN, KeyFiles, read_keys, read_token
from sessiongate.cli._store import URL, AsJSON, Timeout, sessions_at
from sessiongate.core.arguments import check_text, microseconds
from sessiongate.core.row import FOREVER, SECOND
from sessiongate.errors import ConfigurationError, WeakKeyWarning
from sessiongate.tokens.jwt_keys import ALGORITHMS

if TYPE_CHECKING:
    from sessiongate.core.row import Row

__all__ = ["inspect"]

_NOT_VALID: Final = 1
_DATES: Final = ("iat", "exp")
_CLAIMS: Final = {
    "alg": "algorithm",
    "iss": "issuer",
    "aud": "audience",
    "sub": "subject",
    "iat": "issued",
    "exp": "expires",
    "scope": "scopes",
}


def inspect(  # noqa: PLR0913 - one option for each setting of a manager
    token: Annotated[
        str,
        typer.Argument(help="Left out or -: read from stdin, which is better."),
    ] = STDIN,
    *,
    store: URL = None,
    secret_key_file: KeyFiles = None,
    algorithm: Annotated[
        str | None, typer.Option(help="The one of the JWT manager; left out: not compared.")
    ] = None,
    issuer: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    audience: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    leeway: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="Its leeway.")] = 0,
    timeout: Timeout = 3,
    as_json: AsJSON = False,
) -> None:
    """Say what a token is, and why it is valid or not.

    The session is not touched. The exit code is 0 if it is valid or, where no
    store is given, genuine.
    """
    if token == STDIN and STDIN in (secret_key_file or ()):
        msg = "the token and the key cannot both come from stdin"
        raise typer.BadParameter(msg)
    expected = _expected(algorithm, issuer, audience, leeway)
    keys, text = read_keys(secret_key_file), read_token(token)
    now, row = round(time.time() * SECOND), None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WeakKeyWarning)  # that is for the app to hear
        found = examine(text, keys, expected, now)
    if store and found.handle is not None:
        with sessions_at(store, timeout) as sessions:
            row = sessions.find(found.handle)
        found = look_up(found, row, now)
    if as_json:
        print_json(_for_programs(found, row, now))
    else:
        facts(_for_people(found, row, now))
    if found.verdict not in {Verdict.VALID, Verdict.GENUINE}:
        raise typer.Exit(_NOT_VALID)


def _expected(
    algorithm: str | None, issuer: str | None, audience: str | None, leeway: float
) -> Expected:
    if algorithm not in {None, *ALGORITHMS}:
        msg = f"algorithm must be one of {', '.join(ALGORITHMS)}"
        raise ConfigurationError(msg)
    try:
        for name, value in (("issuer", issuer), ("audience", audience)):
            if value is not None:
                check_text(value, name)
        return Expected(algorithm, issuer, audience, microseconds(leeway, "leeway"))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _for_people(found: Finding, row: Row | None, now: int) -> dict[str, object]:
    return {
        "verdict": found.verdict,
        "because": found.reason,
        "format": found.format,
        "signature": found.signature,
        "handle": found.handle,
        "generation": found.generation,
        **{
            word: _claim(name, found.claims[name], now)
            + (" (not compared)" if name in found.not_compared else "")
            for name, word in _CLAIMS.items()
            if name in found.claims
        },
        "other claims": ", ".join(_others(found)) or None,
        "session": None if row is None else _session(row, now),
        "standing": found.standing,
        "honoured": _until(found, row),
    }


def _for_programs(found: Finding, row: Row | None, now: int) -> dict[str, Any]:
    until = None if row is None else honoured(found, row)
    return {
        "verdict": found.verdict,
        "reason": found.reason,
        "format": found.format,
        "signature": found.signature,
        "handle": found.handle,
        "generation": found.generation,
        "claims": {name: found.claims[name] for name in _CLAIMS if name in found.claims},
        "other_claims": _others(found),
        "not_compared": list(found.not_compared),
        "session": None if row is None else {**details(row), "live": now < row.expires_at},
        "standing": found.standing,
        "honoured_until": None if until is None else instant(until),
    }


def _others(found: Finding) -> list[str]:
    """Their names: what an app puts into its own claims is the app's business."""
    return sorted(found.claims.keys() - _CLAIMS.keys() - {"jti"})


def _claim(name: str, value: object, now: int) -> str:
    if name in _DATES and isinstance(value, (int, float)) and 0 <= value < FOREVER // SECOND:
        return ago(round(value * SECOND), now)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _session(row: Row, now: int) -> str:
    state = "live" if now < row.expires_at else "expired"
    return (
        f"{state}, of {row.username}; opened {ago(row.created_at, now)}, "
        f"ends {ago(row.expires_at, now)}, at generation {row.generation}"
    )


def _until(found: Finding, row: Row | None) -> str | None:
    until = None if row is None else honoured(found, row)
    if row is None or until is None:
        return None
    if row.shared:
        return "as long as the session lives: its token was handed out more than once"
    if row.previous_until == FOREVER:
        return "until its successor is first presented, and for the grace after that"
    return f"until {date(until)}"
