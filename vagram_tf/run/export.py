"""Leaves a trained model as a SavedModel that needs nothing of this package, Keras or TF-Agents to load.

    dynamics = tf.saved_model.load("export/dynamics/4000")
    dynamics(observation, action)["next_observation"]

Observations, rewards and actions are in the environment's own units: the scaling of actions to [-1, 1] that the rest
of the package lives in stays inside.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf

from vagram_tf.agent.sac import SoftActorCritic
from vagram_tf.errors import one_line
from vagram_tf.model.ensemble import DynamicsEnsemble
from vagram_tf.run.files import checksum
from vagram_tf.types import Prediction, TerminationFunction


class ActionRange:
    """Converts actions between the environment's bounds and [-1, 1]."""

    def __init__(self, space: gymnasium.spaces.Box):
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        self._center = np.float32((low + high) / 2)
        self._half_range = np.float32((high - low) / 2)

    def to_unit(self, action: tf.Tensor) -> tf.Tensor:
        """Environment units `[..., A]` to [-1, 1]; what is out of bounds is clipped, as the environment does."""
        return tf.clip_by_value((action - self._center) / self._half_range, -1.0, 1.0)

    def from_unit(self, action: tf.Tensor) -> tf.Tensor:
        """[-1, 1] to environment units `[..., A]`."""
        return self._center + self._half_range * action


