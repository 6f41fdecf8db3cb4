"""From a configuration to the parts of a run, each with a seed of its own."""

from typing import NamedTuple

import gymnasium
import tensorflow as tf

from vagram_tf import seeding
from vagram_tf.agent.sac import SoftActorCritic
from vagram_tf.cadence import Cadence
from vagram_tf.config import Config, ModelConfig
from vagram_tf.envs.run_environments import RunEnvironments
from vagram_tf.envs.simulator import Simulator
from vagram_tf.model import known_termination
from vagram_tf.model.ensemble import DynamicsEnsemble
from vagram_tf.model.learned_termination import LearnedTermination
from vagram_tf.model.objectives import make_objective
from vagram_tf.model.rollouts import Imagination, Rollouts, SimulatedRollouts
from vagram_tf.model.trainer import ModelTrainer
from vagram_tf.replay import ReplayBuffer
from vagram_tf.types import TerminationFunction


class Parts(NamedTuple):
    """What takes turns in a run.

    Attributes:
      agent: SAC.
      ensemble: the model.
      trainer: fits it.
      termination: whether imagined next observations end an episode.
      imagination: rolls the policy out.
      real: what the agent has seen.
      imagined: what the model has made up.
    """

    agent: SoftActorCritic
    ensemble: DynamicsEnsemble
    trainer: ModelTrainer
    termination: TerminationFunction | LearnedTermination
    imagination: Rollouts
    real: ReplayBuffer
    imagined: ReplayBuffer


def assemble(config: Config, environments: RunEnvironments) -> Parts:
    """Builds the parts of a run; their initial weights are functions of the configuration.

    Args:
      config: the run.
      environments: that it is trained and evaluated in.

    Raises:
      ValueError: the objective is unknown, or the simulator cannot take this environment's place.
    """
    seed, model, dyna = config.run.seed, config.model, config.dyna
    tf.keras.utils.set_random_seed(seeding.derive(seed, "networks"))
    training = environments.training
    sizes = training.observation_spec().shape[0], training.action_spec().shape[0]
    agent = SoftActorCritic(*sizes, config.agent, seeding.derive(seed, "policy"))
    objective = make_objective(model)
    ensemble = make_ensemble(model, *sizes)
    trainer = ModelTrainer(
        ensemble,
        objective,
        agent.values_of(model.value_functions),
        model,
        seeding.derive(seed, "model"),
    )
    termination = make_termination(config, environments.task, sizes[0])
    imagination: Rollouts
    if dyna.rollout_model == "simulator":
        imagination = SimulatedRollouts(
            Simulator(environments.another()), agent.explore, dyna.rollout_shrinkage
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
    return Parts(agent, ensemble, trainer, termination, imagination, real, imagined)


def make_ensemble(model: ModelConfig, observation_size: int, action_size: int) -> DynamicsEnsemble:
    """Builds the ensemble; TensorFlow's global seed decides its initial weights."""
    return DynamicsEnsemble(
        observation_size,
        action_size,
        model.members,
        model.elites,
        model.model_hidden_units,
        model.variance_bounds,
        model.model_target,
    )


def make_termination(
    config: Config, env: gymnasium.Env | None, observation_size: int
) -> TerminationFunction | LearnedTermination:
    """Returns the rule that the configuration asks for; a classifier where none is known, as of no
    environment.
    """
    choice = config.env.termination
    if choice == "none":
        return known_termination.never
    known = known_termination.find(env) if env is not None and choice == "auto" else None
    return known or LearnedTermination(
        observation_size, seeding.derive(config.run.seed, "termination")
    )


def termination_kind(config: Config, rule: TerminationFunction | LearnedTermination) -> str:
    """Returns which rule ends imagined episodes: `known`, `learned`, or `none` if none was asked
    for.
    """
    if isinstance(rule, LearnedTermination):
        return "learned"
    return "none" if config.env.termination == "none" else "known"
