"""A manager belongs to its process: whoever would copy it is told what to do instead."""

from __future__ import annotations

import copy
import pickle
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from sessiongate import JWTSessionManager, SessionManager, SingleSessionManager

if TYPE_CHECKING:
    from collections.abc import Callable

WAYS: dict[str, Callable[[Any], object]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "deepcopy of a config": lambda m: copy.deepcopy({"manager": m}),
    **{
        f"pickle {p}": partial(pickle.dumps, protocol=p) for p in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("cls", [SessionManager, SingleSessionManager, JWTSessionManager])
def test_a_manager_is_neither_copied_nor_pickled(
    cls: type[SessionManager], way: Callable[[Any], object]
) -> None:
    m = cls()
    token = m.create_session("alice") or ""
    with pytest.raises(TypeError) as caught:
        way(m)
    said = str(caught.value)
    assert said.startswith(f"a {cls.__name__} can be neither copied nor pickled")
    assert "in each process" in said
    assert "on a store that they share" in said
    assert m.session_username(token) == "alice", "it is as it was"
