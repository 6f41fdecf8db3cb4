"""Branched rollouts in the learned world (Janner et al. 2019, algorithm 2)."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from vagram_tf.model.ensemble import DynamicsEnsemble
from vagram_tf.types import TerminationFunction, Transition


class DataRange(NamedTuple):
    """What counts as a credible imagined step: bounds on next observation `[D]` and reward, per dimension."""

    observation_low: tf.Tensor
    observation_high: tf.Tensor
    reward_low: tf.Tensor
    reward_high: tf.Tensor

    @classmethod
    def of(cls, data: Transition, margin: float) -> "DataRange":
        """Takes the range of real data `[N]` and widens it on each side by `margin` times its width."""

        def widened(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            low, high = tf.reduce_min(values, axis=0), tf.reduce_max(values, axis=0)
            slack = margin * tf.maximum(high - low, 1e-3)
            return low - slack, high + slack

        return cls(*widened(data.next_observation), *widened(data.reward))

    def contains(self, next_observation: tf.Tensor, reward: tf.Tensor) -> tf.Tensor:
        """Returns `bool [B]`; false for what is not finite."""
        inside = (next_observation >= self.observation_low) & (next_observation <= self.observation_high)
        return tf.reduce_all(inside, axis=-1) & (reward >= self.reward_low) & (reward <= self.reward_high)


class Imagination(tf.Module):
    """Rolls a policy out in the ensemble.

    Args:
      ensemble: the model; only its elites are used.
      policy: `[B, D] -> [B, A]`, samples actions.
      termination: `[B, D] -> bool [B]` on next observations.
      noise: sample the predicted Gaussian; otherwise take its mean.
      seed: of the generator behind elite choice and noise.
    """

    def __init__(
        self,
        ensemble: DynamicsEnsemble,
        policy: Callable[[tf.Tensor], tf.Tensor],
        termination: TerminationFunction,
        noise: bool,
        seed: int,
    ):
        super().__init__(name="imagination")
        self._ensemble, self._policy, self._termination, self._noise = ensemble, policy, termination, noise
        self._generator = tf.random.Generator.from_seed(seed, alg="philox")

    def imagine(self, start: tf.Tensor, horizon: int, data_range: DataRange) -> tuple[Transition, float]:
        """Imagines up to `horizon` steps from each start; a rollout ends where it terminates or leaves the range.

        Args:
          start: `[B, D]` real observations, B a multiple of the number of elites.
          horizon: H.
          data_range: steps outside it are dropped, and their rollouts with them.

        Returns:
          The credible transitions, `[N]` with N at most H · B, and the share of imagined steps that was dropped.
        """
        observation, alive = start, tf.ones([start.shape[0]], tf.bool)
        kept, imagined, dropped = [], 0, 0
        for _ in range(horizon):
            step, credible = self._step(observation, data_range)
            keep = alive & credible
            imagined += int(tf.math.count_nonzero(alive))
            dropped += int(tf.math.count_nonzero(alive & ~credible))
            kept.append(Transition(*(tf.boolean_mask(field, keep) for field in step)))
            observation, alive = step.next_observation, keep & (step.discount > 0)
        transitions = Transition(*(tf.concat(fields, axis=0) for fields in zip(*kept, strict=True)))
        return transitions, dropped / max(imagined, 1)

    @tf.function(jit_compile=True, autograph=False)
    def _step(self, observation: tf.Tensor, data_range: DataRange) -> tuple[Transition, tf.Tensor]:
        """One step of every rollout `[B]`, each by a random elite.

        The rollouts are shuffled and dealt to the elites in equal shares, so that a step costs one forward pass per
        rollout and not one per rollout and elite.
        """
        action = self._policy(observation)
        batch, elites = observation.shape[0], self._ensemble.elites.shape[0]
        deal = tf.argsort(self._generator.uniform([batch]))
        dealt = [tf.reshape(tf.gather(x, deal), [elites, batch // elites, -1]) for x in (observation, action)]
        prediction = self._ensemble(*dealt, members=self._ensemble.elites)
        next_observation, reward = prediction.next_observation, prediction.reward
        if self._noise:
            noise = self._generator.normal([*next_observation.shape[:2], next_observation.shape[2] + 1])
            next_observation += noise[..., :-1] * tf.exp(0.5 * prediction.next_observation_log_variance)
            reward += noise[..., -1] * tf.exp(0.5 * prediction.reward_log_variance)
        back = tf.math.invert_permutation(deal)
        next_observation = tf.gather(tf.reshape(next_observation, [batch, -1]), back)
        reward = tf.gather(tf.reshape(reward, [batch]), back)
        discount = 1.0 - tf.cast(self._termination(next_observation), tf.float32)
        step = Transition(observation, action, reward, discount, next_observation)
        return step, data_range.contains(next_observation, reward)
