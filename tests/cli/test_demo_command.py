"""``sessiongate demo``, as somebody runs it who has only installed the package."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.cli.calling import Caller

from sessiongate.cli import _app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def started(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    ports = ("--flask-port", "0", "--starlette-port", "0")
    with subprocess.Popen(
        [sys.executable, "-m", "sessiongate.cli", "demo", *ports],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as process:
        yield process
        process.kill()


def test_it_starts_keeps_its_data_here_and_stops_at_once(
    started: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert started.stdout is not None
    said = ""
    for line in started.stdout:
        said += line
        if "Ready" in line:
            break
    urls = re.findall(r"http://\S+", said)
    assert len(urls) == 2
    for url in urls:
        assert httpx.get(url, trust_env=False).status_code == 200
    assert (tmp_path / ".demo" / "secret.key").is_file()
    started.send_signal(signal.SIGTERM)
    _, errors = started.communicate()
    assert started.returncode == 0, errors


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_app, "_DEMO_NEEDS", ("flask", "no_such_package"))
    done = Caller()("demo", code=2)
    assert "needs no_such_package: pip install 'sessiongate[demo]'" in done.err

    monkeypatch.setattr(_app, "_DEMOS", (tmp_path / "nowhere", tmp_path / "nor here"))
    assert "the demo is missing" in Caller()("demo", code=2).err
