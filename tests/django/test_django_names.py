"""The names of the kit: those of the other kits, and documented; no app need be ready for them."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
from tests.examples.documents import ROOT
from tests.examples.test_reference import found, rendered
from tests.test_public_names import undocumented

MODULES = ["sessiongate.django", "sessiongate.devices.django", "sessiongate.drf"]


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_documented(module: str) -> None:
    imported = importlib.import_module(module)
    assert imported.__doc__
    assert list(undocumented(imported)) == []


def test_the_reference_shows_all_of_them_and_nothing_else() -> None:
    modules = [importlib.import_module(name) for name in MODULES]
    public = [getattr(module, name) for module in modules for name in module.__all__]
    shown = [found(path) for path in rendered(ROOT / "docs/api/django.md")]
    assert {*map(id, shown)} == {*map(id, public)}


def test_the_kit_has_the_names_of_the_others() -> None:
    module = importlib.import_module("sessiongate.django")
    names = {"login_required", "login_user", "logout_user", "current_user", "safe_redirect"}
    assert names <= set(module.__all__)
    assert not hasattr(module, "login_requird")


def test_the_app_can_be_imported_before_django_is_ready() -> None:
    subprocess.run([sys.executable, "-c", "import sessiongate.django"], check=True, timeout=60)
