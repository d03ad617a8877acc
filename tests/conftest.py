"""Over the whole suite: what is logged, by whomever, holds no secret; no connection stays open."""

from __future__ import annotations

import gc
import os
import sqlite3
from functools import partial
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from tests.hygiene import every_record, leaks
from tests.stores.templates import TEMPLATES

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

# How long an example takes is the machine's matter.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are cores: a third of the time, tests wait for others."""
    return (os.cpu_count() or 1) + 1


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder that all processes of this run share: a worker finds it named already."""
    if TEMPLATES not in os.environ:
        folder = TemporaryDirectory(prefix="sessiongate-")
        config.add_cleanup(folder.cleanup)
        environment = pytest.MonkeyPatch()
        environment.setenv(TEMPLATES, folder.name)
        config.add_cleanup(environment.undo)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests are made to stay: none of them is garbage, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[str]]:
    """What is logged meanwhile; in the end there is no secret in it."""
    with every_record() as lines:
        yield lines
    assert leaks(lines) == []


@pytest.fixture(autouse=True)
def _no_file_stays_open(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever connects to SQLite closes the connection.

    Python complains from 3.13 on alone, and at a collection: in whichever test that falls into.
    """
    connections: set[sqlite3.Connection] = set()

    class Watched(sqlite3.Connection):
        def __init__(self, *args: Any, **keywords: Any) -> None:
            super().__init__(*args, **keywords)
            connections.add(self)

        def close(self) -> None:
            super().close()
            connections.discard(self)

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Watched))
    yield
    assert not connections, "opened by this test and not closed"
