"""News by NOTIFY. The proof goes out on the way that changes go, and comes back on this one.

NOTIFY is delivered in the order of the commits, so what was told before comes before the proof. A
pooler that drops LISTEN, or a server that was replaced, brings none.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from sessiongate.core.row import FOREVER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sessiongate.stores.base import News

_PROOF: Final = "proof"


class PostgresFeed:
    """One listening connection, of one thread.

    Args:
        connect: Opens it.
        channel: Where changes are told.
        notify: Sends a text there, as a change would.
        failure: Makes a ``StoreError`` of an error of the driver.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        channel: str,
        notify: Callable[[str], None],
        failure: Callable[[Exception], Exception],
    ) -> None:
        self._notify, self._failure = notify, failure
        self._mine, self._number = secrets.token_hex(8), 0
        self._connection: Any = None
        try:
            self._connection = connect()
            self._connection.execute(f'LISTEN "{channel}"', prepare=False)
        except Exception as error:  # noqa: BLE001 - raised again
            raise self._broken(error) from None

    def probe(self) -> None:
        self._number += 1
        self._notify(f"{_PROOF} {self._mine} {self._number}")

    def wait(self, seconds: float) -> Sequence[News | None]:
        found: list[News | None] = []
        try:
            for told in self._connection.notifies(timeout=seconds, stop_after=1):
                sid, *rest = told.payload.split()
                if sid != _PROOF:
                    found.append((sid, int(rest[0]) if rest else FOREVER))
                elif rest == [self._mine, str(self._number)]:
                    found.append(None)
        except Exception as error:  # noqa: BLE001 - raised again
            raise self._broken(error) from None
        return found

    def _broken(self, error: Exception) -> Exception:
        self.close()
        return self._failure(error)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
