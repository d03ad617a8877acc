"""Who a request is and why it is nobody's, by the plainest reading that there is of its fields."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from tests.http.harness import COOKIE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from tests.http.harness import Header

__all__ = ["Verdict", "plainly", "values_of"]

Verdict: TypeAlias = "tuple[str | None, str | None]"
"""What the problem is, and who it is."""

SCHEME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?: |\Z)")
BEARER = re.compile(rb"(?i:bearer)(?: |\Z)")
HERE = b"https://app.example.com"
MALFORMED: Verdict = ("invalid_request", None)


def values_of(name: bytes, cookies: Iterable[bytes]) -> list[bytes]:
    """The different values under a name, the last one first."""
    found: list[bytes] = []
    for pair in reversed(b";".join(cookies).split(b";")):
        key, equal, value = pair.partition(b"=")
        text = value.strip(b" \t")
        if equal and key.lstrip(b" \t") == name and text and text not in found:
            found.append(text)
    return found


def plainly(
    headers: Iterable[Header],
    people: Mapping[bytes, str],
    *,
    dead: Collection[str] = (),
    safe: bool = True,
) -> set[Verdict]:
    """The verdicts that are right; more than one where nobody can say what was meant.

    Args:
        headers: What came.
        people: The genuine tokens, each of a session of its own, and whose it is.
        dead: Whose sessions have ended or expired.
        safe: Whether the method is.
    """
    fields = list(headers)
    by_cookie = {_by_cookie(fields, people, dead, safe=safe)}
    authorizations = [value for name, value in fields if name == b"authorization"]
    if not authorizations:
        return by_cookie
    field = b",".join(authorizations).strip(b" \t")
    found = re.fullmatch(rb"(?i:bearer) +([^ \t,]+)", field, re.DOTALL)
    if found:
        who = people.get(found[1])
        return {("invalid_token", None) if who is None or who in dead else (None, who)}
    if not SCHEME.match(field) or BEARER.match(field):
        return {MALFORMED}
    # With a comma: other credentials, or more than one.
    return by_cookie | {MALFORMED} if b"," in field else by_cookie


def _by_cookie(
    headers: list[Header], people: Mapping[bytes, str], dead: Collection[str], *, safe: bool
) -> Verdict:
    values = values_of(COOKIE.encode(), [value for name, value in headers if name == b"cookie"])
    came = [people[value] for value in values if value in people][:4]
    if not came:
        return None, None
    if not safe and _is_cross_site(headers):
        return "cross_site", None
    live = [who for who in came if who not in dead]
    if len(live) > 1:
        return MALFORMED
    return (None, live[0]) if live else ("invalid_token", None)


def _is_cross_site(headers: list[Header]) -> bool:
    sites = [value for name, value in headers if name == b"sec-fetch-site"]
    origins = [value for name, value in headers if name == b"origin"]
    if sites:
        return sites not in ([b"same-origin"], [b"none"])
    return origins not in ([], [HERE])
