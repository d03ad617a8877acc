"""What a “my devices” page shows, for templates and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sessiongate.core.row import device_of, to_datetime
from sessiongate.devices.labels import ip_of, name_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sessiongate.core.row import Row
    from sessiongate.http.request_session import RequestSession

__all__ = ["Device", "DevicesPage", "devices_of"]


@dataclass(frozen=True, slots=True)
class Device:
    """One session of the user. Its texts may be a client's: escape them, as templates do.

    Attributes:
        handle: Names the session; opens nothing.
        name: Such as “Firefox on Linux”, or what the app called it.
        ip: Where it logged in from; ``None`` for unknown.
        created_at: When it logged in, as an aware UTC ``datetime``, like the rest.
        last_accessed: When it was last seen, as exactly as ``touch_every`` says.
        expires_at: When it ends unless it is refreshed.
        is_current: Whether it is the one that asks.
        device: All that was recorded, or what the app gave as ``device=``.
    """

    handle: str
    name: str
    ip: str | None
    created_at: datetime
    last_accessed: datetime
    expires_at: datetime
    is_current: bool
    device: Any

    def as_json(self) -> dict[str, Any]:
        """The same for programs, dates in ISO 8601."""
        return {
            "handle": self.handle,
            "name": self.name,
            "ip": self.ip,
            "created_at": self.created_at.isoformat(),
            "last_accessed": self.last_accessed.isoformat(),
            "expires_at": self.expires_at.isoformat(),
            "is_current": self.is_current,
            "device": self.device,
        }


@dataclass(frozen=True, slots=True)
class DevicesPage:
    """What a page needs, and where its forms post to. The URLs are percent-encoded.

    Attributes:
        username: Whose devices.
        devices: The one that asks first, then the others, the last seen first.
        now: The server's time.
        url: Where the page itself is; below it is all else.
        home_url: Where the page leads back to.
    """

    username: str
    devices: tuple[Device, ...]
    now: datetime
    url: str
    home_url: str

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


def devices_of(session: RequestSession, rows: Iterable[Row]) -> tuple[Device, ...]:
    """The sessions of the user who asks, in the order of a page."""
    devices = [
        Device(
            handle=row.sid,
            name=name_of(recorded := device_of(row)),
            ip=ip_of(recorded),
            created_at=to_datetime(row.created_at),
            last_accessed=to_datetime(row.last_accessed),
            expires_at=session.settings.manager.operations.expires_at(row),
            is_current=row.sid == session.session,
            device=recorded,
        )
        for row in rows
    ]
    by_time = sorted(devices, key=lambda device: device.last_accessed, reverse=True)
    return tuple(sorted(by_time, key=lambda device: not device.is_current))
