"""The figure of `value_drift`: value error and state error while the value function is replaced."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import StrMethodFormatter

from experiments.paper.task import ENVIRONMENT, DriftRow
from vagram_tf.commands.report import palette, style


def draw(rows: Sequence[DriftRow], output: str) -> list[Path]:
    """Draws medians over seeds, and the range of all seeds; returns the files."""
    with plt.rc_context(style.STYLE):
        figure, panels = plt.subplots(2, 1, figsize=(7.2, 5.6), sharex=True, layout="constrained")
        _errors(panels[0], rows, "value_error")
        _errors(panels[1], rows, "state_error")
        panels[0].set(ylabel="value error\n(standard deviations of V)")
        panels[1].set(
            ylabel="state error\n(standard deviations)", xlabel="gradient steps of the models"
        )
        panels[1].xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        _value_functions(panels, rows)
        seeds = len({row.seed for row in rows})
        figure.legend(
            *panels[0].get_legend_handles_labels(),
            loc="outside upper center",
            ncols=6,
            title=f"{ENVIRONMENT}: median and range of {seeds} models trained with each loss",
            title_fontsize=9,
        )
        return style.save(figure, output)


def _errors(axes: Axes, rows: Sequence[DriftRow], name: str) -> None:
    for loss in dict.fromkeys(row.loss for row in rows):
        seeds = sorted({row.seed for row in rows})
        mine = [[row for row in rows if row.loss == loss and row.seed == seed] for seed in seeds]
        steps = np.array([row.gradient_step for row in mine[0]])
        errors = np.array([[getattr(row, name) for row in of] for of in mine])
        colour = palette.COLOURS[loss]
        axes.plot(steps, np.median(errors, axis=0), color=colour, label=loss, linewidth=1.5)
        axes.fill_between(
            steps, errors.min(axis=0), errors.max(axis=0), color=colour, alpha=0.15, linewidth=0
        )
    axes.set_yscale("log")
    axes.margins(x=0)


def _value_functions(panels: Sequence[Axes], rows: Sequence[DriftRow]) -> None:
    """Marks where the value function is replaced, and names on top the environment step that it is
    from.
    """
    starts: dict[int, int] = {}
    for row in rows:
        starts.setdefault(row.value_step, row.gradient_step)
    for axes in panels:
        for start in list(starts.values())[1:]:
            axes.axvline(start, color="#bbbbbb", linewidth=0.7, linestyle=":", zorder=0)
    top = panels[0].secondary_xaxis("top")
    length = max(row.gradient_step for row in rows) / len(starts)
    top.set_xticks(
        [start + length / 2 for start in starts.values()],
        [f"{step:,}" for step in starts],
        fontsize=7,
    )
    top.tick_params(length=0)
    top.set_xlabel("environment step that the value function is from", fontsize=8)
