"""What was verified once is remembered for a while: that it is genuine, never that it is valid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sessiongate import SessionManager
from sessiongate.tokens import TokenPayload

if TYPE_CHECKING:
    from sessiongate.tokens import Codec


class Counting:
    """A codec for which every token but ``forged`` is genuine; it counts how often it is asked."""

    time_resolution = 1
    states_end = False
    leeway = 0

    def __init__(self) -> None:
        self.asked: list[str] = []

    def verify(self, token: str) -> TokenPayload | None:
        self.asked.append(token)
        return None if token == "forged" else TokenPayload(token, 0)

    def is_foreign(self, _token: str) -> bool:
        return False


class Manager(SessionManager):
    def _make_codec(self, *_: Any, **__: Any) -> Codec:
        self.counting = Counting()
        return cast("Codec", self.counting)


def reading() -> tuple[Any, Counting]:
    manager = Manager()
    return lambda token: manager.operations.read(token, 0), manager.counting


def test_a_genuine_token_is_verified_once_and_a_forged_one_each_time() -> None:
    read, codec = reading()
    for _ in range(3):
        assert read("a") == TokenPayload("a", 0)
        assert read("forged") is None
    assert codec.asked == ["a", "forged", "forged", "forged"]


def test_what_can_be_no_token_is_not_verified() -> None:
    read, codec = reading()
    for token in (None, 7, b"a", "ä", "a" * 8193):
        assert read(token) is None
    assert codec.asked == []
    longest = "a" * 8192
    assert read(longest) == TokenPayload(longest, 0)
