"""The plan past one machine: its tables follow from the figures that the page states."""

from __future__ import annotations

import re
from math import ceil
from typing import Final

from tests.examples.documents import ROOT

PAGE: Final = (ROOT / "docs/at-scale.md").read_text(encoding="utf-8")
MEASURED: Final = (ROOT / "docs/measured/capacity.md").read_text(encoding="utf-8")
ENGINES: Final = ("Redis", "Redis Cluster", "PostgreSQL")

Table = list[dict[str, str]]


def table(text: str, head: str) -> Table:
    """The rows of the first table after ``head``, or that begins with it."""
    found = re.search(r"(?:^\|.*\n)+", text[text.index(head) :], re.MULTILINE)
    assert found, f"no table at {head}"
    names, _, *rows = [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in found[0].splitlines()
    ]
    return [dict(zip(names, row, strict=True)) for row in rows]


def number(text: str) -> float:
    """The number at the beginning of a cell."""
    found = re.match(r"[\d,.]+", text)
    assert found, text
    return float(found[0].replace(",", ""))


FIGURES: Final = {row["Engine"]: row for row in table(PAGE, "| Engine | check")}
ASSUMED: Final = [number(row["Value"]) for row in table(PAGE, "| Assumption |")]


def load(sessions: float) -> tuple[float, float, float]:
    """Checks, changes and logins a second."""
    share, pause, touched, rotated, days, peak, _ = ASSUMED
    active = sessions * share / 100
    return (
        active / pause,
        active / touched + active / rotated,
        sessions * peak / (days * 86_400),
    )


def busy(engine: str, sessions: float) -> float:
    """Cores that the load keeps busy."""
    checks, changes, logins = load(sessions)
    check, rotation, login = (
        number(FIGURES[engine][name]) for name in ("check, µs", "rotation, µs", "login, µs")
    )
    return (checks * check + changes * rotation + 2 * logins * login) / 1_000_000


def test_the_figures_are_the_measured_ones() -> None:
    sizes = {
        row["engine"]: row["in all nodes"] for row in table(MEASURED, "**Bytes of a session**")
    }
    assert tuple(FIGURES) == ENGINES
    for engine, stated in FIGURES.items():
        rows = {row["case"]: row for row in table(MEASURED, f"**{engine}**")}
        (times,) = [name for name in rows["check"] if name.startswith("times")]
        cpu, rate = "server CPU, µs", "a second, from one client"
        assert list(stated.values())[1:] == [
            rows["check"][cpu],
            rows["check"][times],
            rows["rotation"][cpu],
            rows["login"][cpu],
            rows["rotation"][rate],
            rows["login"][rate],
            sizes[engine],
        ]


def test_the_load_follows_from_the_assumptions() -> None:
    for row in table(PAGE, "| Sessions | checks"):
        sessions, *stated = row.values()
        assert stated == [
            f"{each:,.1f}" if each < 10 else f"{each:,.0f}" for each in load(number(sessions))
        ]


def test_the_nodes_follow_from_the_load_and_the_figures() -> None:
    rows = table(PAGE, "| Sessions | Engine")
    expected = []
    for sessions in (10**5, 10**7, 10**9):
        for engine in ENGINES:
            cores = busy(engine, sessions)
            needed = ceil(cores / (ASSUMED[-1] / 100))
            nodes = {
                "Redis": "1 primary" if needed == 1 else "too few: one has one core",
                "Redis Cluster": primaries(max(3, needed)),
                "PostgreSQL": machines(needed),
            }
            size = sessions * number(FIGURES[engine]["bytes a session"]) / 1e9
            expected.append(
                [
                    f"{sessions:,}",
                    engine,
                    f"{cores:.2f}" if cores < 10 else f"{cores:,.0f}",
                    f"{needed:,}",
                    nodes[engine],
                    f"{size:.2f} GB" if size < 10 else f"{size:.0f} GB",
                ]
            )
    assert [list(row.values()) for row in rows] == expected


def primaries(count: int) -> str:
    """How the primaries of a cluster are named; 30 make one cluster."""
    clusters = ceil(count / 30)
    if clusters == 1:
        return f"{count} primaries"
    return f"{clusters} clusters of {ceil(count / clusters)} primaries"


def machines(cores: int) -> str:
    """How the primaries of PostgreSQL are named; 64 cores make one."""
    count = ceil(cores / 64)
    return "1 primary" if count == 1 else f"{count} primaries of {ceil(cores / count)} cores"
