"""“My devices”: where a user is logged in, and the buttons to end it.

``sessiongate.devices.flask`` and ``sessiongate.devices.starlette`` mount it;
here is what an app's own template gets. No I/O and no framework.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

__all__ = ["APIToken", "AllDevicesPage", "Device", "DevicesPage", "UserDevice"]

LIFETIMES: Final = {
    "2592000": "30 days",
    "7776000": "90 days",
    "31536000": "A year",
    "never": "Until it is revoked",
}
"""Of API tokens, in seconds, as the default page offers them; others may be asked for."""
DEFAULT_LIFETIME: Final = "7776000"


def with_query(url: str, **fields: str) -> str:
    """A URL with those parameters that are not empty."""
    query = urlencode({name: value for name, value in fields.items() if value})
    return f"{url}?{query}" if query else url


def _as_json(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in fields.items()
    }


@dataclass(frozen=True, slots=True)
class Device:
    """One session of the user. Its texts may be a client's: escape them, as templates do.

    Attributes:
        handle: Names the session; opens nothing.
        name: Such as “Firefox on Linux”, or what the app called it.
        ip: Where it logged in from; ``None`` for unknown.
        created_at: When it logged in, as an aware UTC ``datetime``, like the rest.
        last_accessed: When it was last seen, as exactly as ``touch_every`` says.
        expires_at: When it ends if no further request comes.
        is_current: Whether it is the one that asks.
        is_remembered: Whether it was opened with ``remember=True``.
        is_device_bound: Whether a key of its device renews it, so that a copied cookie soon dies.
        device: All that was recorded, or what the app gave as ``device=``.
    """

    handle: str
    name: str
    ip: str | None
    created_at: datetime
    last_accessed: datetime
    expires_at: datetime
    is_current: bool
    is_remembered: bool
    is_device_bound: bool
    device: Any

    def as_json(self) -> dict[str, Any]:
        """The same for programs, dates in ISO 8601."""
        return _as_json(asdict(self))


@dataclass(frozen=True, slots=True)
class UserDevice(Device):
    """One session, on a page that shows those of several users.

    Attributes:
        username: Whose it is.
    """

    username: str


@dataclass(frozen=True, slots=True)
class AllDevicesPage:
    """What a page of administrators needs. The URLs are percent-encoded.

    Attributes:
        devices: The oldest first.
        username: Whose were asked for, in the query; ``""``: everybody's.
        after: The handle behind which the page begins; ``""``: at the start.
        now: The server's time.
        url: Where the page itself is; ``?username=`` shows those of one user.
        home_url: Where the page leads back to.
        next_url: Where the page after it is; ``None``: this is the last one.
    """

    devices: tuple[UserDevice, ...]
    username: str
    after: str
    now: datetime
    url: str
    home_url: str
    next_url: str | None

    @property
    def end_user_url(self) -> str:
        """Post to it to log out the user who was asked for, everywhere; no fields."""
        return with_query(self.below("end-user"), username=self.username)

    def user_url(self, device: UserDevice) -> str:
        """The page of that user."""
        return with_query(self.url, username=device.username)

    def below(self, rest: str) -> str:
        """A URL below the page, wherever that is."""
        return f"{self.url.rstrip('/')}/{rest}"

    def end_url(self, device: Device) -> str:
        """Post to it to log out this one and come back; no fields."""
        url = self.below(f"end/{device.handle}")
        return with_query(url, username=self.username, after=self.after)


@dataclass(frozen=True, slots=True)
class APIToken:
    """One API token of the user. Its name is the user's own text: escape it, as templates do.

    Attributes:
        handle: Names the token; opens nothing.
        name: What the user calls it; need not be unique.
        scopes: What it may do.
        created_at: When it was made, as an aware UTC ``datetime``, like the rest.
        last_used: When it was last used, as exactly as ``touch_every`` says; ``None``: never.
        expires_at: When it ends by itself; ``None``: it does not.
    """

    handle: str
    name: str
    scopes: list[str]
    created_at: datetime
    last_used: datetime | None
    expires_at: datetime | None

    def as_json(self) -> dict[str, Any]:
        """The same for programs, dates in ISO 8601."""
        return _as_json(asdict(self))


@dataclass(frozen=True, slots=True)
class DevicesPage:
    """What a page needs, and where its forms post to. The URLs are percent-encoded.

    Attributes:
        username: Whose devices.
        devices: The one that asks first, then the others, the last seen first.
        now: The server's time.
        url: Where the page itself is; below it is all else.
        home_url: Where the page leads back to.
        api_tokens: The API tokens of the user, the newest first; ``None``: the page has none to
            show and none to make.
        token_scopes: What a new one may be given: the scopes of the session that asks.
        new_token: The one that this request has made; show it, for this is the only time.
        error: Why none was made, as a text without a full stop.
    """

    username: str
    devices: tuple[Device, ...]
    now: datetime
    url: str
    home_url: str
    api_tokens: tuple[APIToken, ...] | None = None
    token_scopes: tuple[str, ...] = ()
    new_token: str | None = field(default=None, repr=False)
    error: str | None = None

    @property
    def has_others(self) -> bool:
        """Whether there is another one than the one that asks."""
        return any(not device.is_current for device in self.devices)

    @property
    def end_others_url(self) -> str:
        """Post to it to log out all others; no fields."""
        return self.below("end-others")

    def below(self, rest: str) -> str:
        """A URL below the page, wherever that is."""
        return f"{self.url.rstrip('/')}/{rest}"

    def end_url(self, device: Device) -> str:
        """Post to it to log out this one; no fields."""
        return self.below(f"end/{device.handle}")

    @property
    def make_token_url(self) -> str:
        """Post to it to make an API token.

        The fields: ``name``; ``scopes``, once for each; ``expires_in``, seconds or ``"never"``,
        by default 90 days.
        """
        return self.url

    def revoke_url(self, token: APIToken) -> str:
        """Post to it to end this API token; no fields."""
        return self.below(f"revoke/{token.handle}")
