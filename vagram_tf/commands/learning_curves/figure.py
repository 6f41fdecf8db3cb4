"""The figures of `plot`: learning curves and final returns, one panel per everything but the loss,
and the losses over all panels.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from vagram_tf import files
from vagram_tf.commands.learning_curves import layout, points
from vagram_tf.commands.learning_curves.comparison import Improvement, Score
from vagram_tf.commands.learning_curves.panels import Look
from vagram_tf.commands.learning_curves.statistics import Point
from vagram_tf.commands.report import palette, style

_HEIGHT = 2.3  # inches of a panel
_LEGEND_LINE = 0.18  # inches of a line of the legend
_FEW = 10  # evaluations, up to which each is marked
_TICKED = 6  # evaluations, up to which each has a tick


def draw(
    curve: Sequence[Point],
    final: Sequence[Point],
    scores: Sequence[Score],
    improvements: Sequence[Improvement],
    look: Look,
    output: str,
) -> list[Path]:
    """Draws the figures and writes the numbers in them; returns the files."""
    with plt.rc_context(style.STYLE):
        written = [
            *_learning_curves(curve, look, output),
            _table(curve, f"{output}.csv"),
            *points.final(final, look, f"{output}_final"),
            _table(final, f"{output}_final.csv"),
        ]
        if improvements:
            written += points.comparison(scores, improvements, look, f"{output}_all")
            written.append(_table(improvements, f"{output}_improvement.csv"))
    return [*written, _table(scores, f"{output}_all.csv")] if scores else written


def _learning_curves(curve: Sequence[Point], look: Look, output: str) -> list[Path]:
    panels = layout.by_panel(curve)
    figure, placed, _ = layout.grid(panels, _HEIGHT, look)
    lines = palette.lines(look.labels)
    handles = {}
    for panel, axes in placed.items():
        for name, of in panels[panel].items():
            colour, dashes = lines[name]
            steps = [point.env_step for point in of]
            (handles[name],) = axes.plot(
                steps,
                [point.mean for point in of],
                color=colour,
                linestyle=dashes,
                linewidth=1.5,
                marker="o" if len(of) <= _FEW else None,
                markersize=3,
            )
            low, high = [point.low for point in of], [point.high for point in of]
            axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
            if look.interquartile_mean:
                axes.plot(steps, [p.iqm for p in of], color=colour, linewidth=0.9, linestyle=":")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        evaluated = sorted({point.env_step for of in panels[panel].values() for point in of})
        if len(evaluated) <= _TICKED:
            axes.set_xticks(evaluated)
    figure.supxlabel("environment steps", fontsize=9)
    figure.supylabel("return", fontsize=9)
    title = layout.statistic(curve) + "; dotted: interquartile mean" * look.interquartile_mean
    _legend(figure, handles, layout.labels(curve, look), title)
    return style.save(figure, output)


def _legend(
    figure: Figure, handles: Mapping[str, Line2D], labels: Mapping[str, str], title: str
) -> None:
    """Adds a legend above the panels, in as few lines as the figure is wide enough for, and makes
    room for them.
    """
    count = len(labels)
    for lines in range(1, count + 1):
        legend = figure.legend(
            [handles[name] for name in labels],
            list(labels.values()),
            loc="outside upper center",
            ncols=-(-count // lines),
            fontsize=8.5,
            title=title,
            title_fontsize=8.5,
        )
        if lines == count or legend.get_window_extent().width <= figure.bbox.width:
            break
        legend.remove()
    figure.set_figheight(figure.get_figheight() + _LEGEND_LINE * lines)


def _table(rows: Sequence[Point | Score | Improvement], path: str) -> Path:
    """Writes rows as CSV; what is not a number is left empty."""
    cells = (
        ["" if isinstance(cell, float) and np.isnan(cell) else cell for cell in row] for row in rows
    )
    return files.write(Path(path), files.csv_text([rows[0]._fields, *cells]))
