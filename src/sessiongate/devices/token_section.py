"""The API tokens on the default page: the new one, the others, and the form that makes one."""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING, Final

from sessiongate.devices import DEFAULT_LIFETIME, LIFETIMES
from sessiongate.devices.markup import Html, ago, day_of, fill

if TYPE_CHECKING:
    from sessiongate.devices import APIToken, DevicesPage

_NEW: Final = Template("""\
<div class="card current">
<h2><label for="new-token">Your new API token</label></h2>
<p id="new-token-note">Copy it now: it is shown this once, and nobody can show it again.</p>
<textarea id="new-token" rows="2" readonly autofocus autocomplete="off" spellcheck="false" \
aria-describedby="new-token-note">$token</textarea>
</div>
""")
_ERROR: Final = Template("""\
<p class="card error" role="alert">No API token was made: $error.</p>
""")
_SECTION: Final = Template("""\
<section aria-labelledby="api-tokens">
<h2 id="api-tokens">API tokens</h2>
<p class="lead">For scripts and other programs, which act as you. Revoke what you no longer use.</p>
$tokens<form class="card make" method="post" action="$url" aria-labelledby="make-token">
<h3 id="make-token">Make a token</h3>
<p><label for="token-name">Name</label>
<input id="token-name" name="name" required maxlength="256" autocomplete="off"></p>
$scopes<p><label for="token-lifetime">Lifetime</label>
<select id="token-lifetime" name="expires_in">$lifetimes</select></p>
<button class="plain">Make the token</button>
</form>
</section>
""")
_TOKEN: Final = Template("""\
<li>
<div>
<h3 id="token-$number">$name</h3>
<dl>
<div><dt>Scopes</dt><dd>$scopes</dd></div>
<div><dt>Created</dt><dd>$created</dd></div>
<div><dt>Last used</dt><dd>$used</dd></div>
<div><dt>Ends</dt><dd>$ends</dd></div>
</dl>
</div>
<form method="post" action="$url"><button id="revoke-$number" \
aria-labelledby="revoke-$number token-$number">Revoke</button></form>
</li>
""")
_LIST: Final = Template('<ul role="list">\n$tokens</ul>\n')
_SCOPES: Final = Template("""\
<fieldset>
<legend>Scopes: what it may do</legend>
$scopes</fieldset>
""")
_SCOPE: Final = Template("""\
<label><input type="checkbox" name="scopes" value="$scope"> $scope</label>
""")
_LIFETIME: Final = Template('<option value="$seconds"$selected>$words</option>')
_NONE: Final = Html('<p class="note">You have no API tokens.</p>\n')
_SELECTED: Final = Html(" selected")


def new_token(page: DevicesPage) -> Html:
    """The token that was made just now, or why there is none; nothing if none was asked for."""
    if page.error is not None:
        return fill(_ERROR, error=page.error)
    return Html() if page.new_token is None else fill(_NEW, token=page.new_token)


def token_section(page: DevicesPage) -> Html:
    """The API tokens of the user and the form that makes one; nothing if the page has none."""
    if page.api_tokens is None:
        return Html()
    tokens = [_token(page, token, number) for number, token in enumerate(page.api_tokens, 1)]
    scopes = "".join(fill(_SCOPE, scope=scope) for scope in page.token_scopes)
    lifetimes = [
        fill(
            _LIFETIME,
            seconds=seconds,
            words=words,
            selected=_SELECTED if seconds == DEFAULT_LIFETIME else "",
        )
        for seconds, words in LIFETIMES.items()
    ]
    return fill(
        _SECTION,
        url=page.make_token_url,
        tokens=fill(_LIST, tokens=Html("".join(tokens))) if tokens else _NONE,
        scopes=fill(_SCOPES, scopes=Html(scopes)) if scopes else "",
        lifetimes=Html("".join(lifetimes)),
    )


def _token(page: DevicesPage, token: APIToken, number: int) -> Html:
    return fill(
        _TOKEN,
        number=str(number),
        name=token.name,
        scopes=", ".join(token.scopes) or "None",
        created=day_of(token.created_at),
        used="Never" if token.last_used is None else ago(token.last_used, page.now),
        ends="Never" if token.expires_at is None else day_of(token.expires_at),
        url=page.revoke_url(token),
    )
