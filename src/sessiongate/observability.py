"""Metrics and spans of OpenTelemetry: what a manager, its store and its requests do.

Needs the extra ``otel``. No name of a user, handle of a session or token is in any attribute.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, cast
from weakref import ref

from sessiongate.errors import ConfigurationError

try:
    from opentelemetry import metrics, trace
    from opentelemetry.metrics import Observation
except ImportError as _missing:
    msg = "OpenTelemetry is missing: pip install 'sessiongate[otel]'"
    raise ConfigurationError(msg) from _missing

from sessiongate.machines.api_tokens import APITokenManager, APITokens
from sessiongate.managers import SessionManager

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider
    from opentelemetry.trace import Tracer, TracerProvider

    from sessiongate.events import Event
    from sessiongate.feed.hub import Hub
    from sessiongate.http.request_session import RequestSession
    from sessiongate.stores.base import Store

__all__ = ["instrument"]

_SCOPE: Final = "sessiongate"
_VERBS: Final = ("read", "swap", "of_user", "commit", "live", "count", "sweep", "together")
_WON: Final[dict[str, Callable[[Any], bool]]] = {
    "swap": lambda answer: answer is True,
    "commit": lambda answer: answer is True,
    "together": lambda answer: answer is not None,
}
"""How a verb says that nobody else was faster."""
_BOUNDS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
"""Seconds, of the semantic conventions for ``db.client.operation.duration``."""
_ALARMING: Final = (
    ("replayed", "stale_token"),
    ("unproved", "stale_token"),
    ("unproved", "bearer"),
    ("limit_reached", "total"),
    ("limit_reached", "user"),
    *(("store_failed", verb) for verb in _VERBS),
)
"""Counted from zero: of a series that begins with one, nobody sees the increase."""


def instrument(
    manager: SessionManager | APITokens,
    *,
    name: str | None = None,
    meter_provider: MeterProvider | None = None,
    tracer_provider: TracerProvider | None = None,
) -> None:
    """Measure a manager: requests, events, its store and its feed.

    Before or after the middleware is made; once for each manager: a second call logs a warning and
    does nothing. A store in memory makes no spans and has no times to measure.

    Args:
        manager: A manager, or ``APITokens``.
        name: The attribute ``sessiongate.manager`` of all that is measured, to tell several
            managers of a process apart; by default ``"sessions"`` or ``"api_tokens"``.
        meter_provider: Where the metrics go; by default the global one.
        tracer_provider: Where the spans go; by default the global one.

    Raises:
        ConfigurationError: At the import: OpenTelemetry is missing.
        TypeError: That is no manager.
    """
    if isinstance(manager, APITokens):
        manager = manager.manager
    if not isinstance(manager, SessionManager):
        msg = f"manager must be a SessionManager or APITokens, not {type(manager).__name__}"
        raise TypeError(msg)
    if manager.reporter.observer is not None:
        manager.logger.warning("instrument() was called twice for %r: once is enough", manager)
        return
    if name is None:
        name = "api_tokens" if isinstance(manager, APITokenManager) else "sessions"
    common = {"sessiongate.manager": name}
    # A meter of its own for each name: of two gauges of one meter, the second is ignored.
    meter = metrics.get_meter(_SCOPE, version(_SCOPE), meter_provider, attributes=common)
    manager.reporter.observer = observer = _Observer(meter, common)
    manager.operations.on_nearby = observer.looked
    _gauge(meter, manager.hub, common)
    # As the middleware has it: of its own class only.
    if vars(type(manager.store)).get("blocking", True):
        tracer = trace.get_tracer(_SCOPE, version(_SCOPE), tracer_provider)
        system = {**common, "db.system.name": _system(manager.store)}
        manager.asked = cast("Store", _MeasuredStore(manager.asked, meter, tracer, system))


class _Observer:
    """Counts requests, events and looks into the near cache."""

    def __init__(self, meter: Meter, common: dict[str, str]) -> None:
        self._common = common
        self._checks = meter.create_counter(
            "sessiongate.checks", "{request}", "Requests that brought a credential"
        )
        self._events = meter.create_counter(
            "sessiongate.events", "{event}", "Logins, logouts, rotations, replays, failures, …"
        )
        self._lookups = meter.create_counter(
            "sessiongate.near_cache.lookups", "{lookup}", "Checks that might need no trip"
        )
        for kind, reason in _ALARMING:
            self._count(kind, reason, 0)

    def checked(self, session: RequestSession) -> None:
        verdict: str | None = session.problem
        if session.store_failed:
            verdict = "unavailable"
        elif session.user.row is not None:
            verdict = "user"
        if verdict is not None:
            transport = "bearer" if session.credentials.by_authorization else "cookie"
            attributes = {"sessiongate.verdict": verdict, "sessiongate.transport": transport}
            self._checks.add(1, self._common | attributes)

    def emitted(self, event: Event) -> None:
        reason = event.reason or ""
        if event.kind == "store_failed":
            reason = reason.partition(":")[0]  # the verb, without the words of the store
        self._count(event.kind, reason, 1)

    def looked(self, saved: bool) -> None:  # noqa: FBT001 - a callback
        result = {"sessiongate.result": "hit" if saved else "miss"}
        self._lookups.add(1, self._common | result)

    def _count(self, kind: str, reason: str, number: int) -> None:
        attributes = {"sessiongate.event": kind, "sessiongate.reason": reason}
        self._events.add(number, self._common | attributes)


def _gauge(meter: Meter, hub: Hub, common: dict[str, str]) -> None:
    """Have the hub asked whenever metrics are collected, as long as it lives."""
    find = ref(hub)

    def observing(look: Callable[[Hub], float | None]) -> Callable[..., Iterable[Observation]]:
        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            found = find()
            value = None if found is None else look(found)
            return () if value is None else (Observation(value, common),)

        return observe

    meter.create_observable_gauge(
        "sessiongate.feed.up",
        [observing(lambda hub: hub.answers)],
        "{feed}",
        "1: news of ended sessions comes; 0: it does not",
    )
    meter.create_observable_gauge(
        "sessiongate.feed.age",
        [observing(lambda hub: hub.freshness)],
        "s",
        "How old the last proof is that no news of ended sessions is missing",
    )
    meter.create_observable_gauge(
        "sessiongate.watched",
        [observing(lambda hub: hub.watched)],
        "{session}",
        "Sessions with an open websocket or event stream",
    )


class _MeasuredStore:
    """Hands every verb to a store, and measures it; within a trace, it is a span as well.

    Not under the standard name ``db.client.operation.duration``: that is for the drivers, whose
    own instrumentation may measure the same calls.
    """

    def __init__(self, store: Store, meter: Meter, tracer: Tracer, common: dict[str, str]) -> None:
        self._store, self._tracer, self._common = store, tracer, common
        self._duration = meter.create_histogram(
            "sessiongate.store.duration",
            "s",
            "Duration of the calls of the store",
            explicit_bucket_boundaries_advisory=_BOUNDS,
        )
        self._conflicts = meter.create_counter(
            "sessiongate.store.conflicts",
            "{conflict}",
            "Changes that were decided anew, because another one was faster",
        )
        for verb in _VERBS:
            if hasattr(store, verb):  # not all have ``together``
                vars(self)[verb] = self._called(verb, getattr(store, verb))
                vars(self)[f"a{verb}"] = self._awaited(verb, getattr(store, f"a{verb}"))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _called(self, verb: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            with self._measuring(verb):
                answer = function(*arguments)
            self._judge(verb, answer)
            return answer

        return call

    def _awaited(self, verb: str, function: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*arguments: Any) -> Any:
            with self._measuring(verb):
                answer = await function(*arguments)
            self._judge(verb, answer)
            return answer

        return call

    def _judge(self, verb: str, answer: Any) -> None:
        if verb in _WON and not _WON[verb](answer):
            self._conflicts.add(1, {**self._common, "db.operation.name": verb})

    @contextmanager
    def _measuring(self, verb: str) -> Generator[None]:
        attributes = {**self._common, "db.operation.name": verb}
        began = perf_counter()
        try:
            with self._span(verb, attributes) as span:
                try:
                    yield
                except BaseException as error:
                    # Its class alone: what a driver says may name a user.
                    attributes["error.type"] = type(error.__cause__ or error).__qualname__
                    span.set_attribute("error.type", attributes["error.type"])
                    span.set_status(trace.StatusCode.ERROR)
                    raise
        finally:
            self._duration.record(perf_counter() - began, attributes)

    def _span(self, verb: str, attributes: dict[str, str]) -> Any:
        """A span within the current trace; nothing where there is none."""
        if not trace.get_current_span().get_span_context().is_valid:
            return nullcontext(trace.INVALID_SPAN)
        summary = f"sessiongate {verb}"  # the span has its name, as the conventions ask
        return self._tracer.start_as_current_span(
            summary,
            kind=trace.SpanKind.CLIENT,
            attributes={**attributes, "db.query.summary": summary},
            record_exception=False,
            set_status_on_exception=False,
        )


def _system(store: Store) -> str:
    """``db.system.name``: what the store says itself, or else its class."""
    own: str | None = getattr(store, "system", None)
    return own or type(store).__name__.removesuffix("Store").lower()
