"""The guide for Django: a project as ``startproject`` makes it, changed as the page says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.examples.documents import ROOT, blocks

import sessiongate

pytestmark = pytest.mark.slow


def manage(project: Path, *arguments: str) -> str:
    environment = {
        **os.environ,
        "SESSION_KEY": "k" * 64,
        "PYTHONPATH": str(Path(sessiongate.__file__).parents[1]),
    }
    run = subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


def test_the_project_of_the_guide_works_and_so_do_its_tests(tmp_path: Path) -> None:
    manage(tmp_path, "-m", "django", "startproject", "mysite", ".")
    for block in blocks(ROOT / "docs/django.md"):
        if block.name is not None:
            file = tmp_path / block.name
            before = file.read_text(encoding="utf-8") if file.name == "settings.py" else ""
            file.write_text(before + "\n\n" + block.code, encoding="utf-8")
    assert "no issues" in manage(tmp_path, "manage.py", "check")
    assert "No changes" in manage(tmp_path, "manage.py", "makemigrations", "--check")
    manage(tmp_path, "manage.py", "migrate")
    assert "Ran 3 tests" in manage(tmp_path, "manage.py", "test", "mysite")
    assert manage(tmp_path, "manage.py", "sessiongate_sessions") == ""
