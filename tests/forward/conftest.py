"""A gate on each stack without a server, and both behind each proxy."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
from tests.forward.answers import Answer, Field, ask
from tests.forward.gates import STACKS, Gate
from tests.hygiene import leaks
from tests.servers.running import serving_asgi, serving_wsgi

from processes import find, free_ports, running

if TYPE_CHECKING:
    from collections.abc import Iterator

PROXIES: Final = ("nginx", "caddy")


@pytest.fixture(params=STACKS)
def gate(request: pytest.FixtureRequest) -> Gate:
    return Gate(request.param)


class Site(NamedTuple):
    """A gate and a backend behind a proxy."""

    proxy: str
    gate: Gate
    port: int

    def ask(
        self,
        path: str,
        *fields: Field,
        method: str = "GET",
        host: str = "app.example",
        body: str = "",
    ) -> Answer:
        return ask(self.port, method, path, *fields, host=host, body=body)


def require(name: str) -> None:
    """Skip the test where the program is missing, or fail if it must be there."""
    try:
        find(name)
    except FileNotFoundError as missing:
        reason = f"needs {missing}: .ci/servers installs it"
        if os.environ.get("SESSIONGATE_REQUIRE_BACKENDS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(
    scope="session",
    params=[(proxy, stack) for proxy in PROXIES for stack in STACKS],
    ids=[f"{proxy}-{stack}" for proxy in PROXIES for stack in STACKS],
)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    proxy, stack = request.param
    require("backend")
    require(proxy)
    gate, ports = Gate(stack), free_ports()
    directory = tmp_path_factory.mktemp("forward")
    with ExitStack() as started:
        serving = serving_asgi if stack == "asgi" else serving_wsgi
        address = started.enter_context(serving(gate.app))
        ports["gate"] = address.partition(":")[2]
        started.enter_context(running("backend", directory, ports))
        said = started.enter_context(running(proxy, directory, ports))
        yield Site(proxy, gate, int(ports[proxy]))
    assert leaks(said) == []
