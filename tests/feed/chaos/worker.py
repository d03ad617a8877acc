"""A process under chaos: logs in and out at random, checks what it knows, and says what it saw.

It talks with the conductor by lines of JSON on a Unix socket. A child that it forks does the same
over a connection of its own, with the manager that it was born with.
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from tests.feed.chaos.controls import CONTROLS
from tests.http.harness import KEY

from sessiongate import SessionManager, StoreError
from sessiongate.stores import open_store
from sessiongate.wsgi import SessionAuthMiddleware

if TYPE_CHECKING:
    from sessiongate.events import Event
    from sessiongate.feed.watch import Watch

__all__ = ["SCOPE", "Worker"]

SCOPE: Final = "admin"
_USERS: Final = [f"user{number}" for number in range(20)]
_MOST: Final = 150
"""Tokens that a process goes on checking."""
_PAUSE: Final = 0.02
"""Seconds between two reports, and at the most between two changes."""
_FEW: Final = 10
"""Checks in a row."""
_REPLAYS: Final = 0.1
"""How often a token that was rotated is kept, and so replayed."""
_LAST_NEWS: Final = 30
"""Seconds in which all watches must be told, once all is well again."""


@dataclass
class Known:
    """A token, and since when it is refused."""

    sid: str
    generation: int
    username: str
    refused_since: float | None = None


class Worker:
    """One process. ``run`` returns when the conductor says so, or has gone."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._near: float = options["near"]
        self._offset = 0.0
        self._manager = SessionManager(
            store=open_store(options["url"], timeout=1),
            secret_key=KEY,
            max_concurrent_sessions=None,
            existing="new",
            near_cache=self._near,
            rotate_after=1,
            rotation_grace=0.5,
            clock=lambda: time.time() + self._offset,
            on_event=self._on_event,
        )
        if options["control"]:
            self._manager.hub.__class__ = CONTROLS[options["control"]]
            self._manager.operations.find_near = self._manager.hub.find
        self._manager.operations.on_nearby = self._on_nearby
        self._starve(self._manager.hub, "follow", before=True)
        self._starve(self._manager.store, "read", before=False)
        self._app = SessionAuthMiddleware(self._view, self._manager)
        self._session: Any = None
        self._begin(options["name"], options["seed"])

    def _starve(self, owner: Any, verb: str, *, before: bool) -> None:
        """Let threads sleep before or after a call, while the conductor wants it."""
        call = getattr(owner, verb)

        def starved(argument: Any) -> Any:
            if before:
                time.sleep(self._starved.get(verb, 0))
            found = call(argument)
            if not before:
                time.sleep(self._starved.get(verb, 0))
            return found

        setattr(owner, verb, starved)

    def _begin(self, name: str, seed: int) -> None:
        """Begin as a process of its own."""
        self._random = random.Random(seed)
        self._name = name
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._forks = False
        self._starved: dict[str, float] = {}
        """Seconds that a thread sleeps: it gets no turn of the processor."""
        self._last: list[str] | None = None
        self._known: dict[str, Known] = {}
        self._seen: dict[tuple[str, int, bool], float] = {}
        self._watches: dict[str, tuple[Watch, float]] = {}
        self._opened: tuple[int, float] | None = None
        """The epoch of the hub, and when it was first seen open."""
        self._hits = self._checks = self._failures = self._told = 0
        self._wire = socket.socket(socket.AF_UNIX)
        self._wire.connect(self._options["address"])
        self._say("hello", os.getpid(), name)

    # What is said and heard.

    def _say(self, *words: Any) -> None:
        with self._lock:
            self._wire.sendall(json.dumps(words).encode() + b"\n")

    def _listen(self) -> None:
        try:
            for line in self._wire.makefile():
                kind, *said = json.loads(line)
                getattr(self, f"_hear_{kind}")(*said)
        finally:
            self._over.set()

    def _hear_token(self, token: str, sid: str, generation: int, username: str) -> None:
        self._learn(token, Known(sid, generation, username))

    def _hear_fork(self) -> None:
        self._forks = True

    def _hear_clock(self, seconds: float) -> None:
        self._offset += seconds

    def _hear_starve(self, verb: str, seconds: float) -> None:
        self._starved[verb] = seconds

    def _hear_finish(self, ended: list[str]) -> None:
        self._last = ended
        self._over.set()

    def _on_event(self, event: Event) -> None:
        if event.kind in {"logout", "replayed"}:
            self._say("over", event.session, "ended", monotonic())

    def _on_nearby(self, found: bool) -> None:  # noqa: FBT001 - as the manager calls it
        self._hits += found

    # The life of the process.

    def run(self) -> None:
        threads = [
            threading.Thread(target=target, daemon=True)
            for target in (self._listen, self._repeat_reports, *[self._repeat_checks] * 2)
        ]
        for thread in threads:
            thread.start()
        while not self._over.wait(self._random.uniform(0, _PAUSE)):
            if self._forks:
                self._forks = False
                if os.fork() == 0:
                    self._begin(f"{self._name}'", self._random.randrange(2**32))
                    self.run()
                    os._exit(0)
            self._attempt(self._change)
        for thread in threads[1:]:
            thread.join()
        if self._last is not None:
            self._say_goodbye(self._last)
        os._exit(0)  # whatever the store is still waiting for

    def _say_goodbye(self, ended: list[str]) -> None:
        """Say which watches were never told, though their sessions have ended."""
        give_up = monotonic() + _LAST_NEWS
        waiting = set(ended) & set(self._watches)
        while waiting and monotonic() < give_up:
            time.sleep(_PAUSE)
            waiting = {sid for sid in waiting if not self._watches[sid][0].is_set()}
        self._say("untold", sorted(waiting))
        counts = {"checks": self._checks, "hits": self._hits, "told": self._told}
        self._say("bye", {**counts, "failures": self._failures})

    def _attempt(self, step: Any, *arguments: Any) -> Any:
        try:
            return step(*arguments)
        except StoreError:
            self._failures += 1  # whether it was changed, nobody knows

    # Changes.

    def _change(self) -> None:
        draw, manager = self._random.random(), self._manager
        tokens = [token for token, known in self._known.copy().items() if not known.refused_since]
        if draw < 0.35 or len(tokens) < 10:
            self._log_in()
            return
        token = self._random.choice(tokens)
        known = self._known.get(token)
        if known is None:
            return
        if draw < 0.55:
            if manager.invalidate_session(token)[0]:
                self._say("over", known.sid, "ended", monotonic())
        elif draw < 0.6:
            self._change_all("ended", manager.invalidate_user_sessions)
        elif draw < 0.75:
            renewed = manager.refresh_session(token)
            if renewed is not None:
                at = monotonic()
                generation = self._share(renewed, known.username)
                self._say("retired", known.sid, generation, at)
        elif draw < 0.85:
            renewed = manager.update_session(token, scopes=())
            if renewed is not None:
                self._say("over", known.sid, "stripped", monotonic())
                self._share(renewed, known.username)
        elif draw < 0.87:
            self._change_all("stripped", manager.update_user_sessions, scopes=())
        else:
            self._request(token, known)

    def _log_in(self) -> None:
        username = self._random.choice(_USERS)
        scopes = self._random.choice([(), (SCOPE,)])
        token = self._manager.create_session(username, scopes=scopes)
        at = monotonic()
        if token is not None:
            payload = self._manager.operations.read(token, 0)
            self._say("opened", payload.sid if payload else "", username, at)
            self._share(token, username)

    def _change_all(self, what: str, verb: Any, **options: Any) -> None:
        username, began = self._random.choice(_USERS), monotonic()
        verb(username, **options)
        self._say("all", username, what, began, monotonic())

    def _share(self, token: str, username: str) -> int:
        """Tell all of a token; return its generation."""
        payload = self._manager.operations.read(token, 0)
        assert payload is not None
        self._learn(token, Known(payload.sid, payload.generation, username))
        self._say("token", token, payload.sid, payload.generation, username)
        return payload.generation

    def _learn(self, token: str, known: Known) -> None:
        if known.generation and self._random.random() > _REPLAYS:
            for older, other in self._known.copy().items():
                if other.sid == known.sid and other.generation < known.generation - 1:
                    self._known.pop(older, None)
        self._known.setdefault(token, known)
        while len(self._known) > _MOST:
            self._known.pop(next(iter(self._known)), None)

    # Checks.

    def _repeat_checks(self) -> None:
        order = random.Random(self._random.random())
        while not self._over.wait(_PAUSE / 10):
            items = list(self._known.copy().items())
            for token, known in order.sample(items, min(_FEW, len(items))):
                self._attempt(self._check, token, known)

    def _check(self, token: str, known: Known) -> None:
        began = monotonic()
        found = self._manager.validate_session(token)
        if found is not None:
            self._accepted(known, found, began)
            if known.sid not in self._watches and len(self._watches) < _MOST:
                self._watch(token, known)
        else:
            known.refused_since = known.refused_since or began
            if began - known.refused_since > 2 + 2 * self._near:
                self._known.pop(token, None)

    def _accepted(self, known: Known, found: Any, began: float) -> None:
        self._checks += 1
        known.refused_since = None
        key = known.sid, known.generation, SCOPE in found.get("scopes", ())
        with self._lock:
            self._seen[key] = max(began, self._seen.get(key, 0.0))

    def _view(self, environ: Any, start_response: Any) -> list[bytes]:
        session = environ["sessiongate"]
        environ["chaos"]["info"] = session.user.info
        environ["chaos"]["session"] = session
        start_response("200 OK", [])
        return []

    def _request(self, token: str, known: Known) -> Any:
        """Check it as a request does, which rotates it where that is due."""
        headers: dict[str, str] = {}
        chaos: dict[str, Any] = {"info": None, "session": None}
        environ = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/",
            "HTTP_AUTHORIZATION": f"Bearer {token}",
            "wsgi.url_scheme": "https",
            "chaos": chaos,
        }
        began = monotonic()
        start: Any = lambda _, fields: headers.update(fields)  # noqa: E731
        body: Any = self._app(environ, start)
        getattr(body, "close", int)()
        if chaos["info"] is not None:
            self._accepted(known, chaos["info"], began)
        renewed = headers.get("X-Refreshed-Token")
        if renewed:
            self._share(renewed, known.username)
        return chaos["session"]

    # Watches.

    def _watch(self, token: str, known: Known) -> None:
        session = self._request(token, known)
        if session is not None and session.user.is_authenticated:
            self._watches[known.sid] = session.ended, monotonic()

    def _repeat_reports(self) -> None:
        while not self._over.wait(_PAUSE):
            self._report()
        self._report()

    def _report(self) -> None:
        hub = self._manager.hub
        epoch, proven = hub._epoch, hub._proven_at
        if hub._epoch != epoch:
            proven = 0  # perhaps of another epoch
        if self._opened is None or self._opened[0] != epoch:
            self._opened = epoch, monotonic()
        since = self._opened[1]
        silent = []
        for sid, (watch, began) in self._watches.copy().items():
            if not watch.is_set():
                silent.append((sid, max(since, began), proven))
            elif monotonic() - began > 1:
                self._told += 1
                del self._watches[sid]
        with self._lock:
            seen, self._seen = self._seen, {}
        if seen:
            self._say("seen", [(*key, began) for key, began in seen.items()])
        if silent and epoch % 2:
            self._say("silent", silent)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    Worker(json.loads(sys.argv[1])).run()
