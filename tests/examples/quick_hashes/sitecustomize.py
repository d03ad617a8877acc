"""Passwords of the example apps are hashed in no time: how long a guess takes, argon2 promises.

Python loads it at its start where this folder is on ``PYTHONPATH``.
"""

from __future__ import annotations

from argon2 import PasswordHasher

_costs, _others = (1, 8, 1), (PasswordHasher.__init__.__defaults__ or ())[3:]
PasswordHasher.__init__.__defaults__ = (*_costs, *_others)
