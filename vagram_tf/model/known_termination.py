"""When an imagined episode ends: pure functions of the next observation, `[B, D] -> bool [B]`.

The ensemble predicts observations and rewards, not ends, so a task's own rule is applied to what
it predicts. `find` reads the thresholds from the environment; where nobody wrote a rule, a
classifier learns one (`learned_termination`). Observations are in raw units;
D includes the distractors, which no rule reads. Everything is pure tensor code with Python
constants, fit for XLA and for export.

Three facts that the rules share:

- A non-finite prediction is no state of the task: it counts as terminated everywhere, even where
  episodes never end.
- Observations are float32 and the simulators float64: within one rounding (about 1e-7) of a
  threshold the rule and the simulator may disagree.
- The rules see the observation, not the simulator's state. Hopper's `healthy_state_range` bounds
  the unclipped velocities, whose observations are clipped to [-10, 10]; the rule bounds what the
  model predicts for the latter.
"""

import functools
from collections.abc import Callable
from typing import Any, cast

import gymnasium
import numpy as np
import tensorflow as tf

from vagram_tf.types import TerminationFunction

TerminationFactory = Callable[[gymnasium.Env], TerminationFunction | None]


def find(env: gymnasium.Env) -> TerminationFunction | None:
    """Returns the termination function of an environment, or None where nobody wrote one.

    Args:
      env: an environment with a vector observation `[D]`, as `tasks.make` returns it.

    Returns:
      A function `[B, D] -> bool [B]` of next observations, float32, distractors included.
    """
    name = env.spec.id if env.spec is not None else type(env.unwrapped).__name__
    default = dm_control if name.startswith("dm_control/") else None
    factory = _factories.get(name, default)
    rule = factory(env) if factory is not None else None
    if rule is None:
        return None
    dimensions = gymnasium.spaces.flatdim(env.observation_space)
    if env.has_wrapper_attr("distractor_dimensions"):
        dimensions -= env.get_wrapper_attr("distractor_dimensions")
    origin = np.zeros(dimensions, np.float32)
    if env.has_wrapper_attr("observation_origin"):
        origin = env.get_wrapper_attr("observation_origin").astype(np.float32)

    def terminated(observation: tf.Tensor) -> tf.Tensor:
        observation = tf.convert_to_tensor(observation)
        observation.shape.assert_has_rank(2)
        own = observation[:, :dimensions]
        if origin.any():
            own += origin
        return rule(own) | never(own)

    return terminated


def register(env_id: str, factory: TerminationFactory) -> None:
    """Makes `find` know an environment.

    Args:
      env_id: the Gymnasium id, e.g. "MyTask-v0" (without the module in front). A known id is
        replaced.
      factory: gets the environment and returns its termination function. That function receives
        the task's own dimensions, `[B, D - distractors]`; non-finite predictions are taken care
        of. The factories of this module serve variants, too:
        `register("SlowHopper-v0", known_termination.hopper)`.
    """
    _factories[env_id] = factory


def never(observation: tf.Tensor) -> tf.Tensor:
    """The rule of tasks whose episodes only time out: true for non-finite predictions alone.

    Args:
      observation: `[B, D]` float.

    Returns:
      Bool `[B]`.
    """
    return tf.logical_not(tf.reduce_all(tf.math.is_finite(observation), axis=-1))


def _between(value: tf.Tensor, bounds: tuple[float, float]) -> tf.Tensor:
    """Whether low < value < high, elementwise; false for NaN."""
    return (value > float(bounds[0])) & (value < float(bounds[1]))


def _skipped_positions(task: Any, count: int) -> int:
    """How many of the `count` root positions are left out of the observation: all or none."""
    return count if task._exclude_current_positions_from_observation else 0


def _where_unhealthy(rule: Callable[[Any], TerminationFunction]) -> TerminationFactory:
    """Makes a factory of a robot's rule, for tasks that may also be told never to end."""

    @functools.wraps(rule)
    def factory(env: gymnasium.Env) -> TerminationFunction:
        task: Any = env.unwrapped
        return rule(task) if task._terminate_when_unhealthy else never

    return factory


def no_termination(env: gymnasium.Env) -> TerminationFunction:
    """Factory for tasks whose episodes only time out."""
    del env
    return never


