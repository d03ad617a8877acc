"""The documents hold: Python compiles, what is marked as runnable runs, links lead on."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from starlette.testclient import TestClient
from werkzeug.test import Client

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_BLOCK: Final = re.compile(
    r"(?:<!-- runnable(?P<mark>[^>]*) -->\n)?```python\n(?P<code>.*?)```", re.DOTALL
)


def blocks(document: Path) -> list[re.Match[str]]:
    return list(_BLOCK.finditer(document.read_text()))


def run(document: str, *indexes: int) -> dict[str, Any]:
    """What the names of runnable blocks are after they have run, one after the other."""
    runnable = [found["code"] for found in blocks(ROOT / document) if found["mark"] is not None]
    namespace: dict[str, Any] = {"__name__": "example"}
    for index in indexes:
        exec(compile(runnable[index], document, "exec"), namespace)
    return namespace


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_all_python_compiles(document: Path) -> None:
    for block in blocks(document):
        compile(block["code"], str(document), "exec")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_to_files_lead_to_files(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_into_files_lead_to_headings(document: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", document.read_text()):
        text = (document.parent / target if target else document).read_text()
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        slugs = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
        assert anchor in slugs


def test_the_first_example_of_the_readme_is_the_flask_one_and_works() -> None:
    client = Client(run("README.md", 0)["app"])
    https = {"base_url": "https://localhost"}
    password = {"username": "alice", "password": "open sesame"}

    assert client.get("/", **https).status_code == 401
    assert client.post("/login", data=password | {"password": "?"}, **https).status_code == 403
    assert client.post("/login", data=password, **https).text == "Welcome!"
    assert client.get("/", **https).text == "Hello, alice!"


def test_the_second_one_is_the_same_for_starlette() -> None:
    password = {"username": "alice", "password": "open sesame"}
    with TestClient(run("README.md", 1)["app"], base_url="https://localhost") as client:
        assert client.get("/").status_code == 401
        assert client.post("/login", data=password | {"password": "?"}).status_code == 403
        assert client.post("/login", data=password).text == "Welcome!"
        assert client.get("/").text == "Hello, alice!"


def test_the_example_of_the_manager_holds(capsys: pytest.CaptureFixture[str]) -> None:
    run("README.md", 2)
    assert "{'name': 'laptop'}" in capsys.readouterr().out


def test_the_tests_of_the_testing_guide_pass(tmp_path: Path) -> None:
    for block in blocks(ROOT / "docs/testing.md"):
        if block["mark"] is not None:
            (tmp_path / block["mark"].removeprefix(":").strip()).write_text(block["code"])
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 0, run.stdout
    assert "6 passed" in run.stdout


GUIDE: Final[Any] = run("docs/write-a-store.md", 0, 1)["TestDictStore"]


class TestTheStoreOfTheGuide(GUIDE):  # type: ignore[misc] # made from text
    PROGRAMS = 20
    ROUNDS = 5
