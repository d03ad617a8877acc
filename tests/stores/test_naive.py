"""Each race of the contract suite catches a store whose verbs are not atomic."""

from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.stores.naive import NaiveStore, RaceOfTheNaive

from sessiongate.testing import StoreContract
from sessiongate.testing.contract import RACERS

RACES = [
    name
    for name, test in inspect.getmembers(StoreContract, inspect.isfunction)
    if name.startswith("test_") and "race" in inspect.signature(test).parameters
]


@pytest.mark.parametrize("colour", ["threads", "tasks"])
@pytest.mark.parametrize("name", RACES)
def test_each_race_catches_a_store_that_writes_back(name: str, colour: str) -> None:
    with ThreadPoolExecutor(RACERS) as threads, asyncio.Runner() as runner:
        naive: Any = NaiveStore()
        race = RaceOfTheNaive(naive, colour, threads, runner)
        with pytest.raises(AssertionError):
            getattr(StoreContract(), name)(race)
