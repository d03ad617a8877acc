"""The names of the kit: those of the other kits, and documented; no app need be ready for them."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
from tests.test_public_names import undocumented

MODULES = ["sessiongate.django", "sessiongate.devices.django", "sessiongate.drf"]


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_documented(module: str) -> None:
    found = importlib.import_module(module)
    assert found.__doc__
    assert list(undocumented(found)) == []


def test_the_kit_has_the_names_of_the_others() -> None:
    module = importlib.import_module("sessiongate.django")
    names = {"login_required", "login_user", "logout_user", "current_user", "safe_redirect"}
    assert names <= set(module.__all__)
    assert not hasattr(module, "login_requird")


def test_the_app_can_be_imported_before_django_is_ready() -> None:
    subprocess.run([sys.executable, "-c", "import sessiongate.django"], check=True, timeout=60)
