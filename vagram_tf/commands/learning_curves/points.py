"""Points with intervals: final returns, and the losses over all panels."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from vagram_tf.commands.learning_curves import layout
from vagram_tf.commands.learning_curves.comparison import Improvement, Score
from vagram_tf.commands.learning_curves.panels import Look
from vagram_tf.commands.learning_curves.statistics import Point
from vagram_tf.commands.report import palette, style

_LINE = 0.24  # inches between two points
_BESIDE = 0.6  # inches that a panel needs besides its points


def final(points: Sequence[Point], look: Look, output: str) -> list[Path]:
    """Draws final returns, a line per curve; returns the files."""
    panels = layout.by_panel(points)
    labels = layout.labels(points, look)
    figure, placed, first = layout.grid(panels, _BESIDE + _LINE * len(labels), look)
    lines = palette.lines(look.labels)
    for panel, axes in placed.items():
        _lines(axes, list(labels.values()))
        axes.tick_params(labelleft=axes in first)
        for y, name in enumerate(labels):
            for point in panels[panel].get(name, ()):
                colour, _ = lines[name]
                _point(axes, y, colour, point.mean, point.low, point.high)
                if look.interquartile_mean:
                    axes.plot(point.iqm, y, "D", color=colour, mfc="white", markersize=4, zorder=3)
    figure.supxlabel(
        "return over the whole run"
        if look.last == 1
        else f"final return: evaluations in the last {100 * look.last:g} % of the steps",
        fontsize=9,
    )
    title = layout.statistic(points) + "; white: interquartile mean" * look.interquartile_mean
    figure.suptitle(title, fontsize=8.5)
    return style.save(figure, output)


def comparison(
    scores: Sequence[Score], improvements: Sequence[Improvement], look: Look, output: str
) -> list[Path]:
    """Draws scores, where there are any, and the probabilities that the first loss improves on each
    of the others; returns the files.
    """
    against = [of for of in improvements if of.loss == improvements[0].loss]
    figure, grid = plt.subplots(
        1,
        2 if scores else 1,
        figsize=(8.0 if scores else 4.5, 1.2 + _LINE * (len(against) + 1)),
        squeeze=False,
        layout="constrained",
    )
    if scores:
        _scores(grid[0, 0], scores, look)
    _improvements(grid[0, -1], against, look)
    said = [panel.title for panel in look.panels.values()] if len(look.panels) == 1 else []
    if not math.isnan(against[0].low):
        said.append("with 95 % bootstrap intervals over seeds")
    figure.suptitle("\n".join(said), fontsize=8.5)
    return style.save(figure, output)


def _scores(axes: Axes, scores: Sequence[Score], look: Look) -> None:
    lines = {
        of.loss: (f"{look.labels[of.loss]} (n = {of.runs})", of.iqm, of.low, of.high)
        for of in scores
    }
    _compared(axes, lines, look)
    axes.set(
        title=f"interquartile mean over {scores[0].panels} panels",
        xlabel="score (0 smallest, 1 largest mean of a panel)",
    )


def _improvements(axes: Axes, against: Sequence[Improvement], look: Look) -> None:
    lines = {
        of.other: (
            f"{look.labels[of.loss]} > {look.labels[of.other]}",
            of.probability,
            of.low,
            of.high,
        )
        for of in against
    }
    _compared(axes, lines, look)
    axes.axvline(0.5, color="black", linewidth=0.8, linestyle="--", zorder=0)
    axes.set(
        title="probability of improvement",
        xlabel=f"P(larger return{' over the whole run' if look.last == 1 else ' at the end'})",
        xlim=(-0.03, 1.03),
    )


def _compared(axes: Axes, lines: Mapping[str, tuple[str, float, float, float]], look: Look) -> None:
    """Draws label, middle, low and high of each loss, a line each, in the palette's order."""
    looks, ordered = palette.lines(look.labels), sorted(lines, key=palette.place)
    for y, loss in enumerate(ordered):
        _, middle, low, high = lines[loss]
        _point(axes, y, looks[loss][0], middle, low, high)
    _lines(axes, [lines[loss][0] for loss in ordered])


def _point(axes: Axes, y: float, colour: str, middle: float, low: float, high: float) -> None:
    """Draws a point with its interval; one that is NaN is not drawn."""
    axes.errorbar(
        middle,
        y,
        xerr=[[middle - low], [high - middle]],
        fmt="o",
        color=colour,
        markersize=5,
        elinewidth=1.5,
        capsize=3.5,
    )


def _lines(axes: Axes, labels: Sequence[str]) -> None:
    """Names the lines of points, from top to bottom."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
