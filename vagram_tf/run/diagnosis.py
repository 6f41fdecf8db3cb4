"""What critics and model make of real data: looked at for the logs alone.

Nothing here draws a random number or changes a variable, so a run is the same with it and without.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vagram_tf.dyna import Dyna
from vagram_tf.model.objective import change_spread
from vagram_tf.model.value_gradients import values_and_gradients
from vagram_tf.types import Transition

_EXAMPLES = 500  # transitions looked at, which bounds the cost as the data grow
_RECENT = 1000  # transitions in which a stretch of an episode is searched


class Diagnosis(NamedTuple):
    """What a fit is logged with.

    Attributes:
      scalars: by TensorBoard name.
      histograms: by TensorBoard name, arrays of any shape.
      sensitivity: `[D]`, root mean square of dV/ds'_d times the standard deviation of s'_d: by how
        much the value changes when a dimension does as it usually does, in value units.
    """

    scalars: dict[str, float]
    histograms: dict[str, np.ndarray]
    sensitivity: np.ndarray


def diagnose(dyna: Dyna) -> Diagnosis:
    """Looks at up to 500 held-out transitions, evenly spaced over the stored ones: no member was
    trained on them.
    """
    data = dyna.real.all()
    held_out = np.flatnonzero(dyna.trainer.held_out(data.reward.shape[0]))
    spaced = np.linspace(0, len(held_out) - 1, min(len(held_out), _EXAMPLES)).astype(int)
    examples = Transition(*(tf.gather(field, held_out[spaced]) for field in data))
    after, spread = examples.next_observation.numpy(), change_spread(data).numpy()

    seen = dyna.agent.values_of(dyna.config.model.value_functions)
    value, gradient = (x.numpy() for x in values_and_gradients(seen, after))  # [B, C], [B, C, D]
    norm = np.linalg.norm(gradient * spread, axis=-1)  # [B, C]
    longest = np.quantile(norm, dyna.config.model.value_gradient_quantile, axis=0, keepdims=True)
    sensitivity = np.sqrt(np.mean(gradient**2, axis=(0, 1))) * after.std(axis=0)  # [D]
    scalars = {
        "value_gradient/norm": norm.mean(),
        "value_gradient/clip_norm": longest.mean(),
        "value_gradient/clipped_share": np.maximum(norm - longest, 0).sum()
        / max(norm.sum(), 1e-12),
    }
    own = len(sensitivity) - dyna.config.env.distractors
    scalars["value_gradient/rms_task"] = _rms(sensitivity[:own])
    if own < len(sensitivity):
        scalars["value_gradient/rms_distractors"] = _rms(sensitivity[own:])
    histograms = {
        "train/value": value,
        "value_gradient/norms": norm,
        "model/member_errors": _member_errors(dyna, examples),
    }
    return Diagnosis({name: float(x) for name, x in scalars.items()}, histograms, sensitivity)


def _member_errors(dyna: Dyna, data: Transition) -> np.ndarray:
    """Returns each member's error on each of `[B]` transitions, `[E, B]`.

    The root mean square over the dimensions, each in standard deviations of its change: 1 is as
    good as always predicting the mean change. A dimension that never changes does not count.
    """
    members = [dyna.ensemble.members, 1, 1]
    prediction = dyna.ensemble(
        tf.tile(data.observation[tf.newaxis], members), tf.tile(data.action[tf.newaxis], members)
    )
    error = (prediction.next_observation - data.next_observation).numpy()
    change = np.std(data.next_observation - data.observation, axis=0)
    return _rms(error[..., change > 0] / change[change > 0], axis=-1)


def _rms(x: np.ndarray, axis: int | None = None) -> np.ndarray:
    return np.sqrt(np.mean(np.square(x), axis=axis))


def open_loop(dyna: Dyna, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Predicts a real stretch of an episode from its first state and its actions alone.

    The stretch is the newest of the longest among the last 1,000 stored transitions.

    Args:
      dyna: the loop.
      longest: H, the most steps.

    Returns:
      The real observations `[H + 1, D]`, and each elite's mean prediction of them `[M, H + 1, D]`.
    """
    recent = Transition(*(field[-_RECENT:] for field in dyna.real.all()))
    stretch = _newest_stretch(dyna.starts()[-_RECENT:], longest)
    observation, action, after = (
        x[stretch] for x in (recent.observation, recent.action, recent.next_observation)
    )
    elites = dyna.ensemble.elites
    states = [tf.tile(observation[tf.newaxis, :1], [elites.shape[0], 1, 1])]
    for step in range(len(action)):
        repeated = tf.tile(action[tf.newaxis, step : step + 1], [elites.shape[0], 1, 1])
        states.append(dyna.ensemble(states[-1], repeated, members=elites).next_observation)
    return np.concatenate([observation[:1], after]), tf.concat(states, axis=1).numpy()


def _newest_stretch(starts: np.ndarray, longest: int) -> slice:
    """Returns where transitions follow one another for the most steps, at most `longest`; the last
    such place.

    Args:
      starts: whether an episode starts with a transition, bool `[N]`.
      longest: the most steps.
    """
    ends = np.append(np.flatnonzero(starts[1:]) + 1, len(starts))
    lengths = np.minimum(np.diff(ends, prepend=0), longest)
    best = np.flatnonzero(lengths == lengths.max())[-1]
    return slice(ends[best] - lengths[best], ends[best])
