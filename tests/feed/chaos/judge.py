"""Says whether the promise was kept, by what the processes under chaos have seen.

All times are those of ``time.monotonic``, one clock for all processes of a machine. A check counts
from its beginning, an end from its acknowledgement, so a slow or frozen process is never accused.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = ["Judge"]

Check: TypeAlias = tuple[str, int, bool, float]
"""What was accepted: a sid, a generation, whether with its scope, and when the check began."""
Silence: TypeAlias = tuple[str, float, float]
"""A sid whose watch is not set; no news was lost since the first time, and all is handed out up to
the second one."""


@dataclass
class _Session:
    opened_at: float | None = None
    over: dict[str, float] = field(default_factory=dict)
    """When it ``ended``, and when its scope was ``stripped``."""
    told_at: float | None = None
    """When its own end was acknowledged, not that of all sessions of its user: there is news of it,
    unless the store had lost the session before."""
    retired: dict[int, float] = field(default_factory=dict)
    """When the generations below one were retired."""
    accepted: dict[tuple[int, bool], tuple[float, str]] = field(default_factory=dict)
    """The last acceptance of a generation, with the scope or without it, and by whom."""
    silent: dict[str, tuple[float, float]] = field(default_factory=dict)


class Judge:
    """Hears all processes, in any order. Safe for threads.

    Args:
        near: Seconds for which what was ended may still be accepted.
    """

    def __init__(self, near: float) -> None:
        self.near = near
        self.violations: list[str] = []
        self.convicted = threading.Event()
        self.judged = 0
        """Ends, retired generations and scopes taken away."""
        self.latest = 0.0
        """Seconds after which something was accepted that was over."""
        self._lock = threading.Lock()
        self._guilty: set[tuple[str, str]] = set()
        self._sessions: defaultdict[str, _Session] = defaultdict(_Session)
        self._of_user: defaultdict[str, set[str]] = defaultdict(set)
        self._all: dict[tuple[str, str], tuple[float, float]] = {}
        """The last change of all sessions of a user: when it began and was acknowledged."""

    def hear(self, who: str, kind: str, *said: object) -> None:
        """Take what a process says."""
        with self._lock:
            getattr(self, f"_hear_{kind}")(who, *said)

    @property
    def ended(self) -> list[str]:
        """The sessions whose end was acknowledged."""
        with self._lock:
            return [sid for sid, known in self._sessions.items() if "ended" in known.over]

    def convict(self, who: str, sid: str, text: str) -> None:
        """Note the first violation of a process and a session."""
        if (who, sid) not in self._guilty:
            self._guilty.add((who, sid))
            self.violations.append(f"{who} {text}: {sid}")
        self.convicted.set()

    # What was changed, and acknowledged.

    def _hear_opened(self, _who: str, sid: str, username: str, at: float) -> None:
        self._sessions[sid].opened_at = at
        self._of_user[username].add(sid)
        for what in ("ended", "stripped"):
            began, acknowledged = self._all.get((username, what), (0.0, 0.0))
            if at < began:
                self._is_over(sid, what, acknowledged)

    def _hear_over(self, _who: str, sid: str, what: str, at: float) -> None:
        session = self._sessions[sid]
        if what == "ended":
            session.told_at = min(at, session.told_at or at)
        self._is_over(sid, what, at)

    def _is_over(self, sid: str, what: str, at: float) -> None:
        over = self._sessions[sid].over
        self.judged += what not in over
        over[what] = min(at, over.get(what, at))
        self._compare(sid)

    def _hear_retired(self, _who: str, sid: str, below: int, at: float) -> None:
        self._sessions[sid].retired[below] = at
        self.judged += 1
        self._compare(sid)

    def _hear_all(self, _who: str, username: str, what: str, began: float, at: float) -> None:
        """A change of all sessions of a user, those that were opened before it began."""
        self._all[username, what] = began, at
        for sid in self._of_user[username].copy():
            opened_at = self._sessions[sid].opened_at
            if opened_at is not None and opened_at < began:
                self._is_over(sid, what, at)
                if what == "ended":
                    self._of_user[username].remove(sid)

    # What was accepted, and who was told.

    def _hear_seen(self, who: str, checks: list[Check]) -> None:
        for sid, generation, has_scope, began in checks:
            accepted = self._sessions[sid].accepted
            if began > accepted.get((generation, has_scope), (0.0, ""))[0]:
                accepted[generation, has_scope] = began, who
                self._compare(sid)

    def _hear_silent(self, who: str, watches: list[Silence]) -> None:
        for sid, since, proven in watches:
            self._sessions[sid].silent[who] = since, proven
            self._compare(sid)

    def _hear_untold(self, who: str, sids: list[str]) -> None:
        for sid in sids:
            self.convict(who, sid, "was not told of an end, long after all was well again")

    def _compare(self, sid: str) -> None:
        session = self._sessions[sid]
        ended_at = session.over.get("ended")
        for (generation, has_scope), (began, who) in session.accepted.items():
            over = [("an ended session", ended_at)]
            over += [("a retired token", at) for g, at in session.retired.items() if generation < g]
            if has_scope:
                over.append(("a scope that was taken away", session.over.get("stripped")))
            for what, at in over:
                late = 0.0 if at is None else began - at
                self.latest = max(self.latest, late)
                if late > self.near:
                    self.convict(who, sid, f"accepted {what} {late:.3f} s after its end")
        told_at = session.told_at
        for who, (since, proven) in session.silent.items():
            if told_at is not None and since < told_at < proven:
                late = proven - told_at
                self.convict(who, sid, f"was not told of an end, {late:.3f} s after it")
