"""Hopper as it is measured: its settings, its sizes (D = 11, A = 3), transitions, models.
TensorFlow must be loaded.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from vagram_tf import preset
from vagram_tf.agent.sac import SoftActorCritic
from vagram_tf.config import Config
from vagram_tf.envs import tasks
from vagram_tf.model.ensemble import DynamicsEnsemble
from vagram_tf.model.objectives import make_objective
from vagram_tf.model.trainer import ModelTrainer
from vagram_tf.types import Transition

ENV = "Hopper-v5"
REFERENCE: dict[str, Any] = {
    "name": ENV,
    "agent_hidden_units": (256, 256),
    "num_steps": 1000,
    "random_steps": 5000,
}
"""Hopper as measured of others: SAC 2×256, 20 updates per step, model 4×200, batch 256, patience 5.
"""
HOPPER: Config = preset(ENV).replace(agent_hidden_units=REFERENCE["agent_hidden_units"])
D, A = 11, 3


def random_transitions(count: int) -> Transition:
    """Returns `[count]` transitions of Hopper under a random policy."""
    env = tasks.make(HOPPER.env)
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    # Not a list of steps, which would take more memory than the run that is measured.
    fields = Transition(
        *(np.empty([count, *shape], np.float32) for shape in ([D], [A], [], [], [D]))
    )
    for i in range(count):
        action = env.action_space.sample()  # Hopper's actions are within [-1, 1] as they are
        after, reward, terminated, truncated, _ = env.step(action)
        for field, value in zip(
            fields, (observation, action, reward, 1.0 - terminated, after), strict=True
        ):
            field[i] = value
        observation = env.reset()[0] if terminated or truncated else after
    env.close()
    return fields


def transitions(*shape: int) -> Transition:
    """Returns made-up transitions of Hopper's sizes."""
    normal = tf.random.Generator.from_seed(0).normal
    observation = normal([*shape, D])
    return Transition(
        observation,
        tf.tanh(normal([*shape, A])),
        normal(shape),
        tf.ones(shape),
        observation + 0.1 * normal([*shape, D]),
    )


def make_trainer(config: Config) -> ModelTrainer:
    """Returns a trainer of fresh models, with fresh critics."""
    agent, model = SoftActorCritic(D, A, config.agent, seed=0), config.model
    network = DynamicsEnsemble(D, A, model.members, model.elites, model.model_hidden_units)
    return ModelTrainer(
        network, make_objective(model), agent.values_of(model.value_functions), model, seed=0
    )
