"""News by PUBLISH. The proof goes out on the way that commands go, and comes back on this one.

A connection that is up proves nothing: a primary that was demoted answers for ever.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from sessiongate.core.row import FOREVER
from sessiongate.errors import StoreError
from sessiongate.stores.engine import result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sessiongate.stores.base import News

_SUBSCRIBED: Final = 2
_MOST: Final = 1000
"""Messages that are handed out in one go."""
_GAP: Final = "the feed from Redis was interrupted: there may have been news meanwhile"


class RedisFeed:
    """One subscription, of one thread.

    Args:
        client: Of the store, for this feed alone.
        base: What the names of channels begin with.
        echo: Has the server publish a proof: channel, number and term.
        failure: Makes a ``StoreError`` of an error of the driver.
    """

    def __init__(
        self,
        client: Any,
        base: str,
        echo: Callable[[str, int, str], None],
        failure: Callable[[Exception], Exception],
    ) -> None:
        self._client, self._echo, self._failure = client, echo, failure
        self._mine = f"{base}echo:{secrets.token_hex(8)}"
        self._term: bytes | None = None
        """Of the lease by which changes are told."""
        self._number = self._subscribed = 0
        self._closed = False
        self._subscription = client.client.pubsub()
        self._driver(self._subscription.subscribe, f"{base}news", self._mine)

    def _driver(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        try:
            return call(*arguments, **options)
        except Exception as error:  # noqa: BLE001 - raised again
            if self._closed:  # in the middle: it fails with anything
                raise StoreError(_GAP) from None
            self.close()
            raised = self._failure(error)
            raise raised from raised.__cause__

    def probe(self) -> None:
        self._number += 1
        self._echo(self._mine, self._number, secrets.token_hex(8))

    def wait(self, seconds: float) -> Sequence[News | None]:
        if self._closed:
            raise StoreError(_GAP)
        found: list[News | None] = []
        while len(found) < _MOST:
            timeout = 0 if found else seconds
            message = self._driver(self._subscription.get_message, timeout=timeout)
            if message is None:
                return found
            if message["type"] != "message":
                self._subscribed += 1
                if self._subscribed > _SUBSCRIBED:  # the driver has connected once more
                    raise StoreError(_GAP)
            elif message["channel"] == self._mine.encode():
                found += self._proof(*message["data"].split())
            else:
                sid, _, generation = message["data"].decode().partition(" ")
                found.append((sid, FOREVER if generation == "ended" else int(generation)))
        return found

    def _proof(self, number: bytes, term: bytes) -> list[None]:
        if self._term not in {None, term}:
            raise StoreError(_GAP)
        self._term = term
        return [None] * (int(number) == self._number)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._subscription.close()
            result_of(self._client.close())
