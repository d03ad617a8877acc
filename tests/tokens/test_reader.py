"""What was verified once is remembered for a while: that it is genuine, never that it is valid."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

from sessiongate.tokens import Ticket
from sessiongate.tokens.reader import Reader

if TYPE_CHECKING:
    from sessiongate.tokens import Codec

BATCH = 2048


class Counting:
    """A codec for which every token but ``forged`` is genuine; it counts how often it is asked."""

    leeway = 0

    def __init__(self) -> None:
        self.asked: list[str] = []

    def verify(self, token: str) -> Ticket | None:
        self.asked.append(token)
        return None if token == "forged" else Ticket(token, 0, issued_at=10)


def reading() -> tuple[Any, Counting]:
    codec = Counting()
    return Reader(cast("Codec", codec)).read, codec


def test_a_genuine_token_is_verified_once_and_a_forged_one_each_time() -> None:
    read, codec = reading()
    for _ in range(3):
        assert read("a", 10) == Ticket("a", 0, issued_at=10)
        assert read("forged", 10) is None
    assert codec.asked == ["a", "forged", "forged", "forged"]


def test_the_clock_is_asked_each_time() -> None:
    read, _ = reading()
    assert read("a", 10) is not None
    assert read("a", 9) is None, "from the future"
    assert read("a", 11) is not None


def test_what_is_in_use_stays_and_the_rest_is_forgotten() -> None:
    read, codec = reading()
    for number in range(5 * BATCH):
        read("in use", 10)
        read(f"{number}", 10)
    assert codec.asked.count("in use") == 1
    codec.asked.clear()
    read(f"{5 * BATCH - 1}", 10)
    assert codec.asked == []
    read("0", 10)
    assert codec.asked == ["0"]


def test_no_more_is_kept_than_two_batches() -> None:
    read, _ = reading()
    for number in range(5 * BATCH):
        read(f"{number}", 10)
    reader = read.__self__
    assert len(reader._known) + len(reader._older) <= 2 * BATCH


def test_threads_do_not_disturb_each_other() -> None:
    read, _ = reading()

    def read_many(thread: int) -> bool:
        tokens = [f"{thread}.{number}" for number in range(2 * BATCH)]
        return all(read(token, 10).sid == token for token in tokens)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(read_many, range(8)))
