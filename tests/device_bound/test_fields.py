"""The header fields of the protocol, in the spellings of both drafts."""

from __future__ import annotations

import json

import pytest

from sessiongate.device_bound.fields import (
    MALFORMED,
    forget,
    instructions,
    next_challenge,
    read_identifier,
    read_proof,
    registration,
)


def finding(**fields: list[bytes]) -> dict[str, list[bytes]]:
    return {name.replace("_", "-"): values for name, values in fields.items()}


def proof_in(fields: dict[str, list[bytes]]) -> str | None:
    return read_proof(lambda name: fields.get(name.decode(), []))


@pytest.mark.parametrize("name", ["secure_session_response", "sec_session_response"])
def test_both_drafts_are_read_with_quotes_and_without(name: str) -> None:
    assert proof_in(finding(**{name: [b"a.b-c_d"]})) == "a.b-c_d"
    assert proof_in(finding(**{name: [b' "a.b-c_d"\t']})) == "a.b-c_d"


@pytest.mark.parametrize("name", [b"sec-secure-session-id", b"sec-session-id"])
def test_the_session_is_named_in_both_drafts(name: bytes) -> None:
    assert read_identifier(lambda asked: [b'"one"'] if asked == name else []) == "one"
    assert read_identifier(lambda _: []) is None


@pytest.mark.parametrize(
    "values",
    [[b""], [b'"'], [b'"a'], [b'a"'], [b'""'], [b"a,b"], [b"a;b"], [b"a", b"a"], [b"\xff"]],
)
def test_what_is_not_one_clear_value_is_malformed(values: list[bytes]) -> None:
    assert proof_in(finding(secure_session_response=values)) == MALFORMED


def test_one_value_in_each_spelling_is_malformed() -> None:
    both = finding(secure_session_response=[b"a"], sec_session_response=[b"b"])
    assert proof_in(both) == MALFORMED
    assert proof_in({}) is None


def test_what_asks_for_a_registration() -> None:
    assert registration("/app/.sessiongate/bind", "c.1.2.mac", "ES256") == (
        "Secure-Session-Registration",
        '(ES256);path="/app/.sessiongate/bind";challenge="c.1.2.mac"',
    )


def test_no_path_breaks_out_of_its_quotes() -> None:
    _, value = registration('/ä"; x=\\\r\n', "c", "ES256")
    assert value == '(ES256);path="/%C3%A4%22%3B%20x=%5C%0D%0A";challenge="c"'


def test_what_the_next_proof_is_to_answer() -> None:
    assert next_challenge("c.1", "one") == ("Secure-Session-Challenge", '"c.1";id="one"')


def test_the_instructions_name_one_cookie_and_let_all_sites_renew_it() -> None:
    told = json.loads(
        instructions("one", "/.sessiongate/refresh/S", "__Host-session", "Path=/; Secure")
    )
    assert told["session_identifier"] == "one"
    assert told["refresh_url"] == "/.sessiongate/refresh/S"
    assert told["credentials"] == [
        {"type": "cookie", "name": "__Host-session", "attributes": "Path=/; Secure"}
    ]
    assert told["allowed_refresh_initiators"] == ["*"]
    assert told["scope"]["include_site"] is False
    assert "continue" not in told


def test_a_browser_is_told_to_forget() -> None:
    assert json.loads(forget("one")) == {"session_identifier": "one", "continue": False}
