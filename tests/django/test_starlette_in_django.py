"""Starlette beside Django in one process, as the page on other frameworks has it."""

from __future__ import annotations

import re

from django.test.utils import override_settings
from starlette.testclient import TestClient
from tests.django.project import add_user
from tests.examples.documents import run

from sessiongate.testing import login_as

NAMES = ("docs/other-frameworks.md", "common", "starlette-in-django")


def test_one_login_counts_on_both() -> None:
    add_user("alice")
    module = re.sub(r"\W+", "_", "_".join(NAMES))
    with override_settings(SESSIONGATE={"manager": f"{module}.manager"}):
        names = run.__wrapped__(*NAMES)
        client = TestClient(names["app"], base_url="https://testserver")
        assert client.get("/api/me").status_code == 401
        login = login_as(client, "alice", manager=names["manager"])
        assert client.get("/api/me").text == client.get("/who").text == "alice"
        login.logout()
        assert (client.get("/api/me").status_code, client.get("/who").text) == (401, "")
