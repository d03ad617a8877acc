"""The Django app: it connects the signals and registers the checks. It has no models."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks

LABEL = "sessiongate"


class SessionGateConfig(AppConfig):
    """What ``"sessiongate.django"`` in ``INSTALLED_APPS`` means."""

    name = "sessiongate.django"
    label = LABEL

    hands_over: bool = False
    """Whether this process has logged in somebody without a request, as test clients do."""

    def ready(self) -> None:
        """Connect the signals and register the checks, now that all models are there."""
        # Loaded here, for both need the models of users.
        from sessiongate.django import signals  # noqa: PLC0415
        from sessiongate.django.checks import check_all  # noqa: PLC0415

        signals.connect()
        checks.register(check_all, checks.Tags.security)
