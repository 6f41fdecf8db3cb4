"""The figure of `fit_study`: where vagram's models are better than the others', over width and
distractors.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.image import AxesImage
from scipy import stats

from experiments.fits.table import FitRow
from vagram_tf.commands.report import style

_SUBJECT = "vagram"
_FACTOR = 2.0  # the colours end where one is so many times as good as the other


def draw(rows: Sequence[FitRow], output: str) -> list[Path]:
    """Draws a phase diagram of value error, and one of own loss, against every other objective;
    returns the files.

    A cell is the ratio of the means over seeds, below 1 where vagram is better, and its 95 %
    bootstrap interval.
    """
    others = [name for name in dict.fromkeys(row.objective for row in rows) if name != _SUBJECT]
    if not others or all(row.objective != _SUBJECT for row in rows):
        return []
    with plt.rc_context(style.STYLE):
        widths = len({row.width for row in rows})
        size = (2.6 + 1.6 * max(3, widths), 2.6 * len(others) + 0.4)
        figure, panels = plt.subplots(
            len(others),
            2,
            figsize=size,
            layout="constrained",
            squeeze=False,
            sharex=True,
            sharey=True,
        )
        for line, other in zip(panels, others, strict=True):
            for axes, name in zip(line, ("value_error", "own_loss"), strict=True):
                colours = _phases(axes, rows, name, other)
                axes.set_title(f"{name.replace('_', ' ')}:\n{_SUBJECT} / {other}")
        key = figure.colorbar(colours, ax=panels, extend="both", shrink=1 / len(others), aspect=12)
        ends = 1 / _FACTOR, 1.0, _FACTOR
        key.set_ticks(ends, labels=[f"{end:g}" for end in ends])
        key.set_label(f"blue: {_SUBJECT} is better")
        key.ax.minorticks_off()
        figure.supxlabel("hidden units of the model", fontsize=9)
        return style.save(figure, output)


def ratio(above: np.ndarray, below: np.ndarray) -> tuple[float, float, float]:
    """Returns the ratio of two means and its 95 % bootstrap interval, NaN where a side has one
    value.
    """
    value = float(np.mean(above) / np.mean(below))
    if min(len(above), len(below)) < 2:
        return value, float("nan"), float("nan")
    interval = stats.bootstrap(
        (above, below),
        lambda a, b, axis: np.mean(a, axis=axis) / np.mean(b, axis=axis),
        method="percentile",
        vectorized=True,
        rng=0,
    ).confidence_interval
    return value, float(interval.low), float(interval.high)


def _phases(axes: Axes, rows: Sequence[FitRow], name: str, other: str) -> AxesImage:
    """Draws the cells; returns what has their colours."""
    widths, sources = (
        list(dict.fromkeys(getattr(row, of) for row in rows)) for of in ("width", "source")
    )
    task = {
        row.source: row.task.replace(", ", "\n") + " distractors" * ("," in row.task)
        for row in rows
    }
    ratios = np.full([len(sources), len(widths)], np.nan)
    for (y, source), (x, width) in itertools.product(enumerate(sources), enumerate(widths)):
        above, below = (
            np.array(
                [
                    getattr(row, name)
                    for row in rows
                    if (row.source, row.width, row.objective) == (source, width, objective)
                ]
            )
            for objective in (_SUBJECT, other)
        )
        if len(above) and len(below):
            ratios[y, x], low, high = ratio(above, below)
            dark = abs(np.log(ratios[y, x])) > 0.6 * np.log(_FACTOR)
            axes.text(
                x,
                y,
                f"{ratios[y, x]:.2f}\n[{low:.2f}, {high:.2f}]",
                ha="center",
                va="center",
                fontsize=6.5,
                color="white" if dark else "black",
            )
    colours = axes.imshow(ratios, cmap="RdBu_r", norm=LogNorm(1 / _FACTOR, _FACTOR), aspect="auto")
    axes.set_xticks(range(len(widths)), widths)
    axes.set_yticks(range(len(sources)), [task[source] for source in sources])
    axes.tick_params(length=0)
    return colours
