"""Header fields of a response, edited once for both stacks, as ASGI's bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sessiongate.http.gate import Gate, Leaving
    from sessiongate.http.refusals import Refusal

__all__ = ["Field", "ResponseFields"]

Field: TypeAlias = tuple[bytes, bytes]

_VARY = (b"vary", b"Cookie, Authorization")
_LENGTHS = frozenset(map(len, (b"vary", b"set-cookie")))
"""Of the names that matter, whatever their case; few others are as long."""


class ResponseFields:
    """Edits lists of ``(name, value)``; the lists that come in are left alone."""

    def __init__(self, gate: Gate) -> None:
        self._token = gate.refreshed_token_header
        self._ours = gate.cookie.name.encode()

    def apply(self, headers: Iterable[Field], leaving: Leaving | None) -> list[Field]:
        """The fields of a view's response with what the session adds.

        At most one ``Set-Cookie`` of our name goes out (RFC 6265bis, section
        4.1.1); what the view says of ``Vary`` and of CORS is kept.
        """
        fields = list(headers) if leaving is None else self._carry(headers, leaving)
        varies, ours = False, 0
        for name, value in fields:
            if len(name) in _LENGTHS:
                varies = varies or name.lower() == b"vary"
                ours += self._is_our_cookie(name, value)
        if ours > 1:
            fields = self._last_of_ours(fields)
        if varies:
            return _add(fields, b"vary", b"Cookie", b"Authorization")
        fields.append(_VARY)
        return fields

    def _carry(self, headers: Iterable[Field], leaving: Leaving) -> list[Field]:
        # What is addressed to some caches alone would overrule it there (RFC 9213, section 2.2).
        fields = [field for field in headers if not _is_for_caches(field[0].lower())]
        fields.append((b"cache-control", b"no-store"))
        if leaving.set_cookie is not None:
            fields = [field for field in fields if not self._is_our_cookie(*field)]
            fields.append((b"set-cookie", leaving.set_cookie.encode()))
        if leaving.token is not None:
            fields = _set(fields, self._token, leaving.token)
            fields = _add(fields, b"access-control-expose-headers", self._token.encode())
        for name, value in leaving.extra:
            fields = _set(fields, name, value)
        return fields

    def refuse(self, refusal: Refusal) -> tuple[list[Field], bytes]:
        """The fields and the body of a refusal."""
        body = refusal.text.encode()
        fields = [
            *refusal.headers,
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
        ]
        return [*(_field(name, value) for name, value in fields), _VARY], body

    def _is_our_cookie(self, name: bytes, value: bytes) -> bool:
        return name.lower() == b"set-cookie" and value.partition(b"=")[0].strip() == self._ours

    def _last_of_ours(self, fields: list[Field]) -> list[Field]:
        """A view that wrote our cookie by itself, more than once: the last one counts."""
        ours = [self._is_our_cookie(name, value) for name, value in fields]
        last = len(ours) - 1 - ours[::-1].index(True)
        return [
            field
            for at, (field, is_ours) in enumerate(zip(fields, ours, strict=True))
            if at == last or not is_ours
        ]


def _field(name: str, value: str) -> Field:
    return name.lower().encode(), value.encode()


def _is_for_caches(name: bytes) -> bool:
    return name.endswith(b"cache-control") or name == b"surrogate-control"


def _set(fields: Iterable[Field], name: str, value: str) -> list[Field]:
    ours = _field(name, value)
    return [*(field for field in fields if field[0].lower() != ours[0]), ours]


def _add(fields: list[Field], key: bytes, *members: bytes) -> list[Field]:
    """Add members to a list-valued field, each once, in one field; ``Vary: *`` has all."""
    there = [value for name, value in fields if name.lower() == key]
    known = [stripped for value in there for one in value.split(b",") if (stripped := one.strip())]
    lowered = {member.lower() for member in known}
    if key == b"vary" and b"*" in lowered:
        return fields
    known += [member for member in members if member.lower() not in lowered]
    return [*(field for field in fields if field[0].lower() != key), (key, b", ".join(known))]
