"""The figure of `inspect_model`."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import MaxNLocator

from vagram_tf.commands.judging import measures
from vagram_tf.commands.report import style, titles

_LARGEST_LABEL = 24  # characters of a dimension's name
_CURVE = tuple(np.linspace(0.05, 0.95, 19).round(2))


def draw(
    report: dict[str, Any], steps: measures.Steps, comparison: measures.Comparison, output: Path
) -> None:
    """Draws a report and what it was made from, six panels, as `<output>.png` and `.pdf`."""
    size = len(report["dimensions"])
    height = 3.6 + max(2.4, 0.24 * size)
    with plt.rc_context({**style.STYLE, "axes.titlesize": 10}):
        figure, axes = plt.subplots(
            2,
            3,
            figsize=(15, height),
            layout="constrained",
            height_ratios=[max(2.4, 0.24 * size), 3.6],
        )
        (by_dimension, gradient, calibration), (over_time, values, rewards) = axes
        _error_by_dimension(by_dimension, report)
        _value_gradient(gradient, report)
        _calibration(calibration, report, comparison)
        _error_over_time(over_time, report)
        _value_against_state(values, steps, comparison)
        _rewards(rewards, report, steps, comparison)
        task = titles.task(report["environment"], report["distractors"], report["distractor_kind"])
        figure.suptitle(
            f"{task}, {report['loss']}, run seed {report['run_seed']}, "
            f"environment step {report['env_step']:,}; judged on {len(steps.reward):,} real steps"
        )
        style.save(figure, str(output))


def _names(axes: Axes, report: dict[str, Any]) -> None:
    names = [
        name if len(name) <= _LARGEST_LABEL else f"{name[: _LARGEST_LABEL - 1]}…"
        for name in report["dimensions"]
    ]
    axes.set_yticks(range(len(names)), names)


def _legend(axes: Axes, **looks: Any) -> None:
    """Adds a legend below the axes and their label, where it hides nothing."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=3.6, ncols=3, **looks)


def _error_by_dimension(axes: Axes, report: dict[str, Any]) -> None:
    loop = report["open_loop"]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.array(loop["error"]).T / np.array(loop["no_change"]).T
    horizon = share.shape[1]
    image = axes.imshow(
        share,
        aspect="auto",
        norm=LogNorm(0.01, 10),
        cmap="RdYlBu_r",
        interpolation="nearest",
        extent=(0.5, horizon + 0.5, len(share) - 0.5, -0.5),
    )
    axes.figure.colorbar(image, ax=axes, label="1: as bad as no change")
    axes.set(title="Open-loop error of each dimension / of no change", xlabel="steps")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _names(axes, report)


def _value_gradient(axes: Axes, report: dict[str, Any]) -> None:
    gradient = report["value_gradient"]
    bars = axes.barh(
        range(len(report["dimensions"])), gradient["root_mean_square"], color="tab:blue"
    )
    axes.bar_label(bars, [f"{100 * share:.1f} %" for share in gradient["share"]], padding=3)
    axes.set(
        title="Root mean square of dV/ds', and share of its square",
        xlabel="value per unit of observation",
    )
    axes.margins(x=0.15)
    axes.invert_yaxis()
    _names(axes, report)


def _calibration(axes: Axes, report: dict[str, Any], comparison: measures.Comparison) -> None:
    error = comparison.predicted[0] - comparison.real[0]
    covered = measures.coverage(error, comparison.stddev, _CURVE)
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--", label="calibrated")
    for d, each in enumerate(covered.T):
        axes.plot(_CURVE, each, color="tab:blue", alpha=0.25, label=None if d else "each dimension")
    axes.plot(_CURVE, covered.mean(axis=-1), color="tab:blue", linewidth=2.5, label="all")
    axes.set(
        title="Calibration of the predicted spread",
        xlabel="predicted interval",
        ylabel="share of steps within",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    _legend(axes)


def _error_over_time(axes: Axes, report: dict[str, Any]) -> None:
    loop, value = report["open_loop"], report["value"]
    k = np.arange(1, len(loop["all"]) + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        axes.plot(k, np.divide(loop["all"], loop["all_no_change"]), marker=".", label="state")
        axes.plot(k, np.divide(value["error"], value["no_change"]), marker=".", label="value")
    axes.axhline(1, color="grey", linestyle="--", label="no change")
    axes.set(
        title="Open-loop error of state and value / of no change",
        xlabel="steps",
        xlim=(0.5, len(k) + 0.5),
        yscale="log",
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(axes)


def _value_against_state(
    axes: Axes, steps: measures.Steps, comparison: measures.Comparison
) -> None:
    assert comparison.values is not None
    state, value = measures.state_error(comparison), measures.value_error(comparison.values)
    for name in dict.fromkeys(steps.behaviour.tolist()):
        chosen = steps.behaviour == name
        axes.scatter(state[chosen], value[chosen], s=5, alpha=0.35, label=name, linewidths=0)
    axes.set(
        title="Value error against state error, one step",
        xlabel="state error (standard deviations)",
        ylabel="|V(predicted) − V(real)|",
        xscale="log",
        yscale="log",
    )
    _legend(axes, markerscale=3)


def _rewards(
    axes: Axes, report: dict[str, Any], steps: measures.Steps, comparison: measures.Comparison
) -> None:
    ended = report["termination"]
    for name in dict.fromkeys(steps.behaviour.tolist()):
        chosen = steps.behaviour == name
        axes.scatter(
            steps.reward[chosen],
            comparison.reward[chosen],
            s=5,
            alpha=0.35,
            label=name,
            linewidths=0,
        )
    ends = [float(np.min(steps.reward)), float(np.max(steps.reward))]
    axes.plot(ends, ends, color="grey", linestyle="--")
    axes.set(
        title=f"Reward\nterminations: {ended['true_positives']} foreseen, "
        f"{ended['false_negatives']} missed, {ended['false_positives']} false alarms",
        xlabel="real reward",
        ylabel="predicted reward",
    )
    _legend(axes, markerscale=3)
