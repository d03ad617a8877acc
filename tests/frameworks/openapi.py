"""Whether a description of an API is what OpenAPI 3.1 says."""

from __future__ import annotations

from typing import Any

__all__ = ["check_openapi"]


def check_openapi(document: Any) -> None:
    """Raise the validator's error if a document is none of OpenAPI 3.1."""
    # Here, for it takes longer to load than any other module of the tests.
    from openapi_spec_validator import OpenAPIV31SpecValidator, validate  # noqa: PLC0415

    validate(document, cls=OpenAPIV31SpecValidator)
