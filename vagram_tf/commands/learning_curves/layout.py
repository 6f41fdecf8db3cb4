"""How the panels of a sweep are laid out, and what is written around them."""

import re
import textwrap
from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vagram_tf.commands.learning_curves.panels import Look
from vagram_tf.commands.learning_curves.statistics import Point
from vagram_tf.commands.learning_curves.sweep_table import panel_of
from vagram_tf.commands.report import palette

_COLUMNS = 4  # most panels side by side
_PANEL_WIDTH = 2.8  # inches
_SINGLE_WIDTH = 4.5  # of a panel without others beside it
_CHARACTERS = 12.5  # of a title in an inch


Panels = dict[str, dict[str, list[Point]]]


def by_panel(points: Iterable[Point]) -> Panels:
    """Returns the points by panel and by curve, in their order."""
    found: Panels = {}
    for point in points:
        panel, curve = panel_of(point.setting)
        found.setdefault(panel, {}).setdefault(curve, []).append(point)
    return found


def rows_of(panels: Iterable[str], look: Look) -> list[list[str]]:
    """Returns the panels row by row. Where a task has several, each task begins a row of its
    own.
    """
    tasks: dict[str, list[str]] = {}
    for panel in panels:
        tasks.setdefault(look.panels[panel].task, []).append(panel)
    groups = list(tasks.values())
    if all(len(group) == 1 for group in groups):
        groups = [[panel for group in groups for panel in group]]
    return [group[i : i + _COLUMNS] for group in groups for i in range(0, len(group), _COLUMNS)]


def grid(
    panels: Iterable[str], height: float, look: Look
) -> tuple[Figure, dict[str, Axes], list[Axes]]:
    """Returns a figure with titled axes for every panel, those of a task with the same ranges.

    Args:
      panels: their names.
      height: of each, in inches.
      look: how they are shown.

    Returns:
      The figure, the axes by panel, and those of them that are the first in their row.
    """
    rows = rows_of(panels, look)
    columns = max(map(len, rows))
    width = _PANEL_WIDTH if columns > 1 else _SINGLE_WIDTH
    figure, lines = plt.subplots(
        len(rows),
        columns,
        figsize=(0.5 + width * columns, 1.0 + height * len(rows)),
        squeeze=False,
        layout="constrained",
    )
    placed: dict[str, Axes] = {}
    of_task: dict[str, Axes] = {}
    for names, line in zip(rows, lines, strict=True):
        for axes in line[len(names) :]:
            axes.set_axis_off()
        for name, axes in zip(names, line, strict=False):
            title, task = look.panels[name]
            axes.set_title(_wrapped(title, int(width * _CHARACTERS)), fontsize=9)
            if of_task.setdefault(task, axes) is not axes:
                axes.sharex(of_task[task])
                axes.sharey(of_task[task])
            placed[name] = axes
    return figure, placed, [line[0] for line in lines]


def _wrapped(title: str, width: int) -> str:
    """Returns a title whose lines end after commas, where it is too long."""
    kept = re.sub("(?<!,) ", "\N{NO-BREAK SPACE}", title)
    return textwrap.fill(kept, width, break_long_words=False, replace_whitespace=False)


def labels(points: Sequence[Point], look: Look) -> dict[str, str]:
    """Returns the labels of all curves by name, losses first, in the palette's order. Where numbers
    of seeds differ, each says its own.
    """
    by_curve: dict[str, list[Point]] = {}
    for point in points:
        by_curve.setdefault(panel_of(point.setting)[1], []).append(point)
    differ = len({point.seeds for point in points}) > 1
    return {
        curve: look.labels[curve] + f" (n = {_seeds(by_curve[curve])})" * differ
        for curve in sorted(by_curve, key=palette.place)
    }


def statistic(points: Iterable[Point]) -> str:
    """Returns what is drawn, in words."""
    count = _seeds(points)
    return "one seed" if count == "1" else f"mean and 95 % bootstrap interval over {count} seeds"


def _seeds(points: Iterable[Point]) -> str:
    counts = sorted({point.seeds for point in points})
    return " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
