"""The guide to forward auth: its apps work, and its files are those that were tried."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.examples.documents import ROOT, run
from tests.forward.gates import described
from werkzeug.test import Client

GUIDE = "docs/forward-auth.md"
FILES = ("nginx.conf", "ask.conf", "guarded.conf", "Caddyfile")


@pytest.mark.parametrize("name", ["asgi", "wsgi"])
def test_the_gates_of_the_guide_answer(name: str) -> None:
    app: Any = run(GUIDE, name)["app"]
    headers = dict(described(uri="/page"))
    if name == "asgi":
        client: Any = TestClient(app, "https://app.example", follow_redirects=False)
        options: dict[str, Any] = {}
    else:
        client, options = Client(app), {"base_url": "https://app.example"}
    refused = client.get("/verify?scope=admin", headers=headers, **options)
    assert refused.status_code == 401
    assert client.post("/login?next=/page", **options).headers["Location"] == "/page"
    answer = client.get("/verify?scope=admin&login=/login", headers=headers, **options)
    assert (answer.status_code, answer.headers["Remote-User"]) == (200, "alice")
    assert client.get("/verify?scope=root", headers=headers, **options).status_code == 403


@pytest.mark.parametrize("file", FILES)
def test_the_guide_shows_the_files_that_are_tried(file: str) -> None:
    text = (ROOT / GUIDE).read_text(encoding="utf-8")
    found = re.search(rf"^### `{file}`\n\n```\w+\n(.*?)```$", text, re.DOTALL | re.MULTILINE)
    assert found is not None
    assert found[1] == (ROOT / "examples/forward-auth" / file).read_text(encoding="utf-8")
