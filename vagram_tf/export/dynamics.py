"""The dynamics model that leaves: its elites, frozen, in the environment's units.

Observations, rewards and actions are in the environment's own units: the scaling of actions to [-1,
1] that the rest of the package lives in stays inside.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from vagram_tf.envs.action_range import ActionRange
from vagram_tf.export.load import START_STATES
from vagram_tf.export.signatures import OBSERVATION, SEED, Exported, Signature, Value
from vagram_tf.model.ensemble import DynamicsEnsemble, Network
from vagram_tf.types import TerminationFunction

_MOST_START_STATES = 1000

_ACTION = Value("B A", "in the environment's units; clipped to action_low and action_high")
_TERMINATED = Value(
    "B", "whether the episode terminates at next_observation, by the rule named above", tf.bool
)
_INPUTS = {"observation": OBSERVATION, "action": _ACTION}


class ExportedDynamics(Exported):
    """The elites of an ensemble as a SavedModel, with the states that real episodes started from.

    Args:
      ensemble: the live model; the export keeps its elites as they are now.
      termination: `[B, D] -> bool [B]`.
      action_range: the environment's.
      start_states: `[N, D]` float32.
    """

    def __init__(
        self,
        ensemble: DynamicsEnsemble,
        termination: TerminationFunction,
        action_range: ActionRange,
        start_states: np.ndarray,
    ):
        elites = ensemble.only_elites()
        functions = DynamicsFunctions(elites, elites.network, termination, action_range)
        sizes = {"D": ensemble.observation_size, "A": ensemble.action_size, "E": elites.members}
        super().__init__("dynamics", elites.variables, functions.signatures(), sizes)
        self._start_states = start_states

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Writes a SavedModel and, beside it, the start states."""
        super().save(directory)
        np.save(Path(directory) / START_STATES, self._start_states, allow_pickle=False)


