"""``sessiongate inspect``: what a token is, whether it is ours, and where it stands.

The judgement is that of the codecs and of ``rotation``; here are the words. The
token itself, its MAC or signature and the key are in no answer.
"""

from __future__ import annotations

import re
import time
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from sessiongate.cli._kinds import TOKENS, details, kind_of
from sessiongate.cli._output import ago, answer, date, instant
from sessiongate.cli._store import URL, AsJSON, Timeout, checked, sessions_at
from sessiongate.cli.keys import STDIN, KeyFiles, read_keys, read_token
from sessiongate.core import rotation
from sessiongate.core.arguments import check_choice, check_text, microseconds
from sessiongate.core.row import FOREVER, SECOND
from sessiongate.errors import ConfigurationError, WeakKeyWarning
from sessiongate.keys.jwt import ALGORITHMS, load_keys
from sessiongate.machines.codec import PREFIX, APITokenCodec
from sessiongate.machines.codec import unproven as unproven_api_token
from sessiongate.tokens import GENERATION, LONGEST_TOKEN
from sessiongate.tokens.jwt import JWTCodec, unproven
from sessiongate.tokens.opaque import OpaqueCodec

if TYPE_CHECKING:
    from sessiongate.core.row import Row
    from sessiongate.tokens import Codec

_NOT_VALID: Final = 1
_CLAIMS: Final = ("alg", "iss", "aud", "sub", "iat", "exp", "scope")
"""Those that are shown, and the ``alg`` of the header."""

_LATEST: Final = FOREVER // SECOND

_NAME: Final = rf"([A-Za-z0-9_-]{{16,128}})\.({GENERATION})"
"""The session and the generation, which both kinds of tokens name in one form."""
_OPAQUE: Final = re.compile(rf"sg_{_NAME}\.[0-9a-f]{{32}}", re.ASCII)
_JTI: Final = re.compile(_NAME, re.ASCII)

_UNSIGNED: Final = ("header", "encoding", "signature")
_REFUSALS: Final = {
    "form": "it is not sgp_ and 50 letters and digits: it was mistyped, cut or altered",
    "checksum": "its checksum is wrong: it was mistyped, cut or altered",
    "header": "no key given here makes its header: another key, another algorithm, or forged",
    "encoding": "its parts are not canonical base64url",
    "signature": "it is not signed by a key given here, or was altered",
    "jti": "its jti names no session of this package",
    "iss": "its issuer is missing or not the expected one",
    "aud": "its audience is missing or not the expected one",
    "sub": "its subject is missing or no username",
    "iat": "its iat is missing or no date",
    "exp": "its exp is missing or no date",
    "nbf": "it has an nbf, which this package never writes",
}
"""What ``Codec.examine`` says, in more words."""

_STANDINGS: Final = {
    rotation.UNISSUED: "it is newer than its session: the store was restored from an older copy",
    rotation.CURRENT: "it is the newest token of a live session",
    rotation.PREVIOUS: "it was replaced, and is still honoured",
    rotation.RETIRED: "it was replaced by an explicit refresh, and is refused",
    rotation.UNPROVED: "its session is bound to a device, whose key has not proved itself since",
    rotation.STALE: "it was replaced and the overlap is over: presenting it ends the session",
}
_MISSING: Final = (
    "there is no such {} in this store: it was ended, has expired and was removed, or never was "
    "here"
)
_SHARED: Final = "as long as the session lives: its token was handed out more than once"
_PROVED: Final = "until the key of its device has to prove itself again"
_UNSEEN: Final = "until its successor is first presented, and for the grace after that"


@dataclass
class _Finding:
    """What was found of a token; handle and claims are its own words unless it is genuine.

    The answer has the same names in the same order.
    """

    verdict: Literal["valid", "genuine", "invalid", "unknown"] = "unknown"
    reason: str = "there was no key to check it with"
    format: Literal["opaque", "jwt", "api_token"] | None = None
    signature: Literal["good", "bad", "not checked"] = "not checked"
    handle: str | None = None
    generation: int | None = None
    claims: dict[str, Any] = field(default_factory=dict[str, Any])
    """Of a JWT, with the ``alg`` of its header."""
    other_claims: list[str] = field(default_factory=list[str])
    """Their names alone: what an app puts into its own claims is the app's business."""
    not_compared: list[str] = field(default_factory=list[str])
    """Claims that were taken as they are."""
    session: Row | None = None
    """Or the row of the API token; it may have expired."""
    standing: str | None = None
    """A word of ``rotation``, where the session is live; an API token never rotates."""
    honoured_until: int | None = None
    """Of a token that was replaced and is accepted all the same, in microseconds."""

    def refuse(self, reason: str) -> None:
        """Make it invalid. The first thing that is wrong is the reason."""
        if self.verdict != "invalid":
            self.verdict, self.reason = "invalid", reason


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
    expected = {
        "alg": checked(check_choice, algorithm, "algorithm", ALGORITHMS),
        "iss": checked(check_text, issuer, "issuer"),
        "aud": checked(check_text, audience, "audience"),
    }
    slack = checked(microseconds, leeway, "leeway") or 0
    keys, text = read_keys(secret_key_file), read_token(token)
    now = round(time.time() * SECOND)
    found = _read(text)
    if found.format == "jwt":
        found.not_compared = [name for name, value in expected.items() if value is None]
    if found.format is None:
        found.refuse("it has the form of no token: neither sg_… nor sgp_… nor a JWT")
    elif keys and found.verdict != "invalid":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", WeakKeyWarning)  # that is for the app to hear
            _verify(found, text, keys, expected, slack, now)
    if store and found.handle is not None:
        with sessions_at(store, timeout) as sessions:
            found.session = sessions.find(found.handle)
        _compare_with_session(found, now)
    _print(found, now, as_json=as_json)
    if found.verdict not in {"valid", "genuine"}:
        raise typer.Exit(_NOT_VALID)


