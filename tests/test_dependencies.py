"""What pyproject.toml has to say twice, because neither place can refer to the other."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

PYPROJECT: Final[dict[str, Any]] = tomllib.loads(
    Path(__file__).parents[1].joinpath("pyproject.toml").read_text(encoding="utf-8")
)
PROJECT: Final = PYPROJECT["project"]
GROUPS: Final = PYPROJECT["dependency-groups"]
EXTRAS: Final = PROJECT["optional-dependencies"]


def whole(group: str) -> set[str]:
    """A group, with those that it includes."""
    found: set[str] = set()
    for entry in GROUPS[group]:
        found |= {entry} if isinstance(entry, str) else whole(entry["include-group"])
    return found


def test_the_demo_is_the_same_as_an_extra_and_as_a_group() -> None:
    assert EXTRAS["demo"] == ["sessiongate[cli]", *GROUPS["demo"]]


def test_redis_is_asked_for_everywhere_alike() -> None:
    """5.3.0 wants a PyJWT before 2.10, which we do not."""
    asked = {need for names in (*EXTRAS, *GROUPS) for need in (EXTRAS.get(names) or whole(names))}
    assert {need for need in asked if need.startswith("redis")} == {"redis>=5.3.1"}


def test_the_tests_of_the_wheel_bring_all_that_it_asks_for() -> None:
    wanted = {need for extra in EXTRAS.values() for need in extra} - {"sessiongate[cli]"}
    assert wanted.union(PROJECT["dependencies"]) <= whole("wheel-test")
