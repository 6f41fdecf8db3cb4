"""The numbers of `plot`: means, interquartile means and bootstrap intervals over seeds, per
setting.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from vagram_tf.commands.learning_curves.sweep_table import SeedReturn, panel_of
from vagram_tf.commands.report.intervals import interquartile_mean, summary
from vagram_tf.commands.report.palette import COLOURS


class Point(NamedTuple):
    """A setting at an environment step, or at its end.

    Attributes:
      setting: its name.
      env_step: of the evaluations; of a final return the last one.
      mean: over seeds.
      low: end of the mean's 95 % bootstrap interval; NaN for one seed.
      high: the other end.
      iqm: interquartile mean over seeds: of the middle half.
      seeds: how many there are.
    """

    setting: str
    env_step: int
    mean: float
    low: float
    high: float
    iqm: float
    seeds: int


class Score(NamedTuple):
    """A loss over all panels that it is in (Agarwal et al. 2021).

    Attributes:
      loss: its name.
      iqm: interquartile mean of final scores over seeds and panels. A final return's score is 0 at
        the smallest and 1 at the largest mean return that any setting of its panel had at any
        evaluation.
      low: end of its 95 % bootstrap interval, stratified by panel; NaN where a panel has one seed.
      high: the other end.
      panels: how many panels the loss is in.
      runs: seeds in all of them.
    """

    loss: str
    iqm: float
    low: float
    high: float
    panels: int
    runs: int


def curves(evaluations: Sequence[SeedReturn]) -> list[Point]:
    """Returns every setting at every environment step at which one of its seeds was evaluated."""
    returns: dict[str, dict[int, list[float]]] = {}
    for of in evaluations:
        returns.setdefault(of.setting, {}).setdefault(of.env_step, []).append(of.total)
    return [
        _point(setting, step, totals)
        for setting, by_step in returns.items()
        for step, totals in sorted(by_step.items())
    ]


def final(evaluations: Sequence[SeedReturn], last: float) -> list[Point]:
    """Returns the final return of every setting, of the seeds that came that far.

    Args:
      evaluations: of all settings.
      last: the share of a panel's environment steps, at their end, whose evaluations are averaged.
    """
    return [
        _point(setting, end, list(by_seed.values()))
        for setting, (end, by_seed) in _final_returns(evaluations, last).items()
    ]


def scores(evaluations: Sequence[SeedReturn], last: float) -> list[Score]:
    """Returns the losses over all panels: those that are in every panel that has several losses, if
      these are two.

    Args: those of `final`.
    """
    ranges: dict[str, list[float]] = {}
    for point in curves(evaluations):
        ranges.setdefault(panel_of(point.setting)[0], []).append(point.mean)
    panels: dict[str, dict[str, np.ndarray]] = {}
    for setting, (_, by_seed) in _final_returns(evaluations, last).items():
        panel, loss = panel_of(setting)
        low, high = min(ranges[panel]), max(ranges[panel])
        panels.setdefault(panel, {})[loss] = (np.array(list(by_seed.values())) - low) / (
            high - low or 1.0
        )
    compared = [by_loss for by_loss in panels.values() if len(by_loss.keys() & COLOURS.keys()) > 1]
    if len(compared) < 2:
        return []
    shared = [loss for loss in compared[0] if all(loss in by_loss for by_loss in compared)]
    found = []
    for loss in shared:
        groups = [by_loss[loss] for by_loss in compared]
        low, high = np.nan, np.nan
        if min(map(len, groups)) > 1:
            low, high = stats.bootstrap(
                groups,
                lambda *parts, axis: interquartile_mean(np.concatenate(parts, axis), axis),
                method="percentile",
                vectorized=True,
                rng=0,
            ).confidence_interval
        pooled = np.concatenate(groups)
        found.append(
            Score(
                loss,
                float(interquartile_mean(pooled)),
                float(low),
                float(high),
                len(groups),
                len(pooled),
            )
        )
    return found


def _final_returns(
    evaluations: Sequence[SeedReturn], last: float
) -> dict[str, tuple[int, dict[int, float]]]:
    """Returns for each setting its panel's last environment step and each seed's mean return at the
    end.
    """
    ends: dict[str, int] = {}
    for of in evaluations:
        panel = panel_of(of.setting)[0]
        ends[panel] = max(ends.get(panel, 0), of.env_step)
    late: dict[str, dict[int, list[float]]] = {}
    for of in evaluations:
        end = ends[panel_of(of.setting)[0]]
        if end - of.env_step <= last * end + 1e-6:
            late.setdefault(of.setting, {}).setdefault(of.seed, []).append(of.total)
    return {
        setting: (
            ends[panel_of(setting)[0]],
            {seed: float(np.mean(of)) for seed, of in by_seed.items()},
        )
        for setting, by_seed in late.items()
    }


def _point(setting: str, env_step: int, totals: Sequence[float]) -> Point:
    values = np.array(totals)
    of = summary(values, seed=0)
    low, high = of["interval"] or (np.nan, np.nan)
    return Point(
        setting, env_step, of["mean"], low, high, float(interquartile_mean(values)), len(values)
    )