def _read(token: str) -> _Finding:
    """What a token says of itself; without a format it is none."""
    found = _Finding()
    if len(token) > LONGEST_TOKEN:
        return found
    named = _OPAQUE.fullmatch(token)
    if token.startswith(PREFIX):
        found.format, payload = "api_token", unproven_api_token(token)
        if isinstance(payload, str):
            found.refuse(_REFUSALS[payload])
        else:
            found.handle = payload.sid
    elif named is not None:
        found.format = "opaque"
    elif (said := unproven(token)) is not None:
        found.format = "jwt"
        header, claims = said
        jti = claims.pop("jti", None)
        named = _JTI.fullmatch(jti) if isinstance(jti, str) else None
        claims["alg"] = header.get("alg")
        found.claims = {name: claims[name] for name in _CLAIMS if name in claims}
        found.other_claims = sorted(claims.keys() - found.claims.keys())
    if named is not None:
        found.handle, found.generation = named[1], int(named[2])
    return found


def _verify(
    found: _Finding,
    token: str,
    keys: list[bytes | str],
    expected: dict[str, str | None],
    leeway: int,
    now: int,
) -> None:
    """Check the token without any store: it is genuine at best."""
    codec: Codec
    if found.format == "opaque":
        codec = OpaqueCodec(keys, strict=False)
    elif found.format == "api_token":
        codec = APITokenCodec(keys, strict=False)
    elif found.claims["alg"] not in ALGORITHMS:
        found.refuse("its algorithm is not one that this package uses")
        return
    else:
        # What is not expected is the token's own word, the algorithm too: a diagnosis logs
        # nobody in, and a key that does not fit is refused all the same.
        wanted = {name: value or found.claims.get(name) for name, value in expected.items()}
        try:
            codec = JWTCodec(
                load_keys(keys, str(wanted["alg"]), strict=False),
                issuer=_text(wanted["iss"]),
                audience=_text(wanted["aud"]),
                timeout=FOREVER,
                leeway=leeway,
            )
        except ConfigurationError as error:
            if expected["alg"] is not None:
                raise
            found.reason = f"it could not be checked with the algorithm that it names: {error}"
            return
    payload = codec.examine(token)
    found.signature = "bad" if payload in _UNSIGNED else "good"
    if isinstance(payload, str):
        found.refuse(_REFUSALS[payload])
    elif now < payload.valid_from:
        found.refuse("it was issued in the future: a clock is wrong")
    elif payload.expires_at <= now:
        found.refuse("it has expired")
    else:
        found.verdict = "genuine"
        found.reason = "signed by this key and in its time; no store was asked"


def _text(value: object) -> str:
    try:
        return check_text(value, "claim")
    except (TypeError, ValueError):
        return "?"  # equal to no claim that is none


def _compare_with_session(found: _Finding, now: int) -> None:
    """Add what its session says: it is valid only with a live one that accepts it."""
    row, is_api_token = found.session, found.format == "api_token"
    if row is None:
        found.refuse(_MISSING.format("API token" if is_api_token else "session"))
    elif row.expires_at <= now:
        found.refuse("it has expired" if is_api_token else "its session has expired")
    elif is_api_token:
        if found.verdict == "genuine":
            found.verdict, found.reason = "valid", "it is a live API token"
    elif found.claims.get("sub", row.username) != row.username:
        found.refuse("it names another user than its session does")
    else:
        found.standing = rotation.classify(row, found.generation or 0, now)
        reason = _STANDINGS[found.standing]
        if found.standing == rotation.PREVIOUS:
            if row.shared:
                until, words = row.expires_at, _SHARED
            elif row.bound_key:
                is_newest = (found.generation or 0) >= row.oldest_accepted
                until = min(row.proved_until, FOREVER if is_newest else row.previous_until)
                words = _PROVED
            else:
                until = min(row.previous_until, row.expires_at)
                words = _UNSEEN if row.previous_until == FOREVER else f"until {date(until)}"
            found.honoured_until, reason = until, f"{reason} {words}"
        if rotation.TABLE[found.standing] != rotation.ACCEPT:
            found.refuse(reason)
        elif found.verdict == "genuine":
            found.verdict, found.reason = "valid", reason


def _print(found: _Finding, now: int, *, as_json: bool) -> None:
    row, until, values = found.session, found.honoured_until, dict(vars(found))
    if row is not None:
        kind, state = kind_of(row), "live" if now < row.expires_at else "expired"
        place = kind.mark(row) if kind is TOKENS else f"at generation {row.generation}"
        words = (
            f"{state}, of {row.username}; {kind.opened} {ago(row.created_at, now)}, "
            f"ends {ago(row.expires_at, now)}, {place}"
        )
        values["session"] = details(row, now, instant) if as_json else words
    if until is not None:
        values["honoured_until"] = instant(until) if as_json else ago(until, now)
    if not as_json:
        dates = {
            name: ago(round(value * SECOND), now)
            for name, value in found.claims.items()
            if name in {"iat", "exp"} and isinstance(value, (int, float)) and 0 < value < _LATEST
        }
        values["claims"] = found.claims | dates
    answer(values, as_json=as_json)
