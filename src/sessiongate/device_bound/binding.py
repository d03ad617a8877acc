"""What one middleware says to browsers that bind sessions, once for WSGI and ASGI.

It offers the binding in the response of a login, and answers on two paths of its own. There the
proof is the credential, so no cookie counts and no rule about other sites applies: after a login
that came from another site, a browser binds without its ``Lax`` cookie.
"""

from __future__ import annotations

import re
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from sessiongate.core.arguments import microseconds
from sessiongate.core.rotation import PROOF_SLACK
from sessiongate.core.row import SECOND, Row, event_of
from sessiongate.device_bound import fields, rules
from sessiongate.device_bound.challenges import Challenges
from sessiongate.device_bound.proofs import ALGORITHM, Proofs
from sessiongate.errors import ConfigurationError
from sessiongate.http.credentials import read_cookies
from sessiongate.http.origin import normalise
from sessiongate.http.refusals import UNAVAILABLE

if TYPE_CHECKING:
    from sessiongate.core.steps import Flow
    from sessiongate.device_bound.challenges import Purpose
    from sessiongate.device_bound.fields import Field, Find
    from sessiongate.http.authenticator import RequestAuthenticator
    from sessiongate.http.cookies import SessionCookie
    from sessiongate.http.request_session import RequestSession
    from sessiongate.managers import SessionManager

PATHS: Final = "/.sessiongate"
RULE: Final = f"{PATHS} of device_bound"
"""How the paths are named where the middleware looks for no credential."""

_BIND: Final = f"{PATHS}/bind"
_REFRESH: Final = f"{PATHS}/refresh/"
_REFRESHING: Final = re.compile(rf"{re.escape(_REFRESH)}[A-Za-z0-9_-]{{22}}", re.ASCII)
_JSON: Final = "application/json"
_LEAST: Final = 300 * SECOND
_TOO_SHORT: Final = (
    "bound_for must be at least 300 seconds: a browser proves its key in the last two minutes, and "
    "only some six times in nine minutes; beyond that it sends no cookie"
)
_READ_ELSEWHERE: Final = (
    "device_bound=True is for a SessionManager. Other services take a JWT until its exp, so they "
    "would take a stolen one as well; and a JWT states an end that no proof could bring nearer"
)


class Answer(NamedTuple):
    """A response of the middleware's own."""

    status: int
    text: str = ""
    headers: tuple[Field, ...] = ()
    media_type: str = "text/plain; charset=utf-8"

    @property
    def fields(self) -> list[Field]:
        """All header fields; no cache keeps an answer."""
        described = ("Content-Type", self.media_type), ("Content-Length", str(len(self.text)))
        return [*self.headers, ("Cache-Control", "no-store"), *described]


Asked: TypeAlias = "tuple[str, str, str, Find]"
"""A request for one of the paths: its method, the path of the mount, the path below that, and how
to find a header field."""


