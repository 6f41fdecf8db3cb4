"""What a model gets wrong: a model's predictions beside real steps, as arrays and in numbers.

Pure functions of NumPy arrays. `N` is the number of real steps, the other letters are those of
`types`; observations, actions and rewards are in the environment's own units. A value is the mean
over the critics.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from vagram_tf.agent.sac import VALUE_FUNCTIONS
from vagram_tf.export.load import Export

LEVELS = (0.5, 0.8, 0.95)
"""Probabilities of the predicted intervals whose coverage is reported."""


class Steps(NamedTuple):
    """Real steps, in the order in which they were taken, episode after episode.

    Attributes:
      observation: `[N, D]`.
      action: `[N, A]`.
      reward: `[N]`.
      next_observation: `[N, D]`.
      terminated: bool `[N]`; a time limit is no termination.
      last: bool `[N]`, whether the next row belongs to another episode.
      behaviour: `[N]`, the name of how the action was chosen.
    """

    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    next_observation: np.ndarray
    terminated: np.ndarray
    last: np.ndarray
    behaviour: np.ndarray


class Values(NamedTuple):
    """The values of what is compared.

    Attributes:
      predicted: `[H, N]`, V of the predicted states.
      real: `[H, N]`, V of the real ones.
      start: `[N]`, V of the observations.
      gradient: `[C, N, D]`, dV/ds' of each critic at the real next observations.
    """

    predicted: np.ndarray
    real: np.ndarray
    start: np.ndarray
    gradient: np.ndarray


class Comparison(NamedTuple):
    """A model beside the steps that it was asked about.

    Attributes:
      predicted: `[H, N, D]`, k + 1 steps after the n-th observation, from it and the real actions
        alone.
      real: `[H, N, D]`, what came instead.
      fits: bool `[H, N]`, whether the episode lasted so long; elsewhere the other arrays mean
        nothing.
      stddev: `[N, D]`, the predicted spread of the first step.
      reward: `[N]`, predicted for the first step.
      terminated: bool `[N]`, predicted for the first step.
      scale: `[D]`, the standard deviation of the observations, 1 where they are constant.
      values: of these states, where somebody values them.
    """

    predicted: np.ndarray
    real: np.ndarray
    fits: np.ndarray
    stddev: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    scale: np.ndarray
    values: Values | None


Predict = Callable[[np.ndarray, np.ndarray], dict[str, np.ndarray]]
"""Observation `[N, D]` and action `[N, A]` to what a dynamics export's `serving_default` gives."""

