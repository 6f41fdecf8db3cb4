"""The Dyna loop of MBPO: collect, fit, imagine, improve, evaluate (Janner et al. 2019, algorithm 2)."""

import contextlib
import time
from collections.abc import Iterator

import gymnasium
import numpy as np
import tensorflow as tf

from vagram_tf import schedules, seeding
from vagram_tf.agent.sac import TRAIN_METRICS, SoftActorCritic
from vagram_tf.config import Config
from vagram_tf.envs import suite
from vagram_tf.envs.adapter import EnvironmentFault, GymnasiumEnvironment
from vagram_tf.envs.episodes import Evaluation, evaluate
from vagram_tf.envs.interaction import Interaction
from vagram_tf.envs.simulator import Simulator
from vagram_tf.guards import NumericalGuard, q_bound
from vagram_tf.model import known_termination
from vagram_tf.model.ensemble import DynamicsEnsemble, moments
from vagram_tf.model.learned_termination import LearnedTermination
from vagram_tf.model.objectives import make_objective
from vagram_tf.model.rollouts import DataRange, Imagination, Rollouts, SimulatedRollouts
from vagram_tf.model.trainer import ModelTrainer
from vagram_tf.replay import ReplayBuffer
from vagram_tf.types import TerminationFunction, Transition

_ROLLOUT_ROWS = 5_000  # most rollouts of one compiled pass, so that the layers' outputs stay in the cache
_CREDIBLE_MARGIN = 5.0  # imagined steps may leave the range of the real data by this many of its widths

PHASES = ("collect", "fit", "imagine", "improve", "evaluate")


