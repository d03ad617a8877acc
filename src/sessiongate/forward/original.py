"""The request that a client sent to the proxy, as the proxy describes it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias
from urllib.parse import quote

from sessiongate.http.websockets import is_handshake
from sessiongate.kits.page import Page

if TYPE_CHECKING:
    from collections.abc import Iterable

Proxy: TypeAlias = Literal["forwarded", "envoy"]
PROXIES: Final[tuple[Proxy, ...]] = ("forwarded", "envoy")

_PARTS: Final = {
    f"x-{prefix}-{part}".encode(): part
    for part in ("method", "proto", "host", "uri")
    for prefix in ("forwarded", "original")
} | {b"x-original-url": "uri"}
_BY_ENVOY: Final = {b"host": "host", b"x-forwarded-proto": "proto"}

_SIGNS: Final = frozenset({b"upgrade", b"sec-websocket-key", b"sec-fetch-mode"})
"""What tells a handshake. Proxies keep ``Upgrade`` to themselves; of the other two a browser sends
one at least, and no script can leave it out (Fetch Standard, forbidden request-headers)."""

READ: Final = frozenset({*_PARTS, *_BY_ENVOY, *_SIGNS})
"""The fields that ``read_original`` looks at."""

_FORMS: Final = {
    "method": re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}"),
    "proto": re.compile(rb"https?|wss?"),
    "host": re.compile(rb"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?"),
    "uri": re.compile(rb"/[!-~\x80-\xff]*"),
}
_IN_URL: Final = "".join(map(chr, range(0x21, 0x7F)))


class MisconfiguredError(Exception):
    """The proxy asks in a way that cannot be answered: what is wrong, and what to do."""


class Original(NamedTuple):
    """The request that the client sent to the proxy."""

    method: str
    """A HEAD counts as a GET, for the answer to the proxy has a body all the same."""
    scheme: str
    host: str
    uri: str
    """Path and query as the client wrote them; bytes decoded as Latin-1."""
    is_websocket: bool


class OriginalPage(Page):
    """A page behind the proxy; ``path`` and ``query`` are as the client wrote them.

    ``prefix`` is the origin where the login page is on another host, else empty.
    """

    @property
    def target(self) -> str:
        """The way back; only bytes that no URL may hold are encoded."""
        uri = f"{self.path}?{self.query}" if self.query else self.path
        return self.prefix + quote(uri.encode("latin-1"), safe=_IN_URL)


def read_original(
    fields: Iterable[tuple[bytes, bytes]], proxy: Proxy, own: tuple[str, str | None]
) -> Original:
    """The original request.

    Args:
        fields: Header fields, their names in lower case; each as often as it came.
        proxy: ``"forwarded"``: it is in ``X-Forwarded-*``, all four of them. ``"envoy"``: Envoy
            sends method and ``Host`` as they came.
        own: The method of the request itself, and the URI that Envoy wrote behind the demands.

    Raises:
        MisconfiguredError: A part is missing, malformed, doubled, or there in two versions.
    """
    parts: dict[str, bytes] = {}
    seen: set[bytes] = set()
    names, is_websocket = (_PARTS if proxy == "forwarded" else _BY_ENVOY), False
    for name, value in [field for field in fields if field[0] in READ]:
        if name in names:
            part = names[name]
            if name in seen or parts.setdefault(part, value) != value:
                msg = (
                    f"the original {part} came twice: have the proxy set "
                    f"X-Forwarded-{part.title()}, and delete X-Original-{part.title()}"
                )
                raise MisconfiguredError(msg)
            seen.add(name)
        elif name == b"upgrade":
            is_websocket = is_websocket or is_handshake("GET", value)
        elif name in _SIGNS:
            is_websocket = is_websocket or name != b"sec-fetch-mode" or value == b"websocket"
    if proxy == "envoy":
        parts["method"] = own[0].encode("latin-1", "replace")
        if own[1] is not None:
            parts["uri"] = own[1].encode("latin-1", "replace")
    for part, form in _FORMS.items():
        if part not in parts or form.fullmatch(parts[part]) is None:
            raise MisconfiguredError(_describe(part, proxy, is_missing=part not in parts))
    method, scheme = parts["method"].decode(), parts["proto"].decode()
    return Original(
        "GET" if method == "HEAD" else method,
        scheme.replace("ws", "http"),
        parts["host"].decode(),
        parts["uri"].decode("latin-1"),
        is_websocket and method == "GET",
    )


def _describe(part: str, proxy: Proxy, *, is_missing: bool) -> str:
    what = f"the original {part} is {'missing' if is_missing else 'malformed'}"
    if proxy == "envoy" and part == "uri":
        return f"{what}: end path_prefix with '&uri=', after the demands"
    # Without the method, each POST would be judged as the GET that the proxy makes of it.
    return f"{what}: have the proxy set X-Forwarded-{part.title()}"
