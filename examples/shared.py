"""What the example apps have in common: the users, the sessions, and what a page shows."""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from sessiongate import APITokens, SessionCookie, SessionManager

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate.stores import Store

HERE: Final = Path(__file__).parent
TEMPLATES: Final = HERE / "templates"
STATIC: Final = HERE / "static"

SESSION_TIMEOUT: Final = timedelta(minutes=10)
ROTATE_AFTER: Final = timedelta(minutes=1)
"""Both are short, so that you can watch a session rotate and end."""

BOUND_FOR: Final = timedelta(minutes=5)
"""Short as well: the least that browsers bear."""

COOKIE: Final = SessionCookie.for_http()
"""The demo speaks plain HTTP with this machine alone, so its cookie is neither ``Secure`` nor
named ``__Host-…``. Behind HTTPS leave ``cookie=`` out: the default is the strict one.

A cookie belongs to a host, not to a port: this one serves both apps.
"""

PAGE_HEADERS: Final = {
    "Cache-Control": "no-store",  # no account page on the disk; for the back button see app.js
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

WRONG: Final = "That is not the right username and password."
"""One text for both, so that nobody learns which usernames exist."""
FORBIDDEN: Final = 403


# The users. sessiongate does not manage them: it starts where you know who the user is.


class Account(NamedTuple):
    """A user: the password's hash, and what the user may do."""

    password_hash: str
    scopes: tuple[str, ...]


class Accounts:
    """The users of the demo, in a dictionary. In your app, they are in a database."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._accounts: dict[str, Account] = {}
        # Checked if there is no such user, so that an unknown name takes as long to refuse.
        self._nobody = Account(self._hasher.hash(secrets.token_urlsafe()), ())

    def add(self, username: str, password: str, scopes: tuple[str, ...] = ()) -> None:
        """Add a user. Only a hash of the password is kept."""
        self._accounts[username] = Account(self._hasher.hash(password), scopes)

    def check(self, username: str, password: str) -> Account | None:
        """Return the account if name and password are right, else ``None``.

        Takes tens of milliseconds of CPU on purpose, so an async view calls it
        in a thread. A real app also limits how often one may try.
        """
        account = self._accounts.get(username, self._nobody)
        try:
            self._hasher.verify(account.password_hash, password)
        except VerifyMismatchError:
            return None
        return None if account is self._nobody else account


def credentials_of(sent: object) -> tuple[str, str]:
    """The name and the password of a JSON body; empty strings if they are missing."""
    fields = sent if isinstance(sent, dict) else {}
    return str(fields.get("username", "")), str(fields.get("password", ""))


# The sessions.


def make_manager(
    store: Store, secret_key: str, clock: Callable[[], float] = time.time
) -> SessionManager:
    """Make the manager. Both apps must have the same rules, store and key."""
    return SessionManager(
        SESSION_TIMEOUT,
        max_concurrent_sessions=None,
        max_sessions_per_user=5,
        on_limit="evict_oldest",  # the sixth login ends the first, so a login never fails
        rotate_after=ROTATE_AFTER,
        touch_every=0,  # an exact "last seen", at the price of a write for each request
        store=store,
        secret_key=secret_key,
        clock=clock,  # the tests pass a clock that they can move
    )


def make_api_tokens(store: Store, secret_key: str) -> APITokens:
    """Make the API tokens of the users. Store and key must not be those of the sessions."""
    return APITokens(store=store, secret_key=secret_key, max_per_user=20)


def read_secret_key(directory: Path, name: str = "secret") -> str:
    """A key that signs tokens, from the environment or from a file that is made once.

    Whoever reads it can log in as anybody, so the file is for its owner alone
    (mode 0600) and belongs in no repository.
    """
    if key := os.environ.get(f"SESSIONGATE_{name.upper()}_KEY"):
        return key
    path = directory / f"{name}.key"
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_text()
    with os.fdopen(descriptor, "w") as file:
        file.write(key := secrets.token_urlsafe(64))
    return key


# What the pages show.


@dataclass(frozen=True)
class Site:
    """Which of the two apps this is, and where the other one is."""

    name: str
    url: str
    other_name: str
    other_url: str


class Services(NamedTuple):
    """What the views of an app use."""

    manager: SessionManager
    accounts: Accounts
    site: Site
    api_tokens: APITokens | None = None
    device_bound: bool = False
    """Whether browsers bind their sessions, for which the demo speaks HTTPS."""

    def middleware_options(self) -> dict[str, Any]:
        """What both middlewares are made with."""
        options: dict[str, Any] = {"cookie": COOKIE, "api_tokens": self.api_tokens}
        if self.device_bound:
            options |= {"cookie": SessionCookie(), "device_bound": True, "bound_for": BOUND_FOR}
        return options


@dataclass(frozen=True)
class Facts:
    """What a page shows of the session of this request."""

    username: str
    transport: str
    api_token: str | None
    scopes: tuple[str, ...]
    remembered: bool
    device_bound: bool
    proved_until: datetime | None
    age: int | None
    logged_in_at: datetime
    rotates_at: datetime | None
    ends_at: datetime | None

    def as_json(self) -> dict[str, Any]:
        """The same with ISO 8601 dates."""
        return {
            key: value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
            for key, value in asdict(self).items()
        }


def facts_of(handle: Any) -> Facts:
    """The facts of a logged-in request. ``handle`` is its session, from the middleware."""
    user = handle.user
    return Facts(
        username=user.username,
        transport=handle.transport,
        api_token=handle.api_token,
        scopes=user.scopes,
        remembered=handle.remembered,
        device_bound=handle.device_bound,
        proved_until=handle.proved_until,
        age=None if handle.age is None else int(handle.age),
        logged_in_at=user.info["created_at"],
        rotates_at=handle.rotates_at,
        ends_at=handle.expires_at,
    )