Value = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Observation `[N, D]` to `value` `[C, N]` and `value_gradient` `[C, N, D]`."""


def as_arrays(call: Callable[..., Mapping[str, Any]]) -> Callable[..., dict[str, np.ndarray]]:
    """Returns a method of a loaded export as a function to arrays."""
    return lambda *inputs: {name: tensor.numpy() for name, tensor in call(*inputs).items()}


def value_of_critics(policy: Export) -> Value:
    """Returns the values of a policy's export, and their gradients, of the critics alone, without
    their targets'.
    """
    critics = VALUE_FUNCTIONS["critics"]
    value = as_arrays(policy.module.value)
    return lambda observation: {name: of[critics] for name, of in value(observation).items()}


def compare(steps: Steps, predict: Predict, value: Value | None, horizon: int) -> Comparison:
    """Asks the model about every step, and for what follows if it is left alone for up to `horizon`
    steps; and what that is worth, if there is a value.

    Where the model says that an episode ends, its state is predicted on; `terminated` is compared
    by itself. Where its state is no number, it is infinite from then on, and so is its value.
    """

    def following(state: np.ndarray, action: np.ndarray) -> np.ndarray:
        return predict(state, action)["next_observation"]

    count = len(steps.reward)
    fits = windows(steps.last, horizon)
    first = predict(steps.observation, steps.action)
    predicted = [first["next_observation"]]
    later = [np.minimum(np.arange(count) + k, count - 1) for k in range(horizon)]
    for index in later[1:]:
        predicted.append(_of_finite(following, predicted[-1], steps.action[index]))
    scale = np.std(steps.observation, axis=0, dtype=np.float64)
    return Comparison(
        predicted=np.stack(predicted),
        real=np.stack([steps.next_observation[index] for index in later]),
        fits=fits,
        stddev=first["next_observation_stddev"],
        reward=first["reward"],
        terminated=first["terminated"],
        scale=np.where(scale > 0, scale, 1.0),
        values=_values(steps, predicted, later, value) if value else None,
    )


def _values(
    steps: Steps, predicted: list[np.ndarray], later: list[np.ndarray], value: Value
) -> Values:
    def worth(state: np.ndarray) -> np.ndarray:
        return np.mean(value(state)["value"], axis=0)

    of_real = value(steps.next_observation)
    real = np.mean(of_real["value"], axis=0)
    return Values(
        predicted=np.stack([_of_finite(worth, state) for state in predicted]),
        real=np.stack([real[index] for index in later]),
        start=worth(steps.observation),
        gradient=of_real["value_gradient"],
    )


def _of_finite(
    call: Callable[..., np.ndarray], state: np.ndarray, *others: np.ndarray
) -> np.ndarray:
    """Asks about states `[N, D]`; what is to be said of those that are not finite is infinite.

    A model that is left alone for long may run away, and exports refuse what is no number.
    """
    finite = np.isfinite(state).all(axis=-1)
    said = call(np.where(finite[:, np.newaxis], state, np.float32(0)), *others)
    return np.where(finite.reshape([-1] + [1] * (said.ndim - 1)), said, np.inf)


def windows(last: np.ndarray, horizon: int) -> np.ndarray:
    """Returns whether the episode of the n-th step has a step k places on: bool `[H, N]`, k from 0.

    Args:
      last: bool `[N]`, true at the end of each episode, and of the last row.
    """
    ends = np.flatnonzero(last)
    index = np.arange(len(last))
    left = ends[np.searchsorted(ends, index)] - index
    return np.arange(horizon)[:, np.newaxis] <= left


def root_mean_square(error: np.ndarray, fits: np.ndarray | None = None) -> np.ndarray:
    """Root mean square over the axis of steps: `[..., N, D] -> [..., D]`, of the rows `[..., N]`
    that fit alone.

    NaN where no row fits.
    """
    if fits is None:
        fits = np.ones(error.shape[:-1], bool)
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.where(fits[..., np.newaxis], np.square(error, dtype=np.float64), 0.0)
        return np.sqrt(np.sum(squares, axis=-2) / np.sum(fits, axis=-1)[..., np.newaxis])


def coverage(
    error: np.ndarray, stddev: np.ndarray, levels: tuple[float, ...] = LEVELS
) -> np.ndarray:
    """Returns the share of errors `[N, D]` within the central intervals of a Gaussian `[N, D]`:
    `[levels, D]`.
    """
    size = np.abs(error) / stddev
    return np.stack([np.mean(size <= stats.norm.ppf(0.5 + level / 2), axis=0) for level in levels])


def confusion(predicted: np.ndarray, real: np.ndarray) -> dict[str, int]:
    """Counts true and false positives and negatives of bool `[N]` against bool `[N]`."""
    return {
        "true_positives": int(np.sum(predicted & real)),
        "false_positives": int(np.sum(predicted & ~real)),
        "false_negatives": int(np.sum(~predicted & real)),
        "true_negatives": int(np.sum(~predicted & ~real)),
    }


def state_error(comparison: Comparison) -> np.ndarray:
    """Returns the size of each first step's error: `[N]`, the root mean square over dimensions in
    units of `scale`.
    """
    return np.sqrt(
        np.mean(((comparison.predicted[0] - comparison.real[0]) / comparison.scale) ** 2, axis=-1)
    )


def value_error(values: Values) -> np.ndarray:
    """Returns |V(predicted) - V(real)| of each first step: `[N]`, in value units."""
    return np.abs(values.predicted[0] - values.real[0])


def summarise(steps: Steps, comparison: Comparison) -> dict[str, Any]:
    """Returns all numbers as lists; `[H]` counts steps from 1, `[D]` dimensions. Those of values
    are there if the comparison has any.

    `no_change` is the error of predicting that nothing changes. `all` is the root mean square over
    dimensions, each in units of its standard deviation over the steps. `rank_correlation` is
    Spearman's, between the sizes of a first step's state error and value error; NaN where one of
    them is constant. The value gradient's `share` is of its mean square.
    """
    c = comparison
    error = c.predicted - c.real
    no_change = steps.observation - c.real
    covered = coverage(error[0], c.stddev)
    return {
        "open_loop": {
            "count": np.sum(c.fits, axis=-1).tolist(),
            "error": root_mean_square(error, c.fits).tolist(),
            "no_change": root_mean_square(no_change, c.fits).tolist(),
            "all": _over_dimensions(error, c).tolist(),
            "all_no_change": _over_dimensions(no_change, c).tolist(),
        },
        **(_of_values(c, c.values) if c.values else {}),
        "calibration": {
            "levels": list(LEVELS),
            "coverage": covered.tolist(),
            "all": np.mean(covered, axis=-1).tolist(),
        },
        "reward": {
            "error": float(np.sqrt(np.mean((c.reward - steps.reward) ** 2))),
            "always_the_mean": float(np.std(steps.reward)),
        },
        "termination": confusion(c.terminated, steps.terminated),
        "behaviours": {
            str(name): _behaviour(steps.behaviour == name, steps, c)
            for name in dict.fromkeys(steps.behaviour.tolist())
        },
    }


def _of_values(comparison: Comparison, values: Values) -> dict[str, Any]:
    """Returns the numbers of values and their gradients."""
    first = comparison.predicted[0] - comparison.real[0]
    squared_gradient = np.mean(np.square(values.gradient, dtype=np.float64), axis=(0, 1))
    first_order = np.mean(np.sum(values.gradient * first, axis=-1), axis=0)
    sizes = state_error(comparison), value_error(values)
    constant = any(np.ptp(size) == 0 for size in sizes)
    return {
        "value": {
            "error": _column(values.predicted - values.real, comparison.fits),
            "no_change": _column(values.start - values.real, comparison.fits),
            "first_order_error": float(np.sqrt(np.mean(first_order**2))),
            "rank_correlation": float("nan")
            if constant
            else float(stats.spearmanr(*sizes).statistic),
        },
        "value_gradient": {
            "root_mean_square": np.sqrt(squared_gradient).tolist(),
            "share": (squared_gradient / (np.sum(squared_gradient) or 1.0)).tolist(),
        },
    }


def _behaviour(chosen: np.ndarray, steps: Steps, comparison: Comparison) -> dict[str, Any]:
    """Returns the first step's errors over the steps `[N]` that were chosen in one way."""
    numbers = {
        "steps": int(np.sum(chosen)),
        "episodes": int(np.sum(steps.last[chosen])),
        "error": float(np.sqrt(np.mean(state_error(comparison)[chosen] ** 2))),
        "reward_error": float(np.sqrt(np.mean((comparison.reward - steps.reward)[chosen] ** 2))),
    }
    if comparison.values:
        of_values = value_error(comparison.values)[chosen]
        numbers["value_error"] = float(np.sqrt(np.mean(of_values**2)))
    return numbers


def _over_dimensions(error: np.ndarray, comparison: Comparison) -> np.ndarray:
    return np.sqrt(
        np.mean((root_mean_square(error, comparison.fits) / comparison.scale) ** 2, axis=-1)
    )


def _column(error: np.ndarray, fits: np.ndarray) -> list[float]:
    """Returns the root mean square of `[H, N]` over what fits: `[H]`."""
    return root_mean_square(error[..., np.newaxis], fits)[..., 0].tolist()
