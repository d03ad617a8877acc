"""Plots, as PNG and SVG, for the documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from report import IMAGES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from measure import Case

__all__ = ["bars", "lines"]

mpl.rcParams["svg.hashsalt"] = "sessiongate"
_COLOURS: Final = {"ours": "#2563eb", "floor": "#64748b", "rival": "#cbd5e1"}


def bars(name: str, title: str, groups: Sequence[Sequence[Case]]) -> None:
    """What each row costs over the bare app of its group, one panel for each group."""
    panels = [[case for case in group if case.kind != "bare"] for group in groups]
    figure = Figure(figsize=(9, 0.9 + sum(0.30 * len(panel) + 0.75 for panel in panels)))
    grid = figure.subplots(
        len(panels), squeeze=False, gridspec_kw={"height_ratios": [len(p) + 1 for p in panels]}
    )
    for axes, panel, group in zip(grid[:, 0], panels, groups, strict=True):
        bare = group[0].minimum if group[0].kind == "bare" else 0.0
        over = [case.minimum - bare for case in panel]
        drawn = axes.barh(
            [case.name for case in panel], over, color=[_COLOURS[case.kind] for case in panel]
        )
        axes.bar_label(drawn, fmt=" %.3g", fontsize=8)
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.tick_params(labelsize=8)
        axes.set_xticks([])
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        over_what = f"over the {group[0].name}" if bare else "each"
        axes.set_title(f"µs {over_what}", fontsize=9, loc="left", color="#475569")
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    _save(figure, name)


def lines(
    name: str,
    title: str,
    axes_names: tuple[str, str],
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    logarithmic: bool = False,
) -> None:
    """One line for each series of points."""
    figure = Figure(figsize=(8, 4.2))
    axes = figure.subplots()
    for label, points in series.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=label)
    if logarithmic:
        axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel(axes_names[0])
    axes.set_ylabel(axes_names[1])
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False)
    axes.set_title(title, fontsize=11, loc="left")
    _save(figure, name)


def _save(figure: Figure, name: str) -> None:
    figure.tight_layout()
    IMAGES.mkdir(exist_ok=True)
    for kind in ("png", "svg"):
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(IMAGES / f"{name}.{kind}", dpi=120, metadata=metadata)
