"""The picture of rotation, drawn from the table by trying it.

``explore`` presents every kind of token in every state and writes down where it leads; the SVG has
an arrow for each pair of states that came up, and none besides. To draw it again:

    python -m tests.rotation.picture
"""

from __future__ import annotations

from collections import defaultdict
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from sessiongate.core.rotation import NOW, WHEN_DUE, Policy, present
from sessiongate.core.row import FOREVER, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE: Final = Path(__file__).parents[2] / "docs/images/rotation.svg"

POLICIES: Final = [
    Policy(timeout=1_000, rotate_after=after, grace=30, touch_every=0, time_resolution=1)
    for after in (100, 10)
]
"""As advised, and with rotations that fall into an open overlap."""
START: Final = Row(
    *("sid", "alice", 0, 0, 1_000, FOREVER),
    generation=0,
    rotated_at=0,
    previous_until=0,
    oldest_accepted=0,
    revoked_below=0,
    shared=False,
    scopes_and_claims="",
    device="",
)

CURRENT, DUE = "current presented", "current presented, rotation due"
PREVIOUS, OLDER = "predecessor presented", "older one presented"
REFRESH, GRACE_OVER = "refresh()", "grace is over"
STEPS: Final = 7
"""So many that every state comes up with every kind of past."""

Edge = tuple[str, str, str]
"""State, what happens, state."""


def state_of(row: Row, now: int) -> str:
    if row.previous_until == FOREVER:
        return "unseen"
    return "overlap" if now < row.previous_until else "settled"


def happenings(row: Row, now: int, policy: Policy) -> Iterator[tuple[str, int, int, int]]:
    """What can happen to a row: a name, the generation presented, when, and whether to rotate."""
    soon, due = max(now, row.rotated_at + 1), max(now, row.rotated_at + policy.rotate_after)
    if soon < due:
        yield CURRENT, row.generation, soon, WHEN_DUE
    yield DUE, row.generation, due, WHEN_DUE
    yield REFRESH, row.generation, soon, NOW
    for older in range(row.revoked_below, row.generation):
        name = PREVIOUS if older >= row.oldest_accepted else OLDER
        yield name, older, soon, WHEN_DUE


def explore() -> set[Edge]:
    """Every step from every state that can be reached."""
    edges: set[Edge] = set()
    for policy in POLICIES:
        reached = {(START, 0)}
        for _ in range(STEPS):
            found = [found for row, now in reached for found in steps(row, now, policy)]
            edges |= {edge for edge, _, _ in found}
            reached = {(row, now) for _, row, now in found if row is not None}
    return edges


def steps(row: Row, now: int, policy: Policy) -> Iterator[tuple[Edge, Row | None, int]]:
    """What can happen next, and the row and the time after it."""
    before = state_of(row, now)
    for name, generation, when, rotation in happenings(row, now, policy):
        if state_of(row, when) != before:
            continue  # the grace ran out meanwhile: that is a step of its own
        after = present(row, generation, when, policy, rotation)
        if isinstance(after, Row):
            yield (before, name, state_of(after, when)), after, when
        else:
            yield (before, name, "ended" if after == "replayed" else "refused"), None, when
    if before == "overlap":
        over = row.previous_until
        yield (before, GRACE_OVER, state_of(row, over)), row, over


class Box(NamedTuple):
    """A state on the paper."""

    x: int
    y: int
    title: str
    about: str


WIDTH, HEIGHT = 264, 104
BOXES: Final = {
    "settled": Box(14, 190, "Settled", "one token is valid"),
    "unseen": Box(340, 24, "Rotated", "successor not seen yet"),
    "overlap": Box(340, 376, "Overlap", "successor seen, grace runs"),
    "ended": Box(667, 190, "Ended", "one event, “replayed”"),
}
ARROWS: Final = {
    ("settled", "unseen"): ("M90 190 C90 90 200 60 340 60", 200, 66, "end"),
    ("unseen", "settled"): ("M340 100 C270 110 215 140 205 190", 252, 158, "start"),
    ("unseen", "overlap"): ("M450 128 L450 376", 442, 246, "end"),
    ("overlap", "unseen"): ("M530 376 L530 128", 538, 266, "start"),
    ("overlap", "settled"): ("M340 410 C270 400 215 360 205 294", 240, 342, "start"),
    ("unseen", "ended"): ("M604 76 C700 76 780 110 790 190", 700, 66, "start"),
    ("overlap", "ended"): ("M604 428 C700 428 780 380 790 294", 712, 444, "start"),
    ("settled", "ended"): ("M90 294 C90 600 850 600 850 294", 470, 548, "middle"),
}
SHORT: Final = {DUE: "current, due", CURRENT: "current", PREVIOUS: "predecessor", OLDER: "older"}

STYLE: Final = """\
  text { font: 16px system-ui, sans-serif; fill: #20243a }
  .title { font-weight: 700; font-size: 18px }
  .stays { font-size: 14px; fill: #555b75 }
  .box { fill: #eef1ff; stroke: #4051b5; stroke-width: 1.5 }
  .ended { fill: #ffecec; stroke: #b3261e }
  path { fill: none; stroke: #4051b5; stroke-width: 1.5; marker-end: url(#tip) }
"""


def draw() -> str:
    """The SVG; an edge without an arrow on the paper is a ``KeyError``."""
    labels: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for before, name, after in sorted(explore()):
        labels[before, after].append(SHORT.get(name, name))
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 945 570" role="img">',
        f"<style>\n{STYLE}</style>",
        (
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8"'
            ' markerHeight="8" orient="auto"><path d="M0 0 L8 4 L0 8 Z" style="fill:#4051b5;'
            'stroke:none;marker-end:none"/></marker></defs>'
        ),
        '<rect width="945" height="570" rx="12" fill="#fff"/>',
    ]
    for state, box in BOXES.items():
        kind = "box ended" if state == "ended" else "box"
        parts += [
            (
                f'<rect class="{kind}" x="{box.x}" y="{box.y}" width="{WIDTH}" height="{HEIGHT}"'
                ' rx="10"/>'
            ),
            _text(box.x + 16, box.y + 30, box.title, "title"),
            _text(box.x + 16, box.y + 54, box.about),
        ]
        staying = labels.pop((state, state), [])
        if staying:
            stays = f"stays: {', '.join(staying)}"
            parts.append(_text(box.x + 16, box.y + 82, stays, "stays"))
    for pair in sorted(labels):
        path, x, y, anchor = ARROWS[pair]
        parts.append(f'<path d="{path}"/>')
        parts.append(_text(x, y, " or ".join(labels[pair]), anchor=anchor))
    return "\n".join([*parts, "</svg>", ""])


def _text(x: int, y: int, text: str, kind: str = "", anchor: str = "start") -> str:
    mark = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}"{mark} text-anchor="{anchor}">{escape(text)}</text>'


if __name__ == "__main__":
    FILE.write_text(draw(), encoding="utf-8")
