"""The dynamics model that leaves: its elites, frozen, in the environment's units.

Observations, rewards and actions are in the environment's own units: the scaling of actions to [-1,
1] that the rest of the package lives in stays inside.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from vagram_tf.envs.action_range import ActionRange
from vagram_tf.export.load import START_STATES
from vagram_tf.export.signatures import OBSERVATION, SEED, Exported, Signature, Value
from vagram_tf.model.ensemble import DynamicsEnsemble
from vagram_tf.types import Prediction, TerminationFunction

_MOST_START_STATES = 1000
# Rows computed together: with more, the layers' outputs leave the processor's cache.
_CHUNK_ROWS = 500

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
        functions = DynamicsFunctions(
            elites,
            elites.members,
            (ensemble.observation_size, ensemble.action_size),
            termination,
            action_range,
        )
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
      elites: `[E, B, D]` observations and `[E, B, A]` actions in [-1, 1] to a `Prediction`.
      members: E.
      sizes: D and A.
      termination: `[B, D] -> bool [B]`.
      action_range: the environment's.
    """

    def __init__(
        self,
        elites: Callable[[tf.Tensor, tf.Tensor], Prediction],
        members: int,
        sizes: tuple[int, int],
        termination: TerminationFunction,
        action_range: ActionRange,
    ):
        self._elites, self._members, self._sizes = elites, members, list(sizes)
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
        each = self.members(observation, action)
        mean, between = tf.nn.moments(each["next_observation"], axes=[0])
        within = tf.reduce_mean(tf.square(each["next_observation_stddev"]), axis=0)
        return {
            "next_observation": mean,
            "next_observation_stddev": tf.sqrt(within + between),
            "reward": tf.reduce_mean(each["reward"], axis=0),
            "terminated": self._termination(mean),
        }

    def members(self, observation: tf.Tensor, action: tf.Tensor) -> dict[str, tf.Tensor]:
        prediction = self._predict_in_chunks(observation, self._action_range.to_unit(action))
        return {
            "next_observation": prediction.next_observation,
            "next_observation_stddev": tf.exp(0.5 * prediction.next_observation_log_variance),
            "reward": prediction.reward,
            "reward_stddev": tf.exp(0.5 * prediction.reward_log_variance),
        }

    def sample(
        self, observation: tf.Tensor, action: tf.Tensor, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        each = self.members(observation, action)
        count = tf.shape(observation)[0]
        choice_seed, state_seed, reward_seed = tf.unstack(
            tf.random.experimental.stateless_split(seed, 3)
        )
        member = tf.random.stateless_uniform(
            [count], choice_seed, maxval=self._members, dtype=tf.int32
        )
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
        def step(previous: Any, action: tf.Tensor) -> Any:
            state, _, ended = previous
            step = self.predict(state, action)
            # After its end a trajectory stays where it is and earns nothing.
            state = tf.where(ended[:, tf.newaxis], state, step["next_observation"])
            return state, tf.where(ended, 0.0, step["reward"]), ended | step["terminated"]

        count = tf.shape(observation)[0]
        start = (observation, tf.zeros([count]), tf.zeros([count], tf.bool))
        states, rewards, ended = tf.scan(step, tf.transpose(actions, [1, 0, 2]), start)
        ended = tf.transpose(ended)
        before_end = tf.reduce_sum(tf.cast(~ended, tf.int32), axis=1)
        return {
            "next_observation": tf.transpose(states, [1, 0, 2]),
            "reward": tf.transpose(rewards),
            "terminated": ended,
            "length": tf.minimum(before_end + 1, tf.shape(actions)[1]),
        }

    @tf.function(reduce_retracing=True, autograph=False)  # one graph for all signatures
    def _predict_in_chunks(self, observation: tf.Tensor, action: tf.Tensor) -> Prediction:
        """Returns the elites' `[E, B]` predictions at an action in [-1, 1], computed in equal
        chunks of rows.
        """
        count, members = tf.shape(observation)[0], self._members
        chunks = tf.maximum(-(-count // _CHUNK_ROWS), 1)
        rows = -(-count // chunks)
        inputs = tf.pad(
            tf.concat([observation, action], axis=1), [[0, chunks * rows - count], [0, 0]]
        )
        sizes = self._sizes

        def predict(chunk: tf.Tensor) -> Prediction:
            return self._elites(
                *tf.split(tf.tile(chunk[tf.newaxis], [members, 1, 1]), sizes, axis=-1)
            )

        def joined(parts: tf.Tensor) -> tf.Tensor:
            parts = tf.unstack(parts, members, axis=1)
            return tf.stack(
                [tf.reshape(part, [chunks * rows, *part.shape[2:]])[:count] for part in parts]
            )

        state, scalar = tf.TensorSpec([members, None, sizes[0]]), tf.TensorSpec([members, None])
        parts = tf.map_fn(
            predict,
            tf.reshape(inputs, [chunks, rows, sum(sizes)]),
            parallel_iterations=2,
            fn_output_signature=Prediction(state, scalar, state, scalar),
        )
        return Prediction(*(joined(part) for part in parts))
