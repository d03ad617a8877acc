"""The locked requirements are those of pyproject.toml: `make lock` brings them up to date."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT: Final = Path(__file__).parents[1]
PYPROJECT: Final[dict[str, Any]] = tomllib.loads(
    (ROOT / "pyproject.toml").read_text(encoding="utf-8")
)
GROUPS: Final = PYPROJECT["dependency-groups"]
EXTRAS: Final = PYPROJECT["project"]["optional-dependencies"]
LOCKS: Final = {path.stem: path for path in (ROOT / "requirements").glob("*.txt")}


def group(name: str) -> set[str]:
    """A group, with those that it includes."""
    found: set[str] = set()
    for entry in GROUPS[name]:
        found |= {entry} if isinstance(entry, str) else group(entry["include-group"])
    return found


def asked(lock: str) -> list[Requirement]:
    """What pyproject.toml asks for, and `make lock` writes into this file."""
    found = set(PYPROJECT["project"]["dependencies"])
    if lock in {"test", "test-wheel", "types", "oldest"}:
        found |= {need for extra in EXTRAS.values() for need in extra}
    if lock == "demo":
        found |= {*EXTRAS["demo"], *EXTRAS["cli"]}
    else:
        found |= group("test-wheel" if lock == "oldest" else lock)
    return [Requirement(need) for need in found if not need.startswith("sessiongate")]


def entries(lock: str) -> list[tuple[str, str, str]]:
    """Name, release and all that stands below, for each package of a file."""
    text = LOCKS[lock].read_text(encoding="utf-8")
    return re.findall(r"^([a-z0-9.-]+)(?:\[.*\])?==([^ ;]+)(.*\n(?:[ ].*\n)+)", text, re.MULTILINE)


def locked(lock: str) -> dict[str, set[Version]]:
    """The releases of each package: several, where they differ by Python or platform."""
    found: dict[str, set[Version]] = {}
    for name, release, _ in entries(lock):
        found.setdefault(name, set()).add(Version(release))
    return found


def test_there_is_a_lock_for_each_purpose() -> None:
    made_of_others = {"bench", "moving"}
    assert LOCKS.keys() == (GROUPS.keys() - made_of_others) | {"demo", "oldest"}


@pytest.mark.parametrize("lock", LOCKS)
def test_what_is_asked_for_is_locked_and_nothing_else(lock: str) -> None:
    found = locked(lock)
    for need in asked(lock):
        releases = found.get(canonicalize_name(need.name), set())
        assert releases, f"{need.name} is missing: run `make lock`"
        assert all(need.specifier.contains(release) for release in releases), need
    # For each package uv says which other one wants it, or that we do.
    ours = {name for name, _, reasons in entries(lock) if "sessiongate (pyproject" in reasons}
    assert ours == {canonicalize_name(need.name) for need in asked(lock)}


def test_all_purposes_hold_the_same_releases() -> None:
    everything = locked("types")
    for lock in LOCKS.keys() - {"oldest"}:
        for name, releases in locked(lock).items():
            assert releases <= everything.setdefault(name, releases), f"{name} in {lock}"


def test_the_oldest_releases_are_those_that_we_promise() -> None:
    promised = {*PYPROJECT["project"]["dependencies"], *(n for e in EXTRAS.values() for n in e)}
    found = locked("oldest")
    for need in map(Requirement, promised):
        if need.name == "sessiongate":
            continue  # an extra that needs another one
        floors = {Version(part.version) for part in need.specifier}
        assert found[canonicalize_name(need.name)] == floors, need


def test_each_release_has_its_hashes_and_no_index_is_named() -> None:
    for lock, path in LOCKS.items():
        text = path.read_text(encoding="utf-8")
        assert "://" not in text
        assert "--index" not in text
        assert all("--hash=sha256:" in below for _, _, below in entries(lock))
        assert len(entries(lock)) == len(re.findall(r"^\S+==", text, re.MULTILINE)) > 0
