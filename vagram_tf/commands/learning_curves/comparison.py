"""The losses over all panels of a sweep: scores, and probabilities of improvement."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from vagram_tf.commands.learning_curves.statistics import curves, final_returns
from vagram_tf.commands.learning_curves.sweep_table import SeedReturn, panel_of
from vagram_tf.commands.report import palette
from vagram_tf.commands.report.intervals import interquartile_mean

_RESAMPLES = 9999  # scipy.stats.bootstrap's


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


class Improvement(NamedTuple):
    """A loss against another one, over all panels (Agarwal et al. 2021).

    Attributes:
      loss: its name.
      other: name of the one that it is compared with.
      probability: that a run of `loss` has a larger final return than one of `other`, of equal
        ones half: the mean over panels of the share of the pairs of runs.
      low: end of its 95 % bootstrap interval, stratified by panel; NaN where a panel has one seed.
      high: the other end.
      panels: how many there are.
    """

    loss: str
    other: str
    probability: float
    low: float
    high: float
    panels: int


def scores(evaluations: Sequence[SeedReturn], last: float) -> list[Score]:
    """Returns the losses over all panels that compare losses, if these are two; see `_compared`.

    Args:
      evaluations: of all settings.
      last: the share of a panel's environment steps, at their end, whose evaluations are averaged.
    """
    ranges: dict[str, list[float]] = {}
    for point in curves(evaluations):
        ranges.setdefault(panel_of(point.setting)[0], []).append(point.mean)
    compared = _compared(evaluations, last)
    if len(compared) < 2:
        return []
    found = []
    for loss in next(iter(compared.values())):
        groups = []
        for panel, by_loss in compared.items():
            low, high = min(ranges[panel]), max(ranges[panel])
            groups.append((by_loss[loss] - low) / (high - low or 1.0))
        low, high = np.nan, np.nan
        if min(map(len, groups)) > 1:
            low, high = stats.bootstrap(
                groups,
                lambda *parts, axis: interquartile_mean(np.concatenate(parts, axis), axis),
                n_resamples=_RESAMPLES,
                method="percentile",
                vectorized=True,
                rng=0,
            ).confidence_interval
        pooled = np.concatenate(groups)
        iqm = float(interquartile_mean(pooled))
        found.append(Score(loss, iqm, float(low), float(high), len(groups), len(pooled)))
    return found


def improvements(evaluations: Sequence[SeedReturn], last: float) -> list[Improvement]:
    """Returns each loss against each other one, in the palette's order backwards: `vagram` leads.

    Args: those of `scores`.
    """
    compared = list(_compared(evaluations, last).values())
    if not compared:
        return []
    backwards = sorted(
        compared[0], key=lambda name: (name not in palette.COLOURS, -palette.place(name))
    )
    return [
        _improvement(loss, other, [(by_loss[loss], by_loss[other]) for by_loss in compared])
        for loss, other in itertools.combinations(backwards, 2)
    ]


def _improvement(
    loss: str, other: str, panels: Sequence[tuple[np.ndarray, np.ndarray]]
) -> Improvement:
    rng = np.random.default_rng(0)
    shares, resampled = [], []
    for ours, theirs in panels:
        better = (np.sign(ours[:, np.newaxis] - theirs) + 1) / 2
        # How often a resample holds each run.
        rows, columns = (
            rng.multinomial(size, np.full(size, 1 / size), _RESAMPLES) for size in better.shape
        )
        shares.append(better.mean())
        resampled.append(np.sum(rows @ better * columns, axis=1) / better.size)
    low, high = np.nan, np.nan
    if min(len(runs) for pair in panels for runs in pair) > 1:
        low, high = np.percentile(np.mean(resampled, axis=0), [2.5, 97.5])
    return Improvement(loss, other, float(np.mean(shares)), float(low), float(high), len(panels))


def _compared(evaluations: Sequence[SeedReturn], last: float) -> dict[str, dict[str, np.ndarray]]:
    """Returns the final returns of every panel that compares losses, for the losses that are in all
    of these, if they are two; where none does, likewise of those that compare anything.
    """
    panels: dict[str, dict[str, np.ndarray]] = {}
    for setting, (_, by_seed) in final_returns(evaluations, last).items():
        panel, loss = panel_of(setting)
        panels.setdefault(panel, {})[loss] = np.array(list(by_seed.values()))
    several = {panel: by_loss for panel, by_loss in panels.items() if len(by_loss) > 1}
    of_losses = {
        panel: by_loss
        for panel, by_loss in several.items()
        if len(by_loss.keys() & palette.COLOURS.keys()) > 1
    }
    compared = of_losses or several
    shared = set.intersection(*map(set, compared.values())) if compared else set()
    if len(shared) < 2:
        return {}
    return {
        panel: {loss: of for loss, of in by_loss.items() if loss in shared}
        for panel, by_loss in compared.items()
    }
