"""Branched rollouts (Janner et al. 2019, algorithm 2): in the learned world, or in the simulator in
its place.
"""

import abc
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from vagram_tf.compiler import compiled
from vagram_tf.envs.simulator import Simulator
from vagram_tf.model.ensemble import DynamicsEnsemble
from vagram_tf.replay import ReplayBuffer, follows
from vagram_tf.types import TerminationFunction, Transition

_PASS_ROWS = (
    5_000  # most rollouts of one compiled pass, so that the layers' outputs stay in the cache
)
_CREDIBLE_MARGIN = (
    5.0  # imagined steps may leave the range of the real data by this many of its widths
)


class DataRange(NamedTuple):
    """What counts as a credible imagined step: bounds on next observation `[D]` and reward, per
    dimension.
    """

    observation_low: tf.Tensor
    observation_high: tf.Tensor
    reward_low: tf.Tensor
    reward_high: tf.Tensor

    @classmethod
    def of(cls, data: Transition, margin: float) -> "DataRange":
        """Takes the range of real data `[N]` and widens it on each side by `margin` times its
        width.
        """

        def widened(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            low, high = tf.reduce_min(values, axis=0), tf.reduce_max(values, axis=0)
            slack = margin * tf.maximum(high - low, 1e-3)
            return low - slack, high + slack

        return cls(*widened(data.next_observation), *widened(data.reward))

    def contains(self, next_observation: tf.Tensor, reward: tf.Tensor) -> tf.Tensor:
        """Returns `bool [B]`; false for what is not finite."""
        inside = (next_observation >= self.observation_low) & (
            next_observation <= self.observation_high
        )
        return (
            tf.reduce_all(inside, axis=-1)
            & (reward >= self.reward_low)
            & (reward <= self.reward_high)
        )


Policy = Callable[[tf.Tensor], tf.Tensor]
"""Samples actions: `[B, D] -> [B, A]`."""


class Rollouts(tf.Module, abc.ABC):
    """Rolls a policy out in a world that can be entered in any state.

    Args:
      policy: samples actions.
      shrinkage: the share of every change of state that is left out, which makes the world worse on
        purpose.
    """

    def __init__(self, policy: Policy, shrinkage: float):
        super().__init__(name="imagination")
        self._policy, self._shrinkage = policy, shrinkage

    def branch(
        self, real: ReplayBuffer, rollouts: int, horizon: int, elites: int
    ) -> Iterator[tuple[Transition, float]]:
        """Imagines rollouts that branch off real states, in passes of one size.

        Args:
          real: where they start.
          rollouts: how many there are at least: each elite gets as many as the others.
          horizon: H.
          elites: of the model.

        Yields:
          For each pass, what `imagine` returns.
        """
        data_range = DataRange.of(real.all(), _CREDIBLE_MARGIN)
        passes = -(-rollouts // _PASS_ROWS)
        per_elite = -(-rollouts // (passes * elites))
        draw = self._starts(real)
        for _ in range(passes):
            yield self.imagine(draw(per_elite * elites), horizon, data_range)

    def imagine(self, start: Any, horizon: int, data_range: DataRange) -> tuple[Transition, float]:
        """Imagines up to `horizon` steps from each start; a rollout ends where it terminates or
        leaves the range.

        Args:
          start: where B rollouts begin, as `_starts` draws it; B is a multiple of the number of
            elites where there are any.
          horizon: H.
          data_range: steps outside it are dropped, and their rollouts with them.

        Returns:
          The credible transitions, `[N]` with N at most H · B, and the share of imagined steps that
          was dropped.
        """
        at, alive = start, tf.ones([len(tf.nest.flatten(start)[0])], tf.bool)
        kept, imagined, dropped = [], 0, 0
        for _ in range(horizon):
            step, credible, at = self._step(at, data_range)
            keep = alive & credible
            imagined += int(tf.math.count_nonzero(alive))
            dropped += int(tf.math.count_nonzero(alive & ~credible))
            rows = tf.where(keep)[:, 0]  # once for all fields: a mask of each takes far longer
            kept.append(Transition(*(tf.gather(field, rows) for field in step)))
            alive = keep & (step.discount > 0)
        transitions = Transition(*(tf.concat(fields, axis=0) for fields in zip(*kept, strict=True)))
        return transitions, dropped / max(imagined, 1)

    @abc.abstractmethod
    def _starts(self, real: ReplayBuffer) -> Callable[[int], Any]:
        """Returns a function that draws where so many rollouts begin."""

    @abc.abstractmethod
    def _step(self, at: Any, data_range: DataRange) -> tuple[Transition, tf.Tensor, Any]:
        """One step of every rollout `[B]`, whether it is credible, bool `[B]`, and where it has led
        to.
        """

    def _shrunk(self, before: Any, after: Any) -> Any:
        return before + (1.0 - self._shrinkage) * (after - before) if self._shrinkage else after


class Imagination(Rollouts):
    """Rolls a policy out in the ensemble.

    Args:
      ensemble: the model; only its elites are used.
      policy: samples actions.
      termination: `[B, D] -> bool [B]` on next observations.
      noise: sample the predicted Gaussian; otherwise take its mean.
      seed: of the generator behind elite choice and noise.
      shrinkage: see `Rollouts`.
    """

    def __init__(
        self,
        ensemble: DynamicsEnsemble,
        policy: Policy,
        termination: TerminationFunction,
        noise: bool,
        seed: int,
        shrinkage: float = 0.0,
    ):
        super().__init__(policy, shrinkage)
        self._ensemble, self._termination, self._noise = ensemble, termination, noise
        self._generator = tf.random.Generator.from_seed(seed, alg="philox")

    def _starts(self, real: ReplayBuffer) -> Callable[[int], tf.Tensor]:
        return lambda count: real.sample([count]).observation

    def _step(
        self, at: tf.Tensor, data_range: DataRange
    ) -> tuple[Transition, tf.Tensor, tf.Tensor]:
        step, credible = self._predict(at, data_range)
        return step, credible, step.next_observation

    @compiled
    def _predict(
        self, observation: tf.Tensor, data_range: DataRange
    ) -> tuple[Transition, tf.Tensor]:
        """One step of every rollout `[B]`, each by a random elite.

        The rollouts are shuffled and dealt to the elites in equal shares, so that a step costs one
        forward pass per rollout and not one per rollout and elite.
        """
        action = self._policy(observation)
        batch, elites = observation.shape[0], self._ensemble.elites.shape[0]
        deal = tf.argsort(self._generator.uniform([batch]))
        dealt = [
            tf.reshape(tf.gather(x, deal), [elites, batch // elites, -1])
            for x in (observation, action)
        ]
        prediction = self._ensemble(*dealt, members=self._ensemble.elites)
        next_observation, reward = prediction.next_observation, prediction.reward
        if self._noise:
            noise = self._generator.normal(
                [*next_observation.shape[:2], next_observation.shape[2] + 1]
            )
            next_observation += noise[..., :-1] * tf.exp(
                0.5 * prediction.next_observation_log_variance
            )
            reward += noise[..., -1] * tf.exp(0.5 * prediction.reward_log_variance)
        back = tf.math.invert_permutation(deal)
        next_observation = self._shrunk(
            observation, tf.gather(tf.reshape(next_observation, [batch, -1]), back)
        )
        reward = tf.gather(tf.reshape(reward, [batch]), back)
        discount = 1.0 - tf.cast(self._termination(next_observation), tf.float32)
        step = Transition(observation, action, reward, discount, next_observation)
        return step, data_range.contains(next_observation, reward)


class Entered(NamedTuple):
    """Where simulated rollouts are.

    Attributes:
      observation: `[B, D]` float32, what the agent sees.
      state: `[B, D]` float64, what is behind it.
    """

    observation: np.ndarray
    state: np.ndarray


class SimulatedRollouts(Rollouts):
    """Rolls a policy out in the simulator: what the agent would learn with a perfect model.

    Args:
      simulator: of the task.
      policy: samples actions.
      shrinkage: see `Rollouts`.
    """

    def __init__(self, simulator: Simulator, policy: Policy, shrinkage: float = 0.0):
        super().__init__(policy, shrinkage)
        self._simulator = simulator
        self._act = compiled(policy)

    def _starts(self, real: ReplayBuffer) -> Callable[[int], Entered]:
        steps = real.all()
        observation = steps.observation.numpy()
        states = self._simulator.states(observation, steps.action.numpy(), follows(steps))

        def draw(count: int) -> Entered:
            slots = real.sample_slots([count])
            return Entered(observation[slots], states[slots])

        return draw

    def _step(self, at: Entered, data_range: DataRange) -> tuple[Transition, tf.Tensor, Entered]:
        observation = tf.constant(at.observation)
        action = self._act(observation)
        after = self._simulator.step(at.state, action.numpy())
        next_observation = self._shrunk(observation, tf.constant(after.observation))
        discount = 1.0 - tf.cast(after.terminated, tf.float32)
        step = Transition(
            observation, action, tf.constant(after.reward), discount, next_observation
        )
        led_to = Entered(next_observation.numpy(), self._shrunk(at.state, after.state))
        return step, data_range.contains(next_observation, step.reward), led_to
