"""The numbers of `plot`: means, interquartile means and bootstrap intervals over seeds, per
setting.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vagram_tf.commands.learning_curves.sweep_table import SeedReturn, panel_of
from vagram_tf.commands.report.intervals import interquartile_mean, summary


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
        for setting, (end, by_seed) in final_returns(evaluations, last).items()
    ]


def final_returns(
    evaluations: Sequence[SeedReturn], last: float
) -> dict[str, tuple[int, dict[int, float]]]:
    """Returns for each setting its panel's last environment step and each seed's mean return at the
    end.

    Args: those of `final`.
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
