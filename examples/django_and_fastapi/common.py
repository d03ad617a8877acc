"""What the site and the API have in common: the store, the key and the cookie of one login."""

from __future__ import annotations

import os

from sessiongate import SessionCookie, SessionManager
from sessiongate.stores import open_store

__all__ = ["COOKIE", "manager"]

COOKIE = SessionCookie.for_http()  # with TLS, leave it out

manager = SessionManager(
    max_concurrent_sessions=None,
    store=open_store(os.environ["SESSION_STORE"]),
    secret_key=os.environ["SESSION_KEY"],
)
