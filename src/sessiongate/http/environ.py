"""The header fields in a WSGI environ (PEP 3333), which Django has under ASGI as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

CLIENT_FIELDS: Final = ("HTTP_SEC_FETCH_SITE", "HTTP_ORIGIN", "HTTP_HOST", "HTTP_USER_AGENT")
"""The fields that only some requests need."""


def find(environ: Mapping[str, Any], name: bytes) -> list[bytes]:
    """The values of a header field. Test clients put in what no server would: then ``?``."""
    value = environ.get(f"HTTP_{name.decode().upper().replace('-', '_')}")
    return [] if value is None else [value.encode("latin-1", "replace")]
