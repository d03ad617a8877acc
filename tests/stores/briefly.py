"""The contract suite in one colour; the slow tests try the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sessiongate.testing.contract._calls import calling, racing, verbs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sessiongate.stores import Store
    from sessiongate.testing.contract._calls import Call, Race, Verb

__all__ = ["Briefly"]


def _slow(colour: str) -> object:
    return pytest.param(colour, marks=pytest.mark.slow)


class Briefly:
    """For engines that take their time; a base before ``StoreContract``."""

    @pytest.fixture(params=["sync", _slow("async")])
    def verb(self, store: Store, request: pytest.FixtureRequest) -> Iterator[Verb]:
        with verbs(store, request.param) as verb:
            yield verb

    @pytest.fixture(params=["sync", _slow("async")])
    def call(self, store: Store, request: pytest.FixtureRequest) -> Iterator[Call]:
        with calling(store, request.param) as call:
            yield call

    @pytest.fixture(params=[_slow("threads"), _slow("tasks"), "both"])
    def race(self, store: Store, request: pytest.FixtureRequest) -> Iterator[Race]:
        with racing(store, request.param) as race:
            yield race