def start_states(observation: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Returns the observations that episodes started with.

    Args:
      observation: `[N, D]`.
      starts: whether an episode started with them, bool `[N]`.

    Returns:
      `[n, D]` float32: all of them, or 1,000 spread evenly over them.
    """
    first = observation[starts]
    kept = np.linspace(0, len(first) - 1, min(len(first), _MOST_START_STATES)).round().astype(int)
    return np.asarray(first[kept], np.float32)


class DynamicsFunctions:
    """What the signatures compute. Nothing of it is tracked by TensorFlow, so no Keras object
    enters the export.

    Args:
      ensemble: predicts with a network.
      read: returns the network of the E elites, once per call of a signature.
      termination: `[B, D] -> bool [B]`.
      action_range: the environment's.
    """

    def __init__(
        self,
        ensemble: DynamicsEnsemble,
        read: Callable[[], Network],
        termination: TerminationFunction,
        action_range: ActionRange,
    ):
        self._ensemble, self._read = ensemble, read
        self._termination, self._action_range = termination, action_range

    def signatures(self) -> dict[str, Signature]:
        return {
            "serving_default": Signature(
                self.predict,
                _INPUTS,
                {
                    "next_observation": Value("B D", "mean over the elites"),
                    "next_observation_stddev": Value(
                        "B D", "total spread: of the noise and between the elites"
                    ),
                    "reward": Value("B", "mean over the elites, in the environment's units"),
                    "terminated": _TERMINATED,
                },
            ),
            "members": Signature(
                self.members,
                _INPUTS,
                {
                    "next_observation": Value("E B D", "each elite's mean, best elite first"),
                    "next_observation_stddev": Value("E B D", "each elite's standard deviation"),
                    "reward": Value("E B", "each elite's mean, in the environment's units"),
                    "reward_stddev": Value("E B", "each elite's standard deviation"),
                },
            ),
            "each": Signature(
                self.each,
                {
                    "observation": Value("E B D", "rows of its own for each elite"),
                    "action": Value("E B A", "in the environment's units, likewise"),
                },
                {
                    "next_observation": Value("E B D", "the elite's mean"),
                    "reward": Value("E B", "the elite's mean, in the environment's units"),
                    "terminated": Value("E B", "by the rule named above", tf.bool),
                },
            ),
            "sample": Signature(
                self.sample,
                _INPUTS | {"seed": SEED},
                {
                    "next_observation": Value(
                        "B D", "drawn from an elite that is drawn for each row"
                    ),
                    "reward": Value("B", "drawn from the same elite, in the environment's units"),
                    "terminated": _TERMINATED,
                },
            ),
            "rollout": Signature(
                self.rollout,
                {
                    "observation": OBSERVATION,
                    "actions": Value("B H A", "one after the other, in the action's units"),
                },
                {
                    "next_observation": Value(
                        "B H D", "after each action; stays as it is after the end"
                    ),
                    "reward": Value("B H", "in the environment's units; 0 after the end"),
                    "terminated": Value("B H", "true from the end on", tf.bool),
                    "length": Value(
                        "B", "how many steps were taken until the end, that one included", tf.int32
                    ),
                },
            ),
        }

    def predict(self, observation: tf.Tensor, action: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._predict(self._read(), observation, action)

    def members(self, observation: tf.Tensor, action: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._members(self._read(), observation, action)

    def _predict(
        self, network: Network, observation: tf.Tensor, action: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        each = self._members(network, observation, action)
        mean, between = tf.nn.moments(each["next_observation"], axes=[0])
        within = tf.reduce_mean(tf.square(each["next_observation_stddev"]), axis=0)
        return {
            "next_observation": mean,
            "next_observation_stddev": tf.sqrt(within + between),
            "reward": tf.reduce_mean(each["reward"], axis=0),
            "terminated": self._termination(mean),
        }

    def _members(
        self, network: Network, observation: tf.Tensor, action: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        members = network.mean_head.kernel.shape[0]
        prediction = self._ensemble.predict(
            network,
            tf.tile(observation[tf.newaxis], [members, 1, 1]),
            tf.tile(self._action_range.to_unit(action)[tf.newaxis], [members, 1, 1]),
        )
        return {
            "next_observation": prediction.next_observation,
            "next_observation_stddev": tf.exp(0.5 * prediction.next_observation_log_variance),
            "reward": prediction.reward,
            "reward_stddev": tf.exp(0.5 * prediction.reward_log_variance),
        }

    def each(self, observation: tf.Tensor, action: tf.Tensor) -> dict[str, tf.Tensor]:
        unit_action = self._action_range.to_unit(action)
        prediction = self._ensemble.predict(self._read(), observation, unit_action)
        after = prediction.next_observation
        terminated = self._termination(tf.reshape(after, [-1, after.shape[-1]]))
        return {
            "next_observation": after,
            "reward": prediction.reward,
            "terminated": tf.reshape(terminated, tf.shape(prediction.reward)),
        }

    def sample(
        self, observation: tf.Tensor, action: tf.Tensor, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        network = self._read()
        each = self._members(network, observation, action)
        count, members = tf.shape(observation)[0], network.mean_head.kernel.shape[0]
        choice_seed, state_seed, reward_seed = tf.unstack(
            tf.random.experimental.stateless_split(seed, 3)
        )
        member = tf.random.stateless_uniform([count], choice_seed, maxval=members, dtype=tf.int32)
        index = tf.stack([member, tf.range(count)], axis=1)
        chosen = {name: tf.gather_nd(value, index) for name, value in each.items()}
        state_noise = tf.random.stateless_normal(tf.shape(observation), state_seed)
        next_observation = (
            chosen["next_observation"] + chosen["next_observation_stddev"] * state_noise
        )
        reward_noise = tf.random.stateless_normal([count], reward_seed)
        return {
            "next_observation": next_observation,
            "reward": chosen["reward"] + chosen["reward_stddev"] * reward_noise,
            "terminated": self._termination(next_observation),
        }

    def rollout(self, observation: tf.Tensor, actions: tf.Tensor) -> dict[str, tf.Tensor]:
        network = self._read()
        count, horizon = tf.shape(actions)[0], tf.shape(actions)[1]
        in_order = tf.transpose(actions, [1, 0, 2])

        def written(t: tf.Tensor, arrays: Sequence[Any], values: Sequence[tf.Tensor]) -> list[Any]:
            return [array.write(t, value) for array, value in zip(arrays, values, strict=True)]

        def step(t: tf.Tensor, state: tf.Tensor, ended: tf.Tensor, *arrays: tf.TensorArray) -> Any:
            step = self._predict(network, state, in_order[t])
            # After its end a trajectory stays where it is and earns nothing.
            state = tf.where(ended[:, tf.newaxis], state, step["next_observation"])
            reward = tf.where(ended, 0.0, step["reward"])
            ended = ended | step["terminated"]
            return t + 1, state, ended, *written(t + 1, arrays, (state, reward, ended))

        start = observation, tf.zeros([count]), tf.zeros([count], tf.bool)
        # With a place for the start: what is stacked is never empty.
        arrays = [
            tf.TensorArray(value.dtype, horizon + 1, element_shape=value.shape) for value in start
        ]
        *_, states, rewards, ends = tf.while_loop(
            lambda t, *_: t < horizon,
            step,
            (0, observation, start[-1], *written(0, arrays, start)),
            maximum_iterations=horizon,
        )
        ended = tf.transpose(ends.stack()[1:])
        before_end = tf.reduce_sum(tf.cast(~ended, tf.int32), axis=1)
        return {
            "next_observation": tf.transpose(states.stack()[1:], [1, 0, 2]),
            "reward": tf.transpose(rewards.stack()[1:]),
            "terminated": ended,
            "length": tf.minimum(before_end + 1, horizon),
        }
