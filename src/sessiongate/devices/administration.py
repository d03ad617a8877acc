"""The page of administrators: where everybody is logged in, and the buttons to end it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from sessiongate.core.row import to_datetime
from sessiongate.devices import AllDevicesPage, UserDevice, page, with_query
from sessiongate.devices.endpoints import (
    PRIVATE,
    Answer,
    Endpoint,
    Endpoints,
    device_fields,
    json_answer,
    on,
    see_other,
    style,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sessiongate.core.row import Row
    from sessiongate.core.steps import Flow
    from sessiongate.devices.endpoints import Asked

_PAGE_SIZE: Final = 50
_LIMIT: Final = 1_000
"""Sessions that one answer of the API may list."""


class AllEndpoints(Endpoints):
    """The page with its search and its forms, and the same for programs."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if not self._demands["scopes"]:
            msg = (
                "scopes must name what an administrator's session has, such as scopes=['admin']: "
                "the page ends the sessions of everybody"
            )
            raise ValueError(msg)

    def __iter__(self) -> Iterator[Endpoint]:
        person, program = self._audiences()
        yield Endpoint("page", "GET", "", person, self._page)
        yield Endpoint("end", "POST", "/end/{handle}", person, self._end)
        yield Endpoint("end_user", "POST", "/end-user", person, self._end_user)
        yield Endpoint("api_list", "GET", "/api", program, self._api_list)
        yield Endpoint("api_end", "DELETE", "/api/{handle}", program, self._api_end)
        yield Endpoint("api_end_user", "POST", "/api/end-user", program, self._api_end_user)
        if self._is_default:
            yield Endpoint("style", "GET", "/style.css", None, style)

    def _page(self, asked: Asked) -> Flow[Answer]:
        username, after = asked.query.get("username", ""), asked.query.get("after")
        rows: list[Row] = []
        try:
            rows += yield from _rows(asked, username, _PAGE_SIZE, after)
        except ValueError:  # nobody's name, or the session that marks the place has ended
            if after is not None:
                return see_other(with_query(asked.page_url(), username=username))
        url, following = asked.page_url(), None
        if len(rows) == _PAGE_SIZE and (yield from _rows(asked, username, 1, rows[-1].sid)):
            following = with_query(url, username=username, after=rows[-1].sid)
        found = AllDevicesPage(
            devices=tuple(UserDevice(**device_fields(asked, r), username=r.username) for r in rows),
            username=username,
            after=after or "",
            now=to_datetime(asked.now),
            url=url,
            home_url=self._home_url,
            next_url=following,
        )
        return self._answer(found, page.render_all)

    def _end(self, asked: Asked) -> Flow[Answer]:
        yield from asked.end(anybodys=True)
        if not asked.session.user.is_authenticated:
            return see_other(self._home_url)
        place = {name: asked.query.get(name, "") for name in ("username", "after")}
        return see_other(with_query(asked.page_url("/end/", asked.handle), **place))

    def _end_user(self, asked: Asked) -> Flow[Answer]:
        username = asked.query.get("username", "")
        with suppress(ValueError):  # nobody can have such a name
            yield from asked.end_user(username)
        return see_other(with_query(asked.page_url("/end-user"), username=username))

    def _api_list(self, asked: Asked) -> Flow[Answer]:
        wanted = asked.query
        try:
            limit = min(int(wanted.get("limit", _PAGE_SIZE)), _LIMIT)
            rows = yield from _rows(asked, wanted.get("username", ""), limit, wanted.get("after"))
        except ValueError as error:
            return json_answer(400, {"error": str(error)})
        devices = [UserDevice(**device_fields(asked, row), username=row.username) for row in rows]
        return json_answer(200, {"sessions": [device.as_json() for device in devices]})

    def _api_end(self, asked: Asked) -> Flow[Answer]:
        ended = yield from asked.end(anybodys=True)
        if ended:
            return Answer(204, PRIVATE)
        return json_answer(404, {"error": "There is no such session."})

    def _api_end_user(self, asked: Asked) -> Flow[Answer]:
        try:
            ended = yield from asked.end_user(asked.query.get("username", ""))
        except ValueError as error:
            return json_answer(400, {"error": str(error)})
        return json_answer(200, {"ended": ended})


def _rows(asked: Asked, username: str, limit: int, after: str | None) -> Flow[tuple[Row, ...]]:
    manager = asked.session.settings.manager
    page = manager.administration.page(manager.now(), username or None, limit, after)
    return on(manager, page)
