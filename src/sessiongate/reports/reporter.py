"""What one manager reports: its log lines, its events, and to whom."""

from __future__ import annotations

import inspect
import logging
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from sessiongate.core.row import to_datetime
from sessiongate.core.steps import no_listener
from sessiongate.events import Event
from sessiongate.reports.outages import Outages, Throttle
from sessiongate.reports.scrubbing import scrubbed
from sessiongate.tokens import LONGEST_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from sessiongate.core.rotation import Policy
    from sessiongate.events import EventKind, Listener
    from sessiongate.reports.observer import Observer

_ASYNC_LISTENER: Final = "on_event is an async function: use the a… verbs, or pass a plain function"
_ALARMING: Final = ("replayed", "unproved")
_LISTENER_FAILED: Final = "on_event failed at a %s event, which stands as it is"
_STORE_FAILED: Final = "the session store failed: %s (failures since the last such line: %d)"
_ANSWERS_AGAIN: Final = "the session store answers again (failures since the last such line: %d)"
_FOREIGN_KEY: Final = (
    "a token came that has the form of ours and is signed with another key. Either another "
    "process, or this one before a restart, made itself a random key: pass the same secret_key=… "
    "to all. Or the key was changed: pass a list, the new key first: secret_key=[new, old]"
)


class Reporter:
    """Logs the events of one manager and calls its listener. Thread-safe; ``now`` its clock."""

    _line: ClassVar = "session %s: user %r, session %s, by %s (%s)"
    """How an event is logged: its kind, user, handle, transport and reason."""
    _limit_lines: ClassVar = {
        "total": "Reached max concurrent sessions limit (%s)",
        "user": "Reached max sessions per user limit (%s)",
    }
    _kinds: ClassVar[Mapping[EventKind, EventKind]] = {}
    """What some events are called instead."""

    def __init__(
        self,
        logger: logging.Logger | None,
        on_event: Listener | None,
        now: Callable[[], int],
        policy: Policy,
        is_foreign: Callable[[str], bool],
    ) -> None:
        if logger is not None and not isinstance(logger, (logging.Logger, logging.LoggerAdapter)):
            msg = "logger must be a logging.Logger, such as logging.getLogger('sessions')"
            raise TypeError(msg)
        if on_event is not None and not callable(on_event):
            msg = "on_event must be a function of one Event"
            raise TypeError(msg)
        self.logger: logging.Logger = logging.getLogger("sessiongate") if logger is None else logger
        self.observer: Observer | None = None
        """Who measures what happens; ``None``: nobody, and then it costs nothing."""
        self.outages: Outages = Outages()
        self.listens_async: bool = inspect.iscoroutinefunction(
            on_event
        ) or inspect.iscoroutinefunction(type(on_event).__call__)
        """Whether only the async verbs can call the listener."""
        self._on_event: Callable[[Event], Any] = no_listener if on_event is None else on_event
        self._now, self._policy, self._is_foreign = now, policy, is_foreign
        self._foreign_keys = Throttle()

    def check_listener(self) -> None:
        """Raise ``TypeError`` if the listener is async: only the async verbs can await it."""
        if self.listens_async:
            raise TypeError(_ASYNC_LISTENER)

    def failed(self, verb: str, error: Exception) -> Event:
        """The event of a verb that the store did not carry out, with the store's reason."""
        words = scrubbed(str(error))
        reason = f"{verb}: {words}" if words else verb
        return Event("store_failed", to_datetime(self._now()), reason=reason)

    def answered(self) -> None:
        """Log that the store answers, if a line about an outage is pending."""
        failures = self.outages.answered(self._now())
        if failures is not None:
            self.logger.warning(_ANSWERS_AGAIN, failures)

    def refused(self, token: object, now: int) -> None:
        """Log, once a minute, a token of our form under another key; never mere garbage."""
        if (
            not self._foreign_keys.is_closed(now)  # all that a flood costs
            and isinstance(token, str)
            and len(token) <= LONGEST_TOKEN
            and self._is_foreign(token)
            and self._foreign_keys.passes(now)
        ):
            self.logger.warning(_FOREIGN_KEY)

    def emit(self, event: Event) -> None:
        """Log an event and call the listener; log what that raises."""
        with self._reporting(event := self._named(event) if self._kinds else event):
            pending = self._on_event(event)
            if inspect.iscoroutine(pending):
                pending.close()
                raise TypeError(_ASYNC_LISTENER)

    async def aemit(self, event: Event) -> None:
        """``emit``, to await."""
        with self._reporting(event := self._named(event) if self._kinds else event):
            pending = self._on_event(event)
            if inspect.isawaitable(pending):
                await pending

    def _named(self, event: Event) -> Event:
        kind = self._kinds.get(event.kind)
        return event if kind is None else replace(event, kind=kind)

    @contextmanager
    def _reporting(self, event: Event) -> Generator[None]:
        logged = self._log(event)
        if self.observer is not None:
            self.observer.emitted(event)
        try:
            yield
        except Exception:
            if logged:
                self.logger.exception(_LISTENER_FAILED, event.kind)

    def _log(self, event: Event) -> bool:
        """Log an event; return whether a line was written."""
        if event.kind == "store_failed":
            failures = self.outages.failed(self._now())
            if failures:
                self.logger.error(_STORE_FAILED, event.reason, failures)
            return failures > 0
        if event.kind == "limit_reached":
            limit = self._policy.limit if event.reason == "total" else self._policy.user_limit
            self.logger.warning(self._limit_lines[event.reason or "total"], limit)
            return True
        level = logging.WARNING if event.kind in _ALARMING else logging.INFO
        by = event.kind, event.username, event.session, event.transport, event.reason
        self.logger.log(level, self._line, *by)
        return True
