"""``make demo-forward`` as somebody starts it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tests.forward.answers import ask
from tests.forward.conftest import require
from tests.hygiene import PASSWORDS

from processes import COMMANDS, HERE

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def said() -> Iterator[list[str]]:
    for name in COMMANDS:
        require(name)
    process = subprocess.Popen(
        [sys.executable, str(HERE / "forward_demo.py")],
        env=os.environ | {"PYTHONPATH": f"{HERE.parent}:{os.environ.get('PYTHONPATH', '')}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    try:
        for line in process.stdout:
            lines.append(line)
            if "Ready" in line:
                break
        yield lines
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        process.stdout.close()


@pytest.mark.slow
def test_the_demo_has_one_login_behind_both_proxies(said: list[str]) -> None:
    text = "".join(said)
    ports = [urlsplit(url).port or 0 for url in re.findall(r"http://\S+", text)]
    (password,) = re.findall(r"password ([\w-]+)", text)
    PASSWORDS.add(password)
    assert len(ports) == len(["nginx", "caddy"])
    form = ("Content-Type", "application/x-www-form-urlencoded")
    for port in ports:
        wrong = ask(port, "POST", "/login", form, body="username=alice&password=guess")
        assert wrong.status == 403
        for username, status in (("alice", 200), ("bob", 403)):
            body = f"username={username}&password={password}&next=/admin/"
            login = ask(port, "POST", "/login", form, body=body)
            assert login.one("Location") == "/admin/"
            ours = "Cookie", (login.one("Set-Cookie") or "").partition(";")[0]
            for behind in ports:  # both ask the same gate
                assert ask(behind, "GET", "/admin/", ours).status == status
                told = ask(behind, "GET", "/reports/", ours).told
                assert told.user == username
                assert told.all("Authorization")[0].startswith("Bearer ey")