class ExportedDynamics(tf.Module):
    """The elites of an ensemble, frozen as they are now (M of them), in the environment's units.

    Args:
      ensemble: the live model.
      termination: `[B, D] -> bool [B]`.
      action_range: the environment's.
    """

    def __init__(self, ensemble: DynamicsEnsemble, termination: TerminationFunction, action_range: ActionRange):
        super().__init__(name="dynamics")
        elites = ensemble.only_elites()
        self._weights = elites.variables  # tracked for the SavedModel; the Keras objects around them are not
        batch = tf.TensorSpec([None, ensemble.observation_size], tf.float32, "observation")
        action = tf.TensorSpec([None, ensemble.action_size], tf.float32, "action")
        actions = tf.TensorSpec([None, None, ensemble.action_size], tf.float32, "actions")
        seed = tf.TensorSpec([2], tf.int32, "seed")

        def predict_elites(observation: tf.Tensor, action: tf.Tensor) -> Prediction:
            copies = [elites.members, 1, 1]
            return elites(tf.tile(observation[tf.newaxis], copies),
                          tf.tile(action_range.to_unit(action)[tf.newaxis], copies))

        def members(observation: tf.Tensor, action: tf.Tensor) -> dict[str, tf.Tensor]:
            prediction = predict_elites(observation, action)
            return {
                "next_observation": prediction.next_observation,
                "next_observation_stddev": tf.exp(0.5 * prediction.next_observation_log_variance),
                "reward": prediction.reward,
                "reward_stddev": tf.exp(0.5 * prediction.reward_log_variance),
            }

        def predict(observation: tf.Tensor, action: tf.Tensor) -> dict[str, tf.Tensor]:
            each = members(observation, action)
            mean, between = tf.nn.moments(each["next_observation"], axes=[0])
            within = tf.reduce_mean(tf.square(each["next_observation_stddev"]), axis=0)
            return {
                "next_observation": mean,
                "next_observation_stddev": tf.sqrt(within + between),
                "reward": tf.reduce_mean(each["reward"], axis=0),
                "terminated": termination(mean),
            }

        def sample(observation: tf.Tensor, action: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
            each = members(observation, action)
            count = tf.shape(observation)[0]
            choice_seed, state_seed, reward_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
            member = tf.random.stateless_uniform([count], choice_seed, maxval=elites.members, dtype=tf.int32)
            index = tf.stack([member, tf.range(count)], axis=1)
            chosen = {name: tf.gather_nd(value, index) for name, value in each.items()}
            state_noise = tf.random.stateless_normal(tf.shape(observation), state_seed)
            next_observation = chosen["next_observation"] + chosen["next_observation_stddev"] * state_noise
            reward_noise = tf.random.stateless_normal([count], reward_seed)
            return {
                "next_observation": next_observation,
                "reward": chosen["reward"] + chosen["reward_stddev"] * reward_noise,
                "terminated": termination(next_observation),
            }

        def rollout(observation: tf.Tensor, actions: tf.Tensor) -> dict[str, tf.Tensor]:
            def step(previous: Any, action: tf.Tensor) -> Any:
                state, _, ended = previous
                step = predict(state, action)
                # After its end a trajectory stays where it is and earns nothing.
                state = tf.where(ended[:, tf.newaxis], state, step["next_observation"])
                return state, tf.where(ended, 0.0, step["reward"]), ended | step["terminated"]

            count = tf.shape(observation)[0]
            start = (observation, tf.zeros([count]), tf.zeros([count], tf.bool))
            states, rewards, ended = tf.scan(step, tf.transpose(actions, [1, 0, 2]), start)
            ended = tf.transpose(ended)
            horizon = tf.shape(actions)[1]
            before_end = tf.reduce_sum(tf.cast(~ended, tf.int32), axis=1)
            return {
                "next_observation": tf.transpose(states, [1, 0, 2]),
                "reward": tf.transpose(rewards),
                "terminated": ended,
                "length": tf.minimum(before_end + 1, horizon),
            }

        self.__call__ = tf.function(predict, input_signature=[batch, action])
        self.members = tf.function(members, input_signature=[batch, action])
        self.sample = tf.function(sample, input_signature=[batch, action, seed])
        self.rollout = tf.function(rollout, input_signature=[batch, actions])
        self.exported = {
            "serving_default": self.__call__, "members": self.members, "sample": self.sample,
            "rollout": self.rollout}


class ExportedPolicy(tf.Module):
    """A policy, in the environment's units: greedy by default, or sampled.

    Args:
      agent: the live agent; its weights are written as they are when the module is saved.
      observation_size: D.
      action_range: the environment's.
    """

    def __init__(self, agent: SoftActorCritic, observation_size: int, action_range: ActionRange):
        super().__init__(name="policy")
        self._weights = agent.actor_variables
        observation = tf.TensorSpec([None, observation_size], tf.float32, "observation")
        seed = tf.TensorSpec([2], tf.int32, "seed")

        def greedy(observation: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"action": action_range.from_unit(agent.mode(observation))}

        def sample(observation: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"action": action_range.from_unit(agent.sample(observation, seed))}

        self.__call__ = tf.function(greedy, input_signature=[observation], autograph=False)
        self.sample = tf.function(sample, input_signature=[observation, seed], autograph=False)
        self.exported = {"serving_default": self.__call__, "sample": self.sample}


def save(module: ExportedDynamics | ExportedPolicy, directory: Path, metadata: dict[str, Any]) -> Path:
    """Writes a SavedModel with its `metadata.json` and `manifest.json`, whole or not at all.

    It is written beside its place and renamed, so that a reader never sees half an export. An export that is
    already there, from before the run was resumed, is replaced.

    Args:
      module: what to save.
      directory: the export's own, e.g. `export/dynamics/4000`; its name is the version TensorFlow Serving sees.
      metadata: what a reader must know: environment, dimension names, bounds, loss, step, seed.

    Returns:
      The directory.

    Raises:
      OSError: the disk is full or the directory cannot be written; nothing is left behind.
    """
    temporary = directory.with_name(f"writing-{directory.name}")
    try:
        tf.saved_model.save(module, str(temporary), signatures=module.exported)
        (temporary / "metadata.json").write_text(json.dumps(metadata, indent=2) + "\n")
        manifest = {str(path.relative_to(temporary)): checksum(path)
                    for path in sorted(temporary.rglob("*")) if path.is_file()}
        (temporary / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    except (OSError, tf.errors.OpError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise OSError(f"cannot write the export {directory}: {one_line(error)}") from None
    shutil.rmtree(directory, ignore_errors=True)
    os.replace(temporary, directory)
    return directory

