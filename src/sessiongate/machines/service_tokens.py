"""Short JWTs by which another service knows the user of a request (RFC 9068).

The other service verifies them by itself, with public keys. No store keeps them, and nothing here
accepts them: a manager accepts only the headers that it writes itself, whose ``typ`` is ``JWT``.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from sessiongate.core.arguments import Seconds, check_scopes, check_text, microseconds
from sessiongate.core.row import SECOND
from sessiongate.errors import ConfigurationError, NoSessionError
from sessiongate.managers.jwt import JWTSessionManager

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sessiongate.http.request_session import RequestSession
    from sessiongate.managers import SessionManager

_TYPE: Final = "at+jwt"
"""Tells these tokens from all other JWTs (RFC 9068, section 2.1; RFC 8725, section 3.11)."""
_NO_SESSION: Final = "a service token speaks for the user of a live session, and {}"


class ServiceTokens:
    """Short JWTs by which another service knows the user of a request (RFC 9068).

    They open nothing in this app. For at most ``expires_in`` the other service does not notice a
    logout. Immutable; safe for any number of threads and event loops. No store is asked.

    Args:
        private_key: A private key as PEM, without a passphrase: RSA of 2048 bits or more, EC or
            Ed25519. Or a list of keys: the first signs, the public halves of all are published. The
            others may be public keys.
        issuer: The ``iss`` claim: the URL of this app.
        client_id: The ``client_id`` claim: who calls the other service.
        audiences: The services that tokens may be for, each with the scopes that a token for it may
            hold at most; ``None``: all that the session has.
        expires_in: Seconds that a token is valid, 1 or more; a fraction is dropped.
        algorithm: RS256 … PS512, ES256 … ES512 or EdDSA, for all keys. ``None``: each key's own, by
            its kind and curve, RS256 for RSA.

    Raises:
        ConfigurationError: A key does not fit, is a shared secret (RFC 9068, section 2.1), or the
            extra ``crypto`` is missing.
        ValueError, TypeError: Another argument is unfit; the message says how.
    """

    def __init__(
        self,
        private_key: Any,
        *,
        issuer: str,
        client_id: str,
        audiences: Mapping[str, Iterable[str] | None],
        expires_in: Seconds = 120,
        algorithm: str | None = None,
    ) -> None:
        # Here, because PyJWT loads all of cryptography.
        from sessiongate.keys.jwt import jwks_of, load_key_pairs  # noqa: PLC0415

        if not isinstance(audiences, Mapping):
            msg = (
                "audiences must be a mapping of each service to the scopes it may get, such as "
                f"{{'https://reports.example': ['read']}}, not {type(audiences).__name__}"
            )
            raise TypeError(msg)
        self._claims = {
            "iss": check_text(issuer, "issuer"),
            "client_id": check_text(client_id, "client_id"),
        }
        self._audiences = {
            check_text(audience, "the names in audiences"): scopes
            if scopes is None
            else check_scopes(scopes, "the scopes in audiences")
            for audience, scopes in audiences.items()
        }
        self._seconds = microseconds(expires_in, "expires_in") // SECOND
        if not self._seconds:
            msg = "expires_in must be 1 second or more: a JWT states its end in whole seconds"
            raise ValueError(msg)
        keys = load_key_pairs(private_key, algorithm, typ=_TYPE)
        self._signer = keys[0]
        self._jwks = jwks_of(keys)

    def __repr__(self) -> str:
        return f"<ServiceTokens of {self._claims['iss']!r}>"

    def issue(
        self,
        request_session: RequestSession,
        audience: str,
        scopes: Iterable[str] | None = None,
    ) -> str:
        """A token for one other service, which ends with the session at the latest.

        Its claims are ``iss``, ``aud``, ``sub``, ``client_id``, ``sid``, ``iat``, ``exp``, ``jti``
        and, unless it is empty, ``scope``. ``sid`` is the handle of the session, or of the API
        token: it opens nothing. Custom claims are not copied.

        Args:
            request_session: ``scope["sessiongate"]`` or ``environ["sessiongate"]`` of the request.
            audience: One of ``audiences``.
            scopes: What the token may do. By default all scopes that both the session has and
                ``audiences`` allows.

        Raises:
            NoSessionError: The request is anonymous, or its session has ended or will within a
                second.
            ValueError: ``audiences`` does not name the audience, or ``scopes`` holds one that the
                session lacks, or that the audience may not get.
            ConfigurationError: The manager signs its sessions with the same key (RFC 8725, section
                3.12).
        """
        allowed = self._allowed(audience)
        manager = _manager_of(request_session)
        username, session_ends_at = request_session.user.username, request_session.expires_at
        if username is None:
            raise NoSessionError(_NO_SESSION.format("nobody is logged in: protect the view"))
        now = manager.now()
        expires_at = now // SECOND + self._seconds
        if session_ends_at is not None:
            expires_at = min(expires_at, int(session_ends_at.timestamp()))
        if expires_at * SECOND <= now:
            raise NoSessionError(_NO_SESSION.format("this one has ended, or will within a second"))
        self._check_keys(manager)
        claims = {
            **self._claims,
            "sub": username,
            "aud": audience,
            "exp": expires_at,
            "iat": now // SECOND,
            "jti": secrets.token_urlsafe(16),
            "sid": request_session.session,
        }
        granted = _granted(scopes, request_session.user.scopes, allowed, audience)
        if granted:
            claims["scope"] = " ".join(granted)  # RFC 8693, section 4.2
        return self._signer.issue(claims)

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The public keys as a JWK Set (RFC 7517, section 5), for services that verify."""
        return {"keys": [dict(key) for key in self._jwks["keys"]]}

    def _allowed(self, audience: str) -> tuple[str, ...] | None:
        try:
            return self._audiences[audience]
        except (KeyError, TypeError):
            known = ", ".join(map(repr, self._audiences)) or "none"
            msg = f"audience must be one of audiences ({known}): add {audience!r} there, if it may"
            raise ValueError(msg) from None

    def _check_keys(self, manager: SessionManager) -> None:
        if not isinstance(manager, JWTSessionManager):
            return
        ours = {key["kid"] for key in self._jwks["keys"]}
        if any(key["kid"] in ours for key in manager.jwks()["keys"]):
            msg = (
                "private_key is also a key of the JWTSessionManager: a service that does not check "
                "typ would take sessions for service tokens. Make another one with: "
                "sessiongate keygen --algorithm ES256"
            )
            raise ConfigurationError(msg)


def _manager_of(request_session: RequestSession) -> SessionManager:
    try:
        return request_session.settings.manager
    except AttributeError:
        msg = (
            'request_session must be request.scope["sessiongate"] or '
            f'request.environ["sessiongate"], not {type(request_session).__name__}'
        )
        raise TypeError(msg) from None


def _granted(
    asked: Iterable[str] | None,
    held: tuple[str, ...],
    allowed: tuple[str, ...] | None,
    audience: str,
) -> list[str] | tuple[str, ...]:
    """The scopes of a token: those ``asked`` for, all of which must be had and allowed."""
    if asked is None:
        return held if allowed is None else [scope for scope in held if scope in allowed]
    wanted = check_scopes(asked)
    for scope in wanted:
        if allowed is not None and scope not in allowed:
            msg = f"scopes: audiences does not allow {scope!r} for {audience!r}: add it there"
            raise ValueError(msg)
        if scope not in held:
            msg = (
                f"scopes: the session does not have {scope!r}: protect the view with "
                f"login_required(scopes=[{scope!r}]), or leave scopes out to pass on what it has"
            )
            raise ValueError(msg)
    return wanted
