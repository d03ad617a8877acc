"""Sessions behind JWTs."""

# The token parameter of the JWT manager has a name of its own, as documented.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from sessiongate.core.arguments import Seconds, SessionChanges, microseconds
from sessiongate.managers.session import SessionManager

if TYPE_CHECKING:
    import builtins

    from sessiongate.core.steps import Flow
    from sessiongate.tokens import Codec


class JWTSessionManager(SessionManager):
    """Sessions behind JWTs (RFC 7519) that other services can verify as well.

    Unlike a bare JWT, one that was revoked or refreshed away is invalid here. Takes all of
    ``SessionManager``, and:

    Args:
        secret_key: A secret for the HS algorithms, used as it is; for the others a private key as
            PEM. A random secret by default.
        algorithm: HS256, HS384, HS512, RS256 … PS512, ES256 … ES512 or EdDSA.
        issuer: The ``iss`` claim.
        audience: The ``aud`` claim.
        leeway: Seconds for which a token is still valid after its ``exp``. An ``iat`` up to 10
            seconds ahead is always forgiven.

    Raises:
        ConfigurationError: The key does not fit the algorithm, is public where a secret is needed
            (RFC 8725, section 2.1), or the extra ``crypto`` is missing.
    """

    def __init__(
        self,
        session_timeout: Seconds = 3600,
        max_concurrent_sessions: int | None = 10,
        secret_key: Any = None,
        *,
        algorithm: str = "HS512",
        issuer: str = "plantdb-api",
        audience: str = "plantdb-client",
        leeway: Seconds = 0,
        **kwargs: Any,
    ) -> None:
        self._algorithm = algorithm
        self._jwt: dict[str, Any] = {"issuer": issuer, "audience": audience}
        self._jwt["leeway"] = microseconds(leeway, "leeway")
        super().__init__(session_timeout, max_concurrent_sessions, secret_key=secret_key, **kwargs)

    def validate_session(self, jwt_token: str) -> dict[str, Any] | None:
        return super().validate_session(jwt_token)

    async def avalidate_session(self, jwt_token: str) -> dict[str, Any] | None:
        return await super().avalidate_session(jwt_token)

    def refresh_session(self, jwt_token: str) -> str | None:
        return super().refresh_session(jwt_token)

    async def arefresh_session(self, jwt_token: str) -> str | None:
        return await super().arefresh_session(jwt_token)

    def update_session(self, jwt_token: str, **changes: Unpack[SessionChanges]) -> str | None:
        return super().update_session(jwt_token, **changes)

    async def aupdate_session(
        self, jwt_token: str, **changes: Unpack[SessionChanges]
    ) -> str | None:
        return await super().aupdate_session(jwt_token, **changes)

    def session_username(self, jwt_token: str) -> str | None:
        return super().session_username(jwt_token)

    async def asession_username(self, jwt_token: str) -> str | None:
        return await super().asession_username(jwt_token)

    def invalidate_session(
        self, jwt_token: str | None = None, jti: str | None = None
    ) -> tuple[bool, str | None]:
        """End a session, named by its JWT or by the ``jti``; see ``SessionManager``."""
        return self.run(self._ending(jwt_token, jti))

    async def ainvalidate_session(
        self, jwt_token: str | None = None, jti: str | None = None
    ) -> tuple[bool, str | None]:
        """``invalidate_session``, to await."""
        return await self.arun(self._ending(jwt_token, jti))

    @property
    def secret_key(self) -> Any:
        """As it was given, or the random one; read-only: other keys take another manager."""
        return self._secret_key

    def jwks(self) -> dict[str, builtins.list[dict[str, Any]]]:
        """The public keys as a JWK Set (RFC 7517), for services that verify."""
        return self._jwt_codec.jwks()

    def _ending(self, jwt_token: str | None, jti: str | None) -> Flow[tuple[bool, str | None]]:
        if jwt_token is not None and jti is not None:
            msg = "pass jwt_token or jti, not both"
            raise ValueError(msg)
        if jti is None:
            return self._close(self._read(jwt_token))
        return self._close(self.operations.codec.parse_key(jti), named=True)

    def _make_codec(self, secret_key: Any, timeout: int, *, strict: bool) -> Codec:
        # Here, because PyJWT loads all of cryptography, and opaque tokens need none.
        from sessiongate.keys.jwt import load_keys  # noqa: PLC0415
        from sessiongate.tokens.jwt import JWTCodec  # noqa: PLC0415

        keys = load_keys(secret_key, self._algorithm, strict=strict, signs=True)
        self._jwt_codec = JWTCodec(keys, timeout=timeout, **self._jwt)
        return self._jwt_codec
