"""The policy that leaves: as a SavedModel of plain tensors, and as TF-Agents' own, both in the
environment's units.
"""

import os
import re
from logging import LogRecord
from typing import Any

import tensorflow as tf
from absl import logging
from tf_agents.policies import policy_saver, tf_policy
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import policy_step
from tf_agents.trajectories import time_step as ts

from vagram_tf.agent.sac import SoftActorCritic
from vagram_tf.envs.action_range import ActionRange
from vagram_tf.export.signatures import OBSERVATION, SEED, Exported, Signature, Value
from vagram_tf.model.value_gradients import value_gradients

_ACTION = "in the environment's units, within action_low and action_high"


class ExportedPolicy(Exported):
    """A policy: greedy by default, or sampled; and what its critics think of a state.

    Args:
      agent: the live agent; its weights are written as they are when the module is saved.
      observation_size: D.
      action_range: the environment's.
    """

    def __init__(self, agent: SoftActorCritic, observation_size: int, action_range: ActionRange):
        def greedy(observation: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"action": action_range.from_unit(agent.mode(observation))}

        def sample(observation: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"action": action_range.from_unit(agent.sample(observation, seed))}

        def value(observation: tf.Tensor) -> dict[str, tf.Tensor]:
            gradient = value_gradients(agent.value_functions, observation)  # [B, C, D]
            return {
                "value": tf.stack(
                    [value_function(observation) for value_function in agent.value_functions]
                ),
                "value_gradient": tf.transpose(gradient, [1, 0, 2]),
            }

        inputs = {"observation": OBSERVATION}
        signatures = {
            "serving_default": Signature(
                greedy, inputs, {"action": Value("B A", f"the greedy one, {_ACTION}")}
            ),
            "sample": Signature(
                sample, inputs | {"seed": SEED}, {"action": Value("B A", f"drawn, {_ACTION}")}
            ),
            "value": Signature(
                value,
                inputs,
                {
                    "value": Value(
                        "C B", "discounted rewards, by both critics and both target critics"
                    ),
                    "value_gradient": Value(
                        "C B D", "the value's derivatives, per unit of the observation"
                    ),
                },
            ),
        }
        sizes = {"D": observation_size, "A": len(action_range.low), "C": len(agent.value_functions)}
        super().__init__("policy", agent.network_variables, signatures, sizes)


class TFAgentsPolicy(tf_policy.TFPolicy):
    """The greedy policy as TF-Agents knows policies, which its `PolicySaver` saves.

    Args: those of `ExportedPolicy`.
    """

    documentation = {
        "signatures": {
            "action": {
                "inputs": {
                    "time_step": {
                        "meaning": "TF-Agents' TimeStep with an observation of shape [B, D], "
                        "float32, in the environment's units"
                    }
                },
                "outputs": {
                    "action": {
                        "shape": ["B", "A"],
                        "dtype": "float32",
                        "meaning": f"the greedy one, {_ACTION}",
                    }
                },
            }
        }
    }

    def __init__(self, agent: SoftActorCritic, observation_size: int, action_range: ActionRange):
        super().__init__(
            ts.time_step_spec(tf.TensorSpec([observation_size], tf.float32, "observation")),
            tensor_spec.BoundedTensorSpec(
                action_range.low.shape, tf.float32, action_range.low, action_range.high, "action"
            ),
        )
        # All that is saved; the agent is not tracked.
        self._weights = agent.normalizer_variables + agent.actor_variables
        self._greedy = lambda observation: action_range.from_unit(agent.mode(observation))

    def _action(
        self, time_step: ts.TimeStep, policy_state: Any, seed: Any
    ) -> policy_step.PolicyStep:
        return policy_step.PolicyStep(self._greedy(time_step.observation))

    def _distribution(self, time_step: ts.TimeStep, policy_state: Any) -> policy_step.PolicyStep:
        raise NotImplementedError("the exported policy is greedy; it has no distribution")

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Writes what TF-Agents' `SavedModelPyTFEagerPolicy` loads."""
        logger = logging.get_absl_logger()
        logger.addFilter(_worth_reading)
        try:
            policy_saver.PolicySaver(self).save(os.fspath(directory))
        finally:
            logger.removeFilter(_worth_reading)


def _worth_reading(record: LogRecord) -> bool:
    """False for PolicySaver's notices of its own names, and of the distribution that there is none
    of.
    """
    message = record.getMessage()
    return not re.search(
        "is not a valid tf.function parameter name|Could not serialize policy.distribution", message
    )
