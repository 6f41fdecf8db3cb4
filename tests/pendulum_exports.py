"""Tiny exports of agents for Pendulum-v1 that have learned nothing, for the tests of figures."""

import numpy as np

from vagram_tf.agent.sac import SoftActorCritic
from vagram_tf.config import AgentConfig, EnvConfig
from vagram_tf.envs import tasks
from vagram_tf.envs.action_range import ActionRange
from vagram_tf.export.load import FORMAT
from vagram_tf.export.policy import ExportedPolicy
from vagram_tf.export.save import save


def write(run, env_step, environment="Pendulum-v1"):
    """Writes the export of a policy whose weights depend on the step; returns its directory."""
    env = tasks.make(EnvConfig("Pendulum-v1"))
    agent = SoftActorCritic(3, 1, AgentConfig(agent_hidden_units=(8,)), seed=0)
    rng = np.random.default_rng(env_step)
    for variable in (*agent.actor_variables, *agent.critic_variables):
        variable.assign(rng.normal(scale=0.7, size=variable.shape).astype(np.float32))
    policy = ExportedPolicy(agent, 3, ActionRange(env.action_space))
    directory = run / "export" / "policy" / str(env_step)
    save(
        policy,
        directory,
        {
            "format": FORMAT,
            "kind": "policy",
            "environment": environment,
            "distractors": 0,
            "distractor_kind": "nonlinear",
            "distractor_seed": 0,
            "dimension_names": ["cos", "sin", "velocity"],
            "loss": "vagram",
            "seed": 0,
            "env_step": env_step,
        },
    )
    return directory
