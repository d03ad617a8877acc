"""What every store promises, as tests that a store's author subclasses.

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self):
            store = MyStore(...)  # empty
            yield store
            store.close()

That is the whole interface; two more fixtures, ``damage`` and ``footprint``,
let the suite look into the storage. Every test gets a fresh, empty store; the suite
says what time it is in each command and never sleeps. Tests that await close
the store on their event loop (``aclose``) before the fixture closes it again,
so closing twice must be harmless.
"""

# The asserts are rewritten before the parts are imported: then a failure says what it compared.
# ruff: noqa: E402

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.register_assert_rewrite(
    *(
        f"{__name__}._{part}"
        for part in (
            *("admission", "content", "interleavings", "programs", "races", "removal", "rotation"),
            *("storage", "verbs"),
        )
    )
)

from sessiongate.testing.contract._admission import Admission
from sessiongate.testing.contract._calls import (
    RACERS,
    Call,
    Race,
    Verb,
    calling,
    racing,
    verbs,
)
from sessiongate.testing.contract._content import Content
from sessiongate.testing.contract._interleavings import Interleavings
from sessiongate.testing.contract._programs import Programs
from sessiongate.testing.contract._races import Races
from sessiongate.testing.contract._removal import Removal
from sessiongate.testing.contract._rotation import Rotation
from sessiongate.testing.contract._storage import Storage
from sessiongate.testing.contract._verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sessiongate.stores.base import Store

__all__ = ["RACERS", "Call", "Race", "StoreContract"]


class StoreContract(
    Verbs, Rotation, Admission, Removal, Content, Programs, Interleavings, Races, Storage
):
    """The contract suite: give it a fixture ``store`` and pytest does the rest.

    Class attributes that a subclass may change: ``PROGRAMS``, how many random
    programs are compared with ``MemoryStore``; ``PAIRS`` and ``TRIPLES``, how many
    commands are tried against each other in every order of their trips;
    ``ROUNDS``, how often each race between a logout and something else is run.
    """

    @pytest.fixture
    def store(self) -> Store:
        """An empty store of the kind under test."""
        msg = f"{type(self).__name__} must have a fixture `store` that gives an empty store"
        raise NotImplementedError(msg)

    @pytest.fixture
    def damage(self) -> Callable[[str], object] | None:
        """Optional: a function that makes the stored row of a sid unreadable."""
        return None

    @pytest.fixture
    def footprint(self) -> Callable[[], int] | None:
        """Optional: a function that counts all that is stored: rows, keys, entries of indexes."""
        return None

    @pytest.fixture(params=["sync", "async"])
    def verb(self, store: Store, request: pytest.FixtureRequest) -> Iterator[Verb]:
        """Calls one verb, by calling and by awaiting."""
        with verbs(store, request.param) as verb:
            yield verb

    @pytest.fixture(params=["sync", "async"])
    def call(self, store: Store, request: pytest.FixtureRequest) -> Iterator[Call]:
        """Carries out one command, by calling and by awaiting."""
        with calling(store, request.param) as call:
            yield call

    @pytest.fixture(params=["threads", "tasks", "both"])
    def race(self, store: Store, request: pytest.FixtureRequest) -> Iterator[Race]:
        """Carries out many commands at once, in threads, in tasks, and in both."""
        with racing(store, request.param) as race:
            yield race
