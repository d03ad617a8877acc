"""The page of an app that has no template of its own: HTML without script or inline style."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Final

from sessiongate.devices import AllDevicesPage, UserDevice
from sessiongate.devices.markup import Html, ago, day_of, fill
from sessiongate.devices.token_section import new_token, token_section

if TYPE_CHECKING:
    from sessiongate.devices import Device, DevicesPage

STYLE: Final = files("sessiongate.devices").joinpath("style.css").read_text(encoding="utf-8")
_VERSION: Final = sha256(STYLE.encode()).hexdigest()[:12]
"""In its URL, so that browsers keep it until there is a newer one."""

_PAGE: Final = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<link rel="stylesheet" href="$style_url">
</head>
<body>
<header><nav aria-label="Back"><a href="$home_url"><span aria-hidden="true">←</span> Back</a></nav></header>
<main>
<h1>$title</h1>
$lead<ul role="list">
$devices</ul>
$rest</main>
</body>
</html>
""")  # noqa: E501

_DEVICE: Final = Template("""\
<li$current>
<div>
<h2 id="device-$number">$name</h2>$badges
<dl>
$owner<div><dt>Last seen</dt><dd>$seen</dd></div>
<div><dt>Logged in</dt><dd>$since</dd></div>
<div><dt>IP address</dt><dd>$ip</dd></div>
</dl>
</div>
<form method="post" action="$url"><button id="end-$number" \
aria-labelledby="end-$number device-$number">Log out</button></form>
</li>
""")

_LEAD: Final = Template("""\
<p class="lead">Where <strong>$username</strong> is logged in. If you do not know one, \
log it out and change your password.</p>
""")
_SEARCH: Final = Template("""\
<form class="search" role="search" action="$url"><label for="username">Username</label>
<input id="username" name="username" value="$username" autocapitalize="none" spellcheck="false">
<button class="plain">Search</button></form>
""")
_OWNER: Final = Template('<div><dt>User</dt><dd><a href="$url">$username</a></dd></div>\n')
_ALL: Final = Template("""\
<form method="post" action="$url"><button class="all">$words</button></form>
""")
_NEXT: Final = Template('<p><a href="$url">Next page</a></p>\n')

_NO_OTHERS: Final = Html('<p class="note">You are logged in nowhere else.</p>\n')
_NOBODY: Final = Html('<p class="note">Nobody is logged in under this name.</p>\n')
_HERE: Final = Html(' <span class="badge">This device</span>')
_REMEMBERED: Final = Html(' <span class="badge">Stays logged in</span>')
_BOUND: Final = Html(' <span class="badge">Bound to its device</span>')
_CURRENT: Final = Html(' class="current"')


def render(page: DevicesPage) -> str:
    """The whole document."""
    rest = _NO_OTHERS
    if page.has_others:
        rest = fill(_ALL, url=page.end_others_url, words="Log out all other devices")
    return _document(
        page,
        title="My devices",
        lead=Html(new_token(page) + fill(_LEAD, username=page.username)),
        rest=Html(rest + token_section(page)),
    )


def render_all(page: AllDevicesPage) -> str:
    """The whole document of an administrator's page."""
    rest = "" if page.devices else _NOBODY
    if page.next_url is not None:
        rest += fill(_NEXT, url=page.next_url)
    if page.username and page.devices:
        rest += fill(_ALL, url=page.end_user_url, words=f"Log out {page.username} everywhere")
    lead = fill(_SEARCH, url=page.url, username=page.username)
    return _document(page, title="All devices", lead=lead, rest=Html(rest))


def _document(page: DevicesPage | AllDevicesPage, **parts: str) -> str:
    devices = enumerate(page.devices, 1)
    return fill(
        _PAGE,
        style_url=page.below(f"style.css?v={_VERSION}"),
        home_url=page.home_url,
        devices=Html("".join(_device(page, device, number) for number, device in devices)),
        **parts,
    )


def _device(page: DevicesPage | AllDevicesPage, device: Device, number: int) -> Html:
    owner = ""
    if isinstance(page, AllDevicesPage) and isinstance(device, UserDevice):
        owner = fill(_OWNER, url=page.user_url(device), username=device.username)
    return fill(
        _DEVICE,
        current=_CURRENT if device.is_current else "",
        badges=Html(
            (_HERE if device.is_current else "")
            + (_REMEMBERED if device.is_remembered else "")
            + (_BOUND if device.is_device_bound else "")
        ),
        owner=owner,
        number=str(number),
        name=device.name,
        ip=device.ip or "Unknown",
        seen=ago(device.last_accessed, page.now),
        since=day_of(device.created_at, ", %H:%M UTC"),
        url=page.end_url(device),
    )