class Dyna:
    """One run: the real world, the learned world, the actor, and their turns.

    Building it is a pure function of the configuration; `state` names all that changes afterwards, so saving and
    restoring those objects, then calling `thaw`, continues the run to the very same weights.

    Args:
      config: the run.

    Raises:
      ValueError: the environment or the objective is unknown or unsupported.
    """

    def __init__(self, config: Config):
        self.config = config
        seed = config.run.seed
        tf.keras.utils.set_random_seed(seeding.derive(seed, "networks"))
        env = suite.make(config.env)
        self.environment = GymnasiumEnvironment(env, seed)
        self.goal = env.spec.reward_threshold if env.spec else None
        self.dimension_names = suite.dimension_names(env)
        self.action_space: gymnasium.spaces.Box = env.action_space  # type: ignore[assignment]
        sizes = self.environment.observation_spec().shape[0], self.environment.action_spec().shape[0]

        self.agent = SoftActorCritic(*sizes, config.agent, seeding.derive(seed, "policy"))
        model, self._objective = config.model, make_objective(config.model)
        self.ensemble = DynamicsEnsemble(
            *sizes, model.members, model.elites, model.model_hidden_units, model.variance_bounds,
            model.model_target)
        self.trainer = ModelTrainer(
            self.ensemble, self._objective, self.agent.values_of(model.value_functions), model,
            seeding.derive(seed, "model"))
        self.termination = self._termination(env, sizes[0])
        self.imagination = self._rollouts()
        self.real = ReplayBuffer(*sizes, config.dyna.replay_capacity, seeding.derive(seed, "replay", "real"))
        self.imagined = ReplayBuffer(*sizes, self.imagined_capacity(1), seeding.derive(seed, "replay", "imagined"))

        self.interaction = Interaction(self.environment)
        self.latest: dict[str, float] = {}
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._saved_latest = _SavedMetrics()
        self._guard = NumericalGuard()
        self._evaluation_environments: list[GymnasiumEnvironment] = []

    def _termination(self, env: gymnasium.Env, observation_size: int) -> TerminationFunction | LearnedTermination:
        choice = self.config.env.termination
        if choice == "none":
            return known_termination.never
        known = known_termination.find(env) if choice == "auto" else None
        return known or LearnedTermination(observation_size, seeding.derive(self.config.run.seed, "termination"))

    def _rollouts(self) -> Rollouts:
        dyna, policy = self.config.dyna, self.agent.explore
        if dyna.rollout_model == "simulator":
            simulator = Simulator(suite.make(self.config.env))
            return SimulatedRollouts(simulator.step, policy, dyna.rollout_shrinkage)
        noise = self._objective.samples if dyna.rollout_noise == "auto" else dyna.rollout_noise == "on"
        return Imagination(
            self.ensemble, policy, self.termination, noise, seeding.derive(self.config.run.seed, "rollouts"),
            dyna.rollout_shrinkage)

    @property
    def has_model(self) -> bool:
        """Whether a model is learned: the ensemble means something."""
        return self.config.dyna.rollout_model == "learned"

    @property
    def termination_kind(self) -> str:
        """Which rule ends imagined episodes: `known`, `learned`, or `none` if none was asked for."""
        if isinstance(self.termination, LearnedTermination):
            return "learned"
        return "none" if self.config.env.termination == "none" else "known"

    @property
    def env_step(self) -> int:
        """Steps taken in the real environment, the random ones included."""
        return self.interaction.env_step

    @property
    def training_step(self) -> int:
        """Environment steps since the random ones; negative while exploring."""
        return self.env_step - self.config.dyna.random_steps

    @property
    def epoch(self) -> float:
        return max(self.training_step, 0) / self.config.dyna.epoch_length

    @property
    def done(self) -> bool:
        return self.training_step >= self.config.dyna.num_steps

    @property
    def horizon(self) -> int:
        return schedules.rollout_length(self.config.dyna.rollout_schedule, self.epoch)

    @property
    def seconds_in_environment(self) -> float:
        """How long the environment has been at the call that it is in; 0 outside. For a watchdog in another thread."""
        environments = (self.environment, *self._evaluation_environments)
        entered = [begin for e in environments if (begin := e.entered) is not None]
        return time.monotonic() - min(entered) if entered else 0.0

    def step(self) -> dict[str, float]:
        """Takes one environment step, with the fit and the updates that are due with it.

        Returns:
          What happened in it, by TensorBoard name: the fit's and the updates' metrics, a finished episode's return.

        Raises:
          EnvironmentFault: the environment failed.
          Diverged: a loss, a weight or a Q value is not finite or out of bounds.
        """
        metrics: dict[str, float] = {}
        training = self.training_step >= 0
        if self.training_step == 0 and self.config.agent.observation_normalization:
            self.agent.normalize_by(*moments(self.real.all().observation))
        if training and self.training_step % self.config.dyna.retrain_every == 0:
            if self.has_model:
                metrics |= self._fit()
            if self.config.dyna.rollout_model != "none":
                metrics |= self._imagine()
        metrics |= self._collect()
        if training:
            metrics |= self._improve()
        self.latest |= metrics
        return metrics

    def evaluate(self) -> Evaluation:
        """Runs greedy episodes, whose seeds depend on the environment step, in environments of their own."""
        with self._clock("evaluate"):
            for i in range(len(self._evaluation_environments), self.config.run.eval_episodes):
                seed = seeding.derive(self.config.run.seed, "evaluation", i)
                self._evaluation_environments.append(GymnasiumEnvironment(suite.make(self.config.env), seed))
            for environment in self._evaluation_environments:
                environment.skip_to(self.env_step)
            return evaluate(self._evaluation_environments, self.agent.act_greedily)

    def _collect(self) -> dict[str, float]:
        with self._clock("collect"):
            try:
                observation = self.interaction.observe()
                if self.training_step < 0:
                    rng = np.random.default_rng(seeding.derive(self.config.run.seed, "exploration", self.env_step))
                    action = rng.uniform(-1.0, 1.0, self.environment.action_spec().shape).astype(np.float32)
                else:
                    action = self.agent.act(observation[np.newaxis])[0].numpy()
                    self._guard.check(self.env_step, {"action": float(np.sum(action))})
                transition, ended = self.interaction.step(action)
            except EnvironmentFault as fault:
                raise EnvironmentFault(f"environment step {self.env_step}: {fault}") from fault
            self.real.add(transition)
        if not ended:
            return {}
        total, length = np.mean(self.interaction.episodes, axis=0)
        return {"rollout/ep_rew_mean": float(total), "rollout/ep_len_mean": float(length)}

    def _fit(self) -> dict[str, float]:
        with self._clock("fit"):
            data = self.real.all()
            fitted = self.trainer.fit(data, warm_up=self.epoch < self.config.model.warm_up_epochs)
            if isinstance(self.termination, LearnedTermination):
                fitted |= self.termination.fit(data, self.trainer.held_out(data.reward.shape[0]))
        metrics = {f"model/{name}": value for name, value in fitted.items()}
        self._guard.check(self.env_step, metrics)
        return metrics

    def _imagine(self) -> dict[str, float]:
        """Fills the imagined buffer: all the rollouts of the steps until the next fit, branched off real states."""
        dyna = self.config.dyna
        with self._clock("imagine"):
            self.imagined.resize(self.imagined_capacity(self.horizon))
            data_range = DataRange.of(self.real.all(), _CREDIBLE_MARGIN)
            rollouts = dyna.rollouts_per_step * dyna.retrain_every
            passes = -(-rollouts // _ROLLOUT_ROWS)
            per_elite = -(-rollouts // (passes * self.config.model.elites))
            dropped = []
            for _ in range(passes):
                start = self.real.sample([per_elite * self.config.model.elites]).observation
                transitions, share = self.imagination.imagine(start, self.horizon, data_range)
                self.imagined.add(transitions)
                dropped.append(share)
        return {
            "model/rollout_length": self.horizon,
            "model/rollout_dropped_share": float(np.mean(dropped)),
            "model/imagined_transitions": self.imagined.size,
        }

    def _improve(self) -> dict[str, float]:
        """Takes the SAC updates of one step, on batches of real and imagined transitions."""
        config = self.config
        with self._clock("improve"):
            batch, updates = config.agent.agent_batch_size, config.dyna.updates_per_step
            real = schedules.real_examples(config.dyna.imagined_share, self.epoch, batch)
            if self.imagined.size == 0:  # every rollout was dropped
                real = batch
            values = self._improve_step(tf.constant([updates, real]), tf.constant([updates, batch - real]))
            metrics = dict(zip(TRAIN_METRICS, values.numpy().tolist(), strict=True))
        bound = q_bound(
            config.run.divergence_factor, config.agent.discount, self.interaction.largest_reward,
            metrics["ent_coef"], self.environment.action_spec().shape[0])
        self._guard.check(self.env_step, metrics, {"q_max": bound})
        del metrics["weight_sum"]
        metrics["imagined_share"] = 1.0 - real / batch
        return {f"train/{name}": value for name, value in metrics.items()}

    @tf.function(autograph=False)
    def _improve_step(self, real_shape: tf.Tensor, imagined_shape: tf.Tensor) -> tf.Tensor:
        """Draws the batches outside of the compiled updates, so that the buffers are not part of what is compiled."""
        real, imagined = self.real.sample(real_shape), self.imagined.sample(imagined_shape)
        size = [self.config.dyna.updates_per_step, self.config.agent.agent_batch_size]
        batch = Transition(*(tf.ensure_shape(tf.concat(fields, axis=1), size + fields[0].shape[2:].as_list())
                             for fields in zip(real, imagined, strict=True)))
        return self.agent.train(batch)

    def imagined_capacity(self, horizon: int) -> int:
        """Returns how many imagined transitions are kept while rollouts have so many steps."""
        dyna = self.config.dyna
        return horizon * dyna.rollouts_per_step * max(dyna.epoch_length, dyna.retrain_every) * dyna.retain_epochs

    @contextlib.contextmanager
    def _clock(self, phase: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[phase] += time.perf_counter() - start

    @property
    def state(self) -> dict[str, tf.Module]:
        """Everything that a checkpoint must hold; call `freeze` before saving and `thaw` after restoring."""
        learned = isinstance(self.termination, LearnedTermination)
        return ({"termination": self.termination} if learned else {}) | {
            "agent": self.agent,
            "trainer": self.trainer,
            "imagination": self.imagination,
            "real": self.real,
            "imagined": self.imagined,
            "interaction": self.interaction,
            "latest": self._saved_latest,
        }

    def freeze(self) -> None:
        """Copies the position of the run into `state`."""
        self.interaction.freeze()
        self._saved_latest.names.assign(list(self.latest))
        self._saved_latest.values.assign(list(self.latest.values()))

    def thaw(self) -> None:
        """Takes the position of the run out of `state` and reopens the episode."""
        self.interaction.thaw()
        names = [name.decode() for name in self._saved_latest.names.numpy()]
        self.latest = dict(zip(names, self._saved_latest.values.numpy().tolist(), strict=True))


class _SavedMetrics(tf.Module):
    """Metrics as variables, for a checkpoint."""

    def __init__(self) -> None:
        super().__init__(name="metrics")
        self.names = tf.Variable(tf.zeros([0], tf.string), shape=[None], trainable=False)
        self.values = tf.Variable(tf.zeros([0], tf.float64), shape=[None], trainable=False)