class Binding:
    """The rules of one middleware with ``device_bound=True``. Safe for threads and tasks.

    Raises:
        ConfigurationError: The cookie or the manager cannot be bound, or the extra ``crypto`` is
            missing.
        ValueError, TypeError: ``bound_for`` is unfit.
    """

    def __init__(self, authenticator: RequestAuthenticator) -> None:
        settings = authenticator.settings
        self._manager: SessionManager = settings.manager
        self._operations = settings.manager.operations
        self._cookie: SessionCookie = settings.cookie
        _check_cookie(settings.cookie)
        if self._operations.codec.states_end:
            raise ConfigurationError(_READ_ELSEWHERE)
        self._bound_for = microseconds(settings.bound_for, "bound_for")
        if self._bound_for < _LEAST:
            raise ConfigurationError(_TOO_SHORT)
        self._proofs = Proofs()
        keys = settings.manager.keys_for(b"sessiongate device-bound challenge v1")
        # A browser that has slept keeps the last one: it is sent a new one, and posts again.
        self._challenges = Challenges(keys, valid_for=2 * self._bound_for)
        authenticator.serve(find_endpoint, self.offer)

    def offer(self, session: RequestSession) -> tuple[Field, ...]:
        """What the response that hands out a token carries besides.

        The binding is offered to who has logged in and to nobody else: whoever holds a copy of an
        unbound cookie would bind it to a key of their own.
        """
        delivery = session.delivery
        row = delivery.row
        if row is None or delivery.cookie != "issue" or row.bound_key:
            return ()
        now = self._manager.now()
        challenge = self._challenges.issue("bind", row.sid, row.generation, now)
        path = session.root.rstrip("/") + _BIND
        return (fields.registration(path, challenge, ALGORITHM),)

    def answer(self, asked: Asked) -> Flow[Answer]:
        """The response to a request for one of the two paths."""
        method, root, path, find = asked
        root = root.rstrip("/")
        if method != "POST":
            return _refuse(405, ("Allow", "POST"))
        proof = fields.read_proof(find)
        if path == _BIND:
            return (yield from self._bind(proof or "", root, find))
        identifier = fields.read_identifier(find) or self._identifier(find)
        return (yield from self._refresh(path.removeprefix(_REFRESH), proof or "", identifier))

    def _bind(self, text: str, root: str, find: Find) -> Flow[Answer]:
        now, until = self._times()
        proof = self._proofs.read(text, registers=True)
        said = proof and self._challenges.read("bind", proof.challenge, now)
        if proof is None or said is None or not self._proofs.verify(proof, proof.key):
            return _refuse(400)
        if not self._agrees(said.sid, find, now):
            return _refuse(400)
        data = yield "read", said.sid
        _, row = yield from self._operations.settle(
            data,
            said.sid,
            now,
            lambda row: rules.bind(row, said.generation, proof.key, now, until),
        )
        if type(row) is not Row:
            return _refuse(400)
        self._operations.superseded.add(row.sid, row.generation)
        yield event_of("bound", row, now, "cookie", "requested")
        identifier = self._identifier(find)
        attributes = replace(self._cookie, persistent=False).issue("", 0).partition("; ")[2]
        told = fields.instructions(
            identifier, f"{root}{_REFRESH}{row.sid}", self._cookie.name, attributes
        )
        return self._hand_out(row, identifier, now)._replace(text=told, media_type=_JSON)

    def _refresh(self, sid: str, text: str, identifier: str) -> Flow[Answer]:
        now, until = self._times()
        proof = self._proofs.read(text, registers=False)
        read, challenge = self._challenges.read, "" if proof is None else proof.challenge
        arrived = read("refresh", challenge, now)
        said = arrived or read("retry", challenge, now)

        def decide(row: Row) -> Row | None:
            if not row.bound_key:
                return None
            answers = said == (row.sid, row.generation)
            if proof is None or not answers or not self._proofs.verify(proof, row.bound_key):
                return row
            return rules.prove(row, now, until, arrived=arrived is not None)

        data = yield "read", sid
        before, row = yield from self._operations.settle(data, sid, now, decide)
        if before is None or type(row) is not Row:
            return Answer(200, fields.forget(identifier), media_type=_JSON)
        if row is before:
            return _refuse(403, self._next_challenge("retry", row, identifier, now))
        self._operations.superseded.add(row.sid, row.generation)
        yield event_of("rotated", row, now, "cookie", "proved")
        return self._hand_out(row, identifier, now)

    def _times(self) -> tuple[int, int]:
        """Now, and until when a proof of now counts."""
        now = self._manager.now()
        return now, now + self._bound_for + PROOF_SLACK

    def _hand_out(self, row: Row, identifier: str, now: int) -> Answer:
        token = self._operations.codec.mint(row)
        cookie = self._cookie.issue(token, self._bound_for // SECOND, persists=True)
        challenge = self._next_challenge("refresh", row, identifier, now)
        return Answer(200, headers=(("Set-Cookie", cookie), challenge))

    def _next_challenge(self, purpose: Purpose, row: Row, identifier: str, now: int) -> Field:
        challenge = self._challenges.issue(purpose, row.sid, row.generation, now)
        return fields.next_challenge(challenge, identifier)

    def _agrees(self, sid: str, find: Find, now: int) -> bool:
        """Whether no genuine cookie of another session came in place of one of this."""
        values = read_cookies(self._cookie.name.encode(), find(b"cookie"))
        came = {token.sid for value in values if (token := self._operations.read(value, now))}
        return not came or sid in came

    def _identifier(self, find: Find) -> str:
        """How the browser names the session: always the same for one cookie of one host.

        So a login takes the place of the one before. But a browser has one name for all hosts of
        a site, and another host's session must not take its place.
        """
        origins = find(b"origin")
        origin = normalise(origins[0].decode("latin-1")) if len(origins) == 1 else None
        place = f"{origin} {self._cookie.name} {self._cookie.path}"
        return f"sessiongate-{sha256(place.encode()).hexdigest()[:16]}"


def find_endpoint(path: str) -> str | None:
    """``RULE`` for one of the two paths, ``None`` for all others."""
    return RULE if path == _BIND or _REFRESHING.fullmatch(path) else None


def unavailable() -> Answer:
    """What is answered while the store cannot say anything: the browser asks again."""
    retry = tuple(field for field in UNAVAILABLE.headers if field[0] == "Retry-After")
    return Answer(UNAVAILABLE.status, UNAVAILABLE.text, retry)


def _refuse(status: int, *headers: Field) -> Answer:
    """One text for all that is wrong. A 401 or a 429 would end the browser's session."""
    return Answer(status, "The proof does not count.\n", headers)


def _check_cookie(cookie: SessionCookie) -> None:
    for unfit, what in (
        (not cookie.secure, "a cookie without Secure, such as SessionCookie.for_http()"),
        (cookie.partitioned, "a cookie with partitioned=True"),
        (cookie.domain is not None, "a cookie with a domain"),
    ):
        if unfit:
            msg = (
                f"device_bound=True cannot be used with {what}: browsers bind a cookie of one host "
                "over HTTPS, and renew it at that host alone"
            )
            raise ConfigurationError(msg)
