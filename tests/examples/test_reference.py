"""The reference: every public name and no other, an example for each task, each error's code."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.examples.documents import ROOT, title
from tests.examples.test_documents import anchors
from tests.test_public_names import MODULES

import sessiongate
from sessiongate import SessionGateError
from sessiongate.http.request_session import RequestSession

if TYPE_CHECKING:
    from pathlib import Path

# That of Django is tested beside its kit, for which Django must be configured.
PAGES = sorted({*ROOT.glob("docs/api/*.md")} - {ROOT / "docs/api/django.md"})
PUBLIC_MODULES = [*MODULES, "sessiongate.events"]
ERRORS: list[type[SessionGateError]] = [
    error
    for name in sessiongate.__all__
    if isinstance(error := getattr(sessiongate, name), type) and issubclass(error, SessionGateError)
]


def found(path: str) -> Any:
    """What a path of module and attributes names."""
    parts = path.split(".")
    for split in range(len(parts), 0, -1):
        try:
            thing: Any = importlib.import_module(".".join(parts[:split]))
        except ModuleNotFoundError:
            continue
        for part in parts[split:]:
            thing = getattr(thing, part)
        return thing
    raise ModuleNotFoundError(path)


def rendered(page: Path) -> list[str]:
    """The paths that a page renders from docstrings."""
    return re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("module", PUBLIC_MODULES)
def test_every_public_name_is_in_the_reference(module: str) -> None:
    shown = [found(path) for page in PAGES for path in rendered(page)]
    headings = re.findall(
        r"^#+ (.+)$", "\n".join(page.read_text(encoding="utf-8") for page in PAGES), re.MULTILINE
    )
    public = importlib.import_module(module)
    missing = [
        name
        for name in public.__all__
        if not any(thing is getattr(public, name) for thing in shown)
        and not any(f"`{name}`" in heading for heading in headings)
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_the_reference_shows_public_names_only(page: Path) -> None:
    public = [importlib.import_module(module) for module in PUBLIC_MODULES]
    things = [getattr(module, name) for module in public for name in module.__all__]
    for path in rendered(page):
        owner, _, name = path.rpartition(".")
        inside = found(owner) in things and not name.startswith("_")  # a method
        known = any(found(path) is thing for thing in [*things, RequestSession])
        assert inside or known, path


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_each_task_of_the_reference_has_an_example(page: Path) -> None:
    for section in re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        before, shown, _ = section.partition("\n::: ")
        assert not shown or "```python\n" in before, section.partition("\n")[0]


@pytest.mark.parametrize("error", ERRORS)
def test_each_error_names_the_section_that_explains_its_code(
    error: type[SessionGateError],
) -> None:
    raised = error("what happened")
    assert str(raised) == "what happened"
    (note,) = raised.__notes__
    file, _, anchor = note.removeprefix("Documentation: ").partition("#")
    assert anchor == error.code
    assert anchor in anchors(ROOT / file)


def test_each_code_is_of_one_error() -> None:
    assert len({error.code for error in ERRORS}) == len(ERRORS)
