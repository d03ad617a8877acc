"""The dashboard asks for what Prometheus finds, and shows all of it."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any, Final, get_args

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry
from tests.http.harness import bearer, cookie, make_site
from tests.observability.test_metrics import Failing, Overtaken, wait_for

from sessiongate import SessionManager, StoreError
from sessiongate.events import EventKind
from sessiongate.observability import instrument

FILE: Final = Path(__file__).parents[2] / "examples/grafana/sessiongate.json"
BOARD: Final[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
PANELS: Final[list[dict[str, Any]]] = BOARD["panels"]
EXPRESSIONS: Final = [target["expr"] for panel in PANELS for target in panel.get("targets", ())]
UNITS: Final = {"counter": "_total", "gauge": "", "seconds": "_seconds"}
_SELECTOR: Final = re.compile(r"\b(sessiongate_\w+)\{([^}]*)\}")
_GROUPS: Final = re.compile(r"\bby \(([^)]+)\) \(\w+\((sessiongate_\w+)")


class WithFeed(Failing, Overtaken):
    """A store that fails, that others change as well, and that tells of what ends."""

    def feed(self) -> Any:
        return self.store.feed()

    def before(self, name: str, *arguments: Any) -> None:
        Failing.before(self, name, *arguments)
        Overtaken.before(self, name, *arguments)


def whole(name: str) -> str:
    """The metric that a series is a part of."""
    return re.sub(r"_(sum|count|bucket)$", "", name)


@pytest.fixture(scope="module")
def found() -> dict[str, set[str]]:
    """What Prometheus finds of a busy app: each series, and its labels."""
    registry = CollectorRegistry()
    reader = PrometheusMetricReader(registry=registry)
    provider = MeterProvider(metric_readers=[reader])
    store = WithFeed()
    manager = SessionManager(store=store, secret_key="k" * 64, near_cache=60)
    other = SessionManager(store=store.store, secret_key="k" * 64)
    instrument(manager, meter_provider=provider)
    site = make_site("wsgi", "opaque")
    site.manager = manager
    token = manager.create_session("alice") or ""
    wait_for(lambda: manager.validate_session(token) and manager.hub.is_open)
    site.ask(cookie(token))
    site.ask(bearer(token))
    store.faster = lambda: other.refresh_session(token)
    manager.refresh_session(token)
    store.down = True
    with pytest.raises(StoreError):
        manager.n_active_sessions()
    families = list(registry.collect())
    provider.shutdown()
    series: dict[str, set[str]] = {}
    for family in families:
        for sample in family.samples:
            series.setdefault(sample.name, set()).update(sample.labels)
    return series


def test_each_series_that_is_asked_for_is_there_with_its_labels(
    found: dict[str, set[str]],
) -> None:
    asked = [selector for text in EXPRESSIONS for selector in _SELECTOR.findall(text)]
    assert sum(text.count("sessiongate_") > 0 for text in EXPRESSIONS) == len(EXPRESSIONS)
    for name, labels in asked:
        assert set(re.findall(r"(\w+)[!=]", labels)) <= found[name], name
        assert 'sessiongate_manager=~"$manager"' in labels
    for labels, name in (group for text in EXPRESSIONS for group in _GROUPS.findall(text)):
        assert set(labels.split(", ")) <= found[name], name


def test_all_that_is_measured_is_shown(found: dict[str, set[str]]) -> None:
    asked = {name for text in EXPRESSIONS for name, _ in _SELECTOR.findall(text)}
    ours = {name for name in found if name.startswith("sessiongate_")}
    assert {whole(name) for name in asked} == {whole(name) for name in ours}


def test_the_page_lists_every_metric_and_its_alarms_can_ring(found: dict[str, set[str]]) -> None:
    page = (FILE.parents[2] / "docs/monitoring.md").read_text(encoding="utf-8")
    listed = {
        name.replace(".", "_") + UNITS[unit or kind]
        for name, kind, unit in re.findall(
            r"^\| `(\S+)` \| (\w+)(?:, (\w+))? \|", page, re.MULTILINE
        )
    }
    assert listed == {whole(name) for name in found if name.startswith("sessiongate_")}
    alarms = re.findall(r"^\| [^|]+ \| `(.+?)`", page, re.MULTILINE)
    asked = [part for text in alarms for part in re.findall(r"(sessiongate_\w+)(?=[{)[])", text)]
    assert len(asked) == 5
    assert found.keys() >= set(asked)


def test_every_kind_of_event_has_a_panel() -> None:
    kinds = {
        kind
        for text in EXPRESSIONS
        for value in re.findall(r'sessiongate_event=~?"([^"]+)"', text)
        for kind in value.split("|")
    }
    assert kinds == set(get_args(EventKind))


def test_it_can_be_imported_as_it_is() -> None:
    sources = {"type": "prometheus", "uid": "${datasource}"}
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        assert panel["type"] == "row" or panel["description"]
        for target in panel.get("targets", ()):
            assert target["datasource"] == panel["datasource"] == sources
    places = [panel["gridPos"] for panel in PANELS]
    for a, b in combinations(places, 2):
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        assert apart or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
