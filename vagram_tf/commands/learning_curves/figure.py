"""The figures of `plot`: learning curves, one panel per everything but the loss, and bars of final
returns.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from vagram_tf import files
from vagram_tf.commands.learning_curves.statistics import Point, Score
from vagram_tf.commands.learning_curves.sweep_table import panel_of
from vagram_tf.commands.report import palette, style

_COLUMNS = 4  # most panels side by side
_MOST_INSIDE = 6  # most curves of a panel whose legend is inside of it
_INTERVAL = "mean and 95 % bootstrap interval over seeds"


def draw(
    curve: Sequence[Point],
    final: Sequence[Point],
    scores: Sequence[Score],
    last: float,
    output: str,
) -> list[Path]:
    """Draws both figures and writes the numbers in them; returns the files."""
    with plt.rc_context(style.STYLE):
        written = [
            *_learning_curves(curve, output),
            _table(curve, f"{output}.csv"),
            *_bars(final, scores, last, f"{output}_final"),
            _table(final, f"{output}_final.csv"),
        ]
    return [*written, _table(scores, f"{output}_all.csv")] if scores else written


def _learning_curves(curve: Sequence[Point], output: str) -> list[Path]:
    panels = _by_panel(curve)
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(max(6.0, 3.0 * columns), 0.5 + 2.4 * rows),
        squeeze=False,
        layout="constrained",
    )
    for axes, (panel, settings) in zip(grid.flat, panels.items(), strict=False):
        colours = palette.colours(settings)
        for loss, points in settings.items():
            steps = [point.env_step for point in points]
            seeds = sorted({point.seeds for point in points})
            count = f"n = {seeds[-1]}" if len(seeds) == 1 else f"n = {seeds[0]} to {seeds[-1]}"
            colour = colours[loss]
            axes.plot(
                steps,
                [p.mean for p in points],
                color=colour,
                label=f"{loss} ({count})",
                linewidth=1.5,
            )
            axes.plot(steps, [p.iqm for p in points], color=colour, linewidth=0.9, linestyle="--")
            axes.fill_between(
                steps,
                [p.low for p in points],
                [p.high for p in points],
                color=colour,
                alpha=0.15,
                linewidth=0,
            )
        axes.set_title(panel)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        beside = (
            {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
            if len(settings) > _MOST_INSIDE
            else {}
        )
        axes.legend(fontsize=7.5, handlelength=1.3, borderaxespad=0.2, **beside)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_axis_off()
    figure.supxlabel("environment steps", fontsize=9)
    figure.supylabel("return", fontsize=9)
    figure.suptitle(f"{_INTERVAL}; dashed: interquartile mean", fontsize=8.5)
    return style.save(figure, output)


def _bars(final: Sequence[Point], scores: Sequence[Score], last: float, output: str) -> list[Path]:
    """Draws a group of bars per panel and, where scores are given, those of all panels beside
    it.
    """
    panels = _by_panel(final)
    figure, grid = plt.subplots(
        1,
        2 if scores else 1,
        figsize=(11 if scores else 7, 1.0 + 0.24 * (len(final) + len(panels))),
        squeeze=False,
        layout="constrained",
        width_ratios=[3, 2] if scores else [1],
    )
    axes, place = grid[0, 0], 0.0
    places, names = [], []
    for panel, settings in panels.items():
        if panel:
            places.append(place)
            names.append(panel)
            place += 1
        colours = palette.colours(settings)
        for loss, (point,) in settings.items():
            _bar(axes, place, colours[loss], _Interval(point.mean, point.low, point.high))
            places.append(place)
            names.append(f"{loss} (n = {point.seeds})")
            place += 1
        place += 0.4
    axes.set_yticks(places, names)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.6)
    axes.set(
        title=_INTERVAL,
        xlabel=f"final return: evaluations in the last {100 * last:g} % of the steps",
    )
    if scores:
        colours = palette.colours(score.loss for score in scores)
        for i, score in enumerate(scores):
            _bar(grid[0, 1], i, colours[score.loss], _Interval(score.iqm, score.low, score.high))
        grid[0, 1].set_yticks(range(len(scores)), [f"{of.loss} (n = {of.runs})" for of in scores])
        grid[0, 1].invert_yaxis()
        grid[0, 1].set(
            title=f"interquartile mean over seeds\nand {scores[0].panels} panels, 95 % interval",
            xlabel="final score\n(0 smallest, 1 largest mean of a panel)",
        )
    return style.save(figure, output)


class _Interval(NamedTuple):
    middle: float
    low: float
    high: float


def _bar(axes: Axes, place: float, colour: str, of: _Interval) -> None:
    error = None if math.isnan(of.low) else [[of.middle - of.low], [of.high - of.middle]]
    axes.barh(
        place,
        of.middle,
        height=0.8,
        color=colour,
        alpha=0.75,
        xerr=error,
        error_kw={"elinewidth": 1.2, "capsize": 2.5, "ecolor": "#333333"},
    )


def _by_panel(points: Sequence[Point]) -> dict[str, dict[str, list[Point]]]:
    """Returns the points by panel and curve; losses first, in the order of the palette."""
    order = {loss: place for place, loss in enumerate(palette.COLOURS)}
    panels: dict[str, dict[str, list[Point]]] = {}
    for point in sorted(
        points, key=lambda point: order.get(panel_of(point.setting)[1], len(order))
    ):
        panel, loss = panel_of(point.setting)
        panels.setdefault(panel, {}).setdefault(loss, []).append(point)
    first = list(dict.fromkeys(panel_of(point.setting)[0] for point in points))
    return {panel: panels[panel] for panel in first}


def _table(rows: Sequence[Point] | Sequence[Score], path: str) -> Path:
    """Writes rows as CSV; what is not a number is left empty."""
    cells = (
        ["" if isinstance(cell, float) and np.isnan(cell) else cell for cell in row] for row in rows
    )
    return files.write(Path(path), files.csv_text([rows[0]._fields, *cells]))
