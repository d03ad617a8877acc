"""The default page of my devices, on the screen of a phone and on that of a desk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from flask import Flask
from playwright.sync_api import expect
from tests.browser.pages import sticking_out
from tests.servers.running import serving_wsgi

from sessiongate import SessionCookie, SessionManager
from sessiongate.devices.flask import my_devices
from sessiongate.wsgi import SessionAuthMiddleware

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

pytestmark = pytest.mark.slow

DEVICES = [
    {"name": "Firefox on Linux", "ip": "2001:db8:1234:5678:9abc:def0:1234:5678"},
    {"name": "W" * 120},
    {"name": "The telephone of the waiting room on the second floor", "ip": "192.0.2.7"},
]


@pytest.mark.parametrize("width", [320, 1280])
def test_it_fits_the_screen(visitor: BrowserContext, width: int) -> None:
    manager = SessionManager(existing="new", max_concurrent_sessions=None)
    tokens = [manager.create_session("alice", device=device) for device in DEVICES]
    app, cookie = Flask(__name__), SessionCookie(name="id", secure=False)
    app.register_blueprint(my_devices())
    app.wsgi_app = SessionAuthMiddleware(app.wsgi_app, manager, cookie=cookie)  # type: ignore[method-assign]
    with serving_wsgi(app) as address:
        visitor.add_cookies([{"name": "id", "value": tokens[0] or "", "url": f"http://{address}"}])
        tab = visitor.new_page()
        tab.set_viewport_size({"width": width, "height": 700})
        tab.goto(f"http://{address}/devices")
        expect(tab.get_by_role("listitem")).to_have_count(len(DEVICES))
        assert sticking_out(tab) == []
