"""What is promised of the costs: each a ratio within one run, or a number of one machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from measure import Case

__all__ = ["REQUESTS", "Kept", "Measured", "Promise", "judge"]

_SLACK: Final = 5.0
"""Microseconds for what is done besides verifying a JWT that is first seen."""


class Measured:
    """The times of a run, by the name of the row; over the bare app of its group."""

    def __init__(self, groups: Iterable[list[Case]]) -> None:
        self._over: dict[str, tuple[float, float]] = {}
        for group in groups:
            bare = (group[0].minimum, group[0].median) if group[0].kind == "bare" else (0.0, 0.0)
            # A floor without an app is a call, and nothing is to be taken off it.
            for case in group:
                alone = case.kind == "floor" and not case.name.startswith("floor")
                best, usual = (0.0, 0.0) if alone else bare
                self._over[case.name] = case.minimum - best, case.median - usual

    def __contains__(self, name: str) -> bool:
        return name in self._over

    def over(self, name: str, *, usually: bool = False) -> float:
        """Microseconds that a row takes longer than its bare app, at its best.

        ``usually``: by the median, for what waits for another process. How soon
        that is awake is luck, and the luckiest of many rounds tells little of
        the work.
        """
        return self._over[name][usually]


Ratio = Callable[[Measured], float]


@dataclass(frozen=True)
class Promise:
    """One line of the table of promises."""

    text: str
    rows: tuple[str, ...]
    """What must have been measured to tell."""
    limit: float
    ratio: Ratio


@dataclass(frozen=True)
class Kept:
    """A promise and how it came out."""

    text: str
    limit: float
    ratio: float

    @property
    def met(self) -> bool:
        """Whether it was kept in this run."""
        return self.ratio <= self.limit


def judge(promises: Iterable[Promise], measured: Measured) -> list[Kept]:
    """Those promises whose rows were measured, and how they came out."""
    return [
        Kept(promise.text, promise.limit, promise.ratio(measured))
        for promise in promises
        if all(row in measured for row in promise.rows)
    ]


def _against(ours: str, other: str, limit: float, text: str, *, usually: bool = False) -> Promise:
    def ratio(measured: Measured) -> float:
        return measured.over(ours, usually=usually) / measured.over(other, usually=usually)

    return Promise(f"{text} (medians)" if usually else text, (ours, other), limit, ratio)


def _changes(name: str, floor: str) -> list[Promise]:
    """What a check and a change cost on a network store: two trips, and a script."""
    both, login = f"{name}: login and logout", f"{name}: login"

    def logout(measured: Measured) -> float:
        alone = measured.over(both, usually=True) - measured.over(login, usually=True)
        return alone / measured.over(floor, usually=True)

    return [
        *(
            _against(f"{name}: {verb}", floor, 3.2, f"{name} {verb}, against {floor}", usually=True)
            for verb in ("touch", "refresh")
        ),
        Promise(f"{name} logout, against {floor} (medians)", (both, login, floor), 3.2, logout),
    ]


_FLOOR: Final = "floor: scan, HMAC, dict, clock by hand"
_COOKIE: Final = "sessiongate: cookie"
_SKIPPED: Final = "sessiongate: a skipped path"
_COLD: Final = "sessiongate: JWT, first seen"
_DECODE: Final = "PyJWT's decode alone"
_NO_DEPENDENCY: Final = "sessiongate: FastAPI, no dependency"
_PLAIN_DEPENDENCY: Final = 'sessiongate: FastAPI, Depends(returns scope["user"])'
_CURRENT_USER: Final = "sessiongate: FastAPI, Depends(current_user)"

_ISSUE: Final = tuple(
    _against(
        f"sessiongate: issue, {name}",
        f"PyJWT's encode alone, {name}",
        1.3,
        f"a service token by {name}, against PyJWT's own encode",
    )
    for name in ("ES256", "EdDSA", "RS256")
)

REQUESTS: Final = (
    _against("sessiongate: anonymous", _FLOOR, 1.0, "anonymous, against the floor"),
    _against(_COOKIE, _FLOOR, 1.5, "cookie in memory, against the floor"),
    Promise(
        "a skipped path, microseconds over the bare app",
        (_SKIPPED,),
        0.3,
        lambda measured: measured.over(_SKIPPED),
    ),
    _against(
        "sessiongate: API token",
        "sessiongate: bearer",
        1.05,
        "an API token, against a session by bearer",
    ),
    _against(
        _COOKIE,
        "Starlette SessionMiddleware",
        0.5,
        "cookie in memory, against Starlette's SessionMiddleware",
    ),
    _against(
        "sessiongate: JWT, seen before",
        "AuthenticationMiddleware + PyJWT",
        0.25,
        "JWT seen before, against AuthenticationMiddleware + PyJWT",
    ),
    Promise(
        "JWT first seen (less 5 µs), against PyJWT's own decode",
        (_COLD, _DECODE),
        1.25,
        lambda measured: (measured.over(_COLD) - _SLACK) / measured.over(_DECODE),
    ),
    _against(
        "sessiongate: Flask, login_required",
        "Flask-Login: login_required",
        1 / 6,
        "Flask login_required, against Flask-Login's",
    ),
    _against(
        "sessiongate: Django, request.user, SQLite",
        "Django: request.user, SQLite",
        0.5,
        "Django's request.user, against its own sessions in SQLite",
    ),
    Promise(
        "FastAPI current_user, against a dependency that returns the user",
        (_NO_DEPENDENCY, _PLAIN_DEPENDENCY, _CURRENT_USER),
        2.0,
        lambda measured: (
            (measured.over(_CURRENT_USER) - measured.over(_NO_DEPENDENCY))
            / (measured.over(_PLAIN_DEPENDENCY) - measured.over(_NO_DEPENDENCY))
        ),
    ),
    _against(
        "sessiongate: cookie, Redis",
        "one bare GET, awaited",
        1.3,
        "cookie in Redis (ASGI), against one bare GET",
        usually=True,
    ),
    _against(
        "sessiongate: cookie, Redis",
        "starsessions: Redis",
        0.5,
        "cookie in Redis (ASGI), against starsessions",
        usually=True,
    ),
    _against(
        "Redis: check",
        "Redis: one bare GET",
        1.15,
        "Redis check, against one bare GET",
        usually=True,
    ),
    *_changes("Redis", "Redis: one bare GET"),
    _against(
        "PostgreSQL: check",
        "PostgreSQL: pooled read by primary key",
        1.2,
        "PostgreSQL check, against a pooled read by primary key",
        usually=True,
    ),
    _against(
        "MariaDB: check",
        "MariaDB: SQLAlchemy's read by primary key",
        1.5,
        "MariaDB check, against SQLAlchemy's read by primary key",
        usually=True,
    ),
    *(
        _against(
            f"{name}: check",
            f"{name}: one bare GET",
            1.25,
            f"{name}: a check, against one bare GET of the cluster client",
            usually=True,
        )
        for name in ("Redis Cluster", "Redis Cluster, awaited")
    ),
    *(
        _against(
            f"SQLAlchemy on {name}: check",
            f"SQLAlchemy on {name}: read by primary key",
            1.5,
            f"a check by SQLAlchemy on {name}, against its read by primary key",
            usually=name == "PostgreSQL",
        )
        for name in ("PostgreSQL", "SQLite")
    ),
    _against(
        "SQLite: check",
        "SQLite: read by primary key",
        1.5,
        "SQLite check, against a read by primary key",
    ),
    *(
        _against(
            f"{name}: near hit",
            "memory: check that writes nothing",
            1.1,
            f"a check of {name} that the near cache answers, against one in memory",
        )
        for name in ("SQLite", "Redis", "PostgreSQL")
    ),
    *_ISSUE,
    _against(
        "sessiongate: a bound session",
        "sessiongate: a session that is not bound",
        1.1,
        "a bound session, against one that is not",
    ),
    _against(
        "sessiongate: a proof",
        "PyJWT's decode of a proof, and a request that rotates",
        1.5,
        "a proof of a bound session, against its signature check and a rotation",
    ),
)
