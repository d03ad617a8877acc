"""HTML from templates: every value is escaped as it is filled in.

Only what was put together here is taken as HTML.
"""

from __future__ import annotations

import html
from string import Template
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime, timedelta

_TIME: Final = Template('<time datetime="$machine">$words</time>')


class Html(str):
    """A text that is HTML already."""

    __slots__ = ()


def fill(template: Template, **values: str) -> Html:
    """The template with these values, escaped unless they are HTML."""
    for name, value in values.items():
        if not isinstance(value, Html):
            values[name] = html.escape(value)
    return Html(template.substitute(values))


def time_of(moment: datetime, words: str) -> Html:
    """A time, for people and for programs."""
    return fill(_TIME, machine=moment.isoformat(timespec="seconds"), words=words)


def day_of(moment: datetime, more: str = "") -> Html:
    """A day, whose month is a word; ``more`` of it is a format of ``strftime``."""
    return time_of(moment, f"{moment.day} {moment:%b %Y{more}}")


def ago(moment: datetime, now: datetime) -> Html:
    """How long ago it was."""
    return time_of(moment, _passed(now - moment))


def _passed(passed: timedelta) -> str:
    """In the largest unit that fits; a store lags behind by a minute, so no seconds."""
    seconds = max(int(passed.total_seconds()), 0)
    for unit, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if number := seconds // unit:
            return f"{number} {name}{'s' if number > 1 else ''} ago"
    return "Just now"
