"""What was seen lately is kept, within bounds, whoever else looks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from sessiongate.core.recent import BATCH, Recent, remembering


def test_what_is_in_use_stays_and_the_rest_is_forgotten() -> None:
    recent: Recent[str, int] = Recent()
    recent.keep("in use", -1)
    for number in range(5 * BATCH):
        recent.keep(f"{number}", number)
        assert recent["in use"] == -1
    assert recent[f"{5 * BATCH - 1}"] == 5 * BATCH - 1
    assert recent["0"] is None


def test_no_more_is_kept_than_two_batches() -> None:
    recent: Recent[int, int] = Recent()
    for number in range(5 * BATCH):
        recent.keep(number, number)
        assert recent.size <= 2 * BATCH


def test_threads_do_not_disturb_each_other() -> None:
    recent: Recent[str, str] = Recent()

    def keep_many(thread: int) -> bool:
        for key in (f"{thread}.{number}" for number in range(2 * BATCH)):
            recent.keep(key, key)
            if recent[key] not in {key, None}:
                return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(keep_many, range(8)))


def test_what_was_not_found_is_looked_for_again() -> None:
    asked: list[str] = []

    @remembering
    def find(key: str) -> str | None:
        asked.append(key)
        return None if key == "nothing" else key.upper()

    for _ in range(3):
        assert find("something") == "SOMETHING"
        assert find("nothing") is None
    assert asked == ["something", "nothing", "nothing", "nothing"]