def inverted_pendulum(env: gymnasium.Env) -> TerminationFunction:
    """Ends when the pole's angle exceeds 0.2 rad (a constant in Gymnasium's code)."""
    del env
    return lambda observation: tf.abs(observation[:, 1]) > 0.2


def inverted_double_pendulum(env: gymnasium.Env) -> TerminationFunction:
    """Ends when the tip is not above 1 m (a constant in Gymnasium's code).

    The observation holds the sines (1, 2) and cosines (3, 4) of the two relative angles, so the
    tip's height is l1 cos(a) + l2 cos(a + b). The simulator tests a height from the last stage of
    its Runge-Kutta step, which differed from this one by at most 6e-5 m in 20,000 random steps.
    """
    task: Any = env.unwrapped
    model = task.model
    lower, upper = float(model.body("pole2").pos[2]), float(model.site("tip").pos[2])

    def terminated(observation: tf.Tensor) -> tf.Tensor:
        sine_a, sine_b, cosine_a, cosine_b = (observation[:, i] for i in (1, 2, 3, 4))
        return lower * cosine_a + upper * (cosine_a * cosine_b - sine_a * sine_b) <= 1.0

    return terminated


@_where_unhealthy
def hopper(task: Any) -> TerminationFunction:
    """Ends when the torso's height (m), angle (rad) or any later state leaves its healthy range."""
    height = 1 - _skipped_positions(task, 1)
    heights, angles = task._healthy_z_range, task._healthy_angle_range
    states = task._healthy_state_range

    def terminated(observation: tf.Tensor) -> tf.Tensor:
        healthy = _between(observation[:, height], heights)
        healthy &= _between(observation[:, height + 1], angles)
        healthy &= tf.reduce_all(_between(observation[:, height + 1 :], states), axis=-1)
        return ~healthy

    return terminated


@_where_unhealthy
def walker2d(task: Any) -> TerminationFunction:
    """Ends when the torso's height (m) or angle (rad) leaves its healthy range."""
    height = 1 - _skipped_positions(task, 1)
    heights, angles = task._healthy_z_range, task._healthy_angle_range

    def terminated(observation: tf.Tensor) -> tf.Tensor:
        healthy = _between(observation[:, height], heights)
        return ~(healthy & _between(observation[:, height + 1], angles))

    return terminated


@_where_unhealthy
def ant(task: Any) -> TerminationFunction:
    """Ends when the torso's height (m) leaves its healthy range, whose ends are healthy."""
    height = 2 - _skipped_positions(task, 2)
    low, high = (float(bound) for bound in task._healthy_z_range)
    return lambda observation: (observation[:, height] < low) | (observation[:, height] > high)


@_where_unhealthy
def humanoid(task: Any) -> TerminationFunction:
    """Ends when the torso's height (m) leaves its healthy range, whose ends are unhealthy."""
    height = 2 - _skipped_positions(task, 2)
    heights = task._healthy_z_range
    return lambda observation: ~_between(observation[:, height], heights)


def dm_control(env: gymnasium.Env) -> TerminationFunction | None:
    """DeepMind Control: most tasks only time out, and say so by inheriting dm_control's own rule.

    A task that overrides that rule (lqr, locomotion) has one that is not known: None.
    """
    task = type(cast(Any, env.unwrapped).task)
    inherited = ("dm_control.rl.control", "dm_control.composer.task")
    for rule in ("get_termination", "should_terminate_episode"):
        if hasattr(task, rule) and getattr(task, rule).__module__ not in inherited:
            return None
    return never


_factories: dict[str, TerminationFactory] = {"Pendulum-v1": no_termination}
for _name, _factory in {
    "InvertedPendulum": inverted_pendulum,
    "InvertedDoublePendulum": inverted_double_pendulum,
    "Hopper": hopper,
    "Walker2d": walker2d,
    "Ant": ant,
    "Humanoid": humanoid,
    "HalfCheetah": no_termination,
    "HumanoidStandup": no_termination,
    "Swimmer": no_termination,
    "Reacher": no_termination,
    "Pusher": no_termination,
}.items():
    for _version in ("v4", "v5"):  # their rules are the same
        _factories[f"{_name}-{_version}"] = _factory
