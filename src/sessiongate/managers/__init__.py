"""The three managers: the public verbs, sync and async, over one set of operations."""

from sessiongate.administration.health import Health
from sessiongate.managers.jwt import JWTSessionManager
from sessiongate.managers.session import SessionManager, SingleSessionManager

__all__ = ["Health", "JWTSessionManager", "SessionManager", "SingleSessionManager"]
