"""From a configuration to the parts of a run, each with a seed of its own."""

from collections.abc import Callable
from typing import NamedTuple

import gymnasium
import tensorflow as tf

from vagram_tf import seeding
from vagram_tf.agent.sac import SoftActorCritic
from vagram_tf.cadence import Cadence
from vagram_tf.config import Config
from vagram_tf.envs import tasks
from vagram_tf.envs.adapter import GymnasiumEnvironment
from vagram_tf.envs.simulator import Simulator
from vagram_tf.model import known_termination
from vagram_tf.model.ensemble import DynamicsEnsemble
from vagram_tf.model.learned_termination import LearnedTermination
from vagram_tf.model.objectives import make_objective
from vagram_tf.model.rollouts import Imagination, Rollouts, SimulatedRollouts
from vagram_tf.model.trainer import ModelTrainer
from vagram_tf.replay import ReplayBuffer
from vagram_tf.types import TerminationFunction

EnvironmentFactory = Callable[[], gymnasium.Env]
"""Makes the task anew: once for training, once for each episode of an evaluation."""


class Parts(NamedTuple):
    """What takes turns in a run.

    Attributes:
      environment: the real world.
      agent: SAC.
      ensemble: the model.
      trainer: fits it.
      termination: whether imagined next observations end an episode.
      imagination: rolls the policy out.
      real: what the agent has seen.
      imagined: what the model has made up.
    """

    environment: GymnasiumEnvironment
    agent: SoftActorCritic
    ensemble: DynamicsEnsemble
    trainer: ModelTrainer
    termination: TerminationFunction | LearnedTermination
    imagination: Rollouts
    real: ReplayBuffer
    imagined: ReplayBuffer


def assemble(config: Config, env: gymnasium.Env, make_env: EnvironmentFactory) -> Parts:
    """Builds the parts of a run; their initial weights are functions of the configuration.

    Args:
      config: the run.
      env: the environment that the run is trained in.
      make_env: makes others like it.

    Raises:
      ValueError: the objective is unknown, or the simulator cannot take this environment's place.
    """
    seed, model, dyna = config.run.seed, config.model, config.dyna
    tf.keras.utils.set_random_seed(seeding.derive(seed, "networks"))
    environment = GymnasiumEnvironment(env, seed)
    sizes = environment.observation_spec().shape[0], environment.action_spec().shape[0]
    agent = SoftActorCritic(*sizes, config.agent, seeding.derive(seed, "policy"))
    objective = make_objective(model)
    ensemble = DynamicsEnsemble(
        *sizes,
        model.members,
        model.elites,
        model.model_hidden_units,
        model.variance_bounds,
        model.model_target,
    )
    trainer = ModelTrainer(
        ensemble,
        objective,
        agent.values_of(model.value_functions),
        model,
        seeding.derive(seed, "model"),
    )
    termination = _termination(config, env, sizes[0])
    imagination: Rollouts
    if dyna.rollout_model == "simulator":
        imagination = SimulatedRollouts(
            Simulator(make_env()).step, agent.explore, dyna.rollout_shrinkage
        )
    else:
        noise = objective.samples if dyna.rollout_noise == "auto" else dyna.rollout_noise == "on"
        imagination = Imagination(
            ensemble,
            agent.explore,
            termination,
            noise,
            seeding.derive(seed, "rollouts"),
            dyna.rollout_shrinkage,
        )
    real = ReplayBuffer(*sizes, dyna.replay_capacity, seeding.derive(seed, "replay", "real"))
    imagined = ReplayBuffer(
        *sizes, Cadence(config).imagined_capacity(1), seeding.derive(seed, "replay", "imagined")
    )
    return Parts(environment, agent, ensemble, trainer, termination, imagination, real, imagined)


def environment_factory(config: Config, make_env: EnvironmentFactory | None) -> EnvironmentFactory:
    """Returns what makes the run's environment: the one that the configuration names, or a person's
    own.

    Args:
      config: the run; its distractors are added to either.
      make_env: the person's own, None for the one that is named.
    """
    if make_env is None:
        return lambda: tasks.make(config.env)
    return lambda: tasks.adapt(make_env(), config.env)


def _termination(
    config: Config, env: gymnasium.Env, observation_size: int
) -> TerminationFunction | LearnedTermination:
    choice = config.env.termination
    if choice == "none":
        return known_termination.never
    known = known_termination.find(env) if choice == "auto" else None
    return known or LearnedTermination(
        observation_size, seeding.derive(config.run.seed, "termination")
    )
