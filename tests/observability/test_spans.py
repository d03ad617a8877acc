"""A span for each call of the store, within the trace of the request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from tests.http.harness import cookie, enter
from tests.stores.passing import PassingStore

from sessiongate import SessionManager, StoreError

if TYPE_CHECKING:
    from tests.http.harness import MakeSite
    from tests.observability.measured import Measured


class Tracing(PassingStore):
    """Notes the span that is current in its calls, as a driver would take it for its own."""

    down = False
    inside: Any = None

    def before(self, name: str, *_arguments: Any) -> None:
        self.inside = trace.get_current_span().get_span_context()
        if self.down:
            msg = f"{name} failed"
            raise StoreError(msg)


def test_each_call_is_a_span_of_the_current_trace(make: MakeSite, measured: Measured) -> None:
    store = Tracing()
    site = make(store=store)
    measured.instrument(site.manager)
    with measured.tracers.get_tracer("tests").start_as_current_span("request") as request:
        token = site.ask(view=enter).token
        site.ask(cookie(token))
    spans = measured.spans()
    assert [span.name for span in spans] == ["sessiongate commit", "sessiongate read", "request"]
    for span in spans[:-1]:
        assert span.kind is SpanKind.CLIENT
        assert span.parent == request.get_span_context()
        assert span.status.status_code is StatusCode.UNSET
    read = spans[1]
    assert read.attributes == {
        "db.operation.name": "read",
        "db.query.summary": read.name,
        "db.system.name": "counting",
        "sessiongate.manager": "sessions",
    }
    assert store.inside == read.context, "spans of the driver are inside"


def test_a_call_that_fails_is_a_span_with_an_error(make: MakeSite, measured: Measured) -> None:
    store = Tracing()
    site = make(store=store)
    measured.instrument(site.manager)
    token = site.open()
    store.down = True
    with measured.tracers.get_tracer("tests").start_as_current_span("request"):
        assert site.ask(cookie(token)).status == 503
    (span, _) = measured.spans()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "StoreError"
    assert span.events == ()
    assert span.status.description is None, "what a driver says may name a user"


def test_there_are_no_spans_outside_of_a_trace(make: MakeSite, measured: Measured) -> None:
    site = make(store=Tracing())
    measured.instrument(site.manager)
    site.ask(cookie(site.open()))
    assert measured.spans() == ()
    assert measured.calls() == {("commit",): 1, ("read",): 1}


def test_a_store_in_memory_makes_none(measured: Measured) -> None:
    manager = SessionManager()
    measured.instrument(manager)
    with measured.tracers.get_tracer("tests").start_as_current_span("request"):
        manager.validate_session(manager.create_session("alice") or "")
    assert [span.name for span in measured.spans()] == ["request"]
