"""An answer to a request that is not let through, and the one that the middleware gives."""

from __future__ import annotations

from typing import Final, NamedTuple, final


@final
class Refusal(NamedTuple):
    """Why a request is not let through: a response, or the exception of a framework."""

    status: int
    text: str
    headers: tuple[tuple[str, str], ...]


def refuse(status: int, text: str, *headers: tuple[str, str]) -> Refusal:
    """A refusal that no cache keeps."""
    return Refusal(status, text, (*headers, ("Cache-Control", "no-store")))


UNAVAILABLE: Final = refuse(
    503,
    "Sessions are unavailable for the moment.\n",
    ("Retry-After", "5"),  # long enough for a failover, short enough for a person
)
