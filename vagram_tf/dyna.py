"""The Dyna loop of MBPO: collect, fit, imagine, improve, evaluate (Janner et al. 2019, algorithm
2).
"""

import contextlib
from collections.abc import Callable, Iterator

import gymnasium
import numpy as np
import tensorflow as tf

from vagram_tf import seeding
from vagram_tf.agent.sac import TRAIN_METRICS
from vagram_tf.assembly import assemble, termination_kind
from vagram_tf.bookkeeping import Clock, LatestMetrics
from vagram_tf.cadence import Cadence
from vagram_tf.config import Config
from vagram_tf.envs import tasks
from vagram_tf.envs.adapter import EnvironmentFault
from vagram_tf.envs.episodes import Evaluation
from vagram_tf.envs.interaction import Interaction
from vagram_tf.envs.run_environments import EnvironmentFactory, RunEnvironments
from vagram_tf.guards import NumericalGuard, q_bound
from vagram_tf.model.ensemble import moments
from vagram_tf.model.learned_termination import LearnedTermination

PHASES = ("collect", "fit", "imagine", "improve", "evaluate")


class Dyna:
    """One run: the real world, the learned world, the actor, and their turns.

    Building it is a pure function of the configuration; `state` names all that changes afterwards,
    so saving and restoring those objects, then calling `thaw`, continues the run to the very same
    weights.

    Args:
      config: the run.
      make_env: makes the task, where it is not the one that the configuration names.

    Attributes:
      environment_is_named: the configuration's name is enough to make the task, in another process,
        too.
      clock: the phase that is going on, and the wall time of each in this process.

    Raises:
      ValueError: the environment or the objective is unknown or unsupported.
    """

    def __init__(self, config: Config, make_env: EnvironmentFactory | None = None):
        self.config, self.cadence = config, Cadence(config)
        self.environment_is_named = make_env is None
        self.environments = RunEnvironments(config, make_env)
        env = self.environments.task
        self.goal = env.spec.reward_threshold if env.spec else None
        self.dimension_names = tasks.dimension_names(env)
        self.action_space: gymnasium.spaces.Box = env.action_space  # type: ignore[assignment]

        with contextlib.ExitStack() as unfinished:
            unfinished.callback(self.close)
            parts = assemble(config, self.environments)
            unfinished.pop_all()
        self.agent, self.ensemble, self.trainer = parts.agent, parts.ensemble, parts.trainer
        self.termination, self.imagination = parts.termination, parts.imagination
        self.real, self.imagined = parts.real, parts.imagined
        self.environment = self.environments.training
        self.interaction = Interaction(self.environment)
        self._metrics, self.clock, self._guard = LatestMetrics(), Clock(PHASES), NumericalGuard()

    @property
    def env_step(self) -> int:
        """Steps taken in the real environment, the random ones included."""
        return self.interaction.env_step

    @property
    def training_step(self) -> int:
        """Environment steps since the random ones; negative while exploring."""
        return self.env_step - self.config.dyna.random_steps

    @property
    def done(self) -> bool:
        return self.training_step >= self.config.dyna.num_steps

    def step(self) -> dict[str, float]:
        """Takes one environment step, with the fit and the updates that are due with it.

        Returns:
          What happened in it, by TensorBoard name: the fit's and the updates' metrics, a finished
            episode's return.

        Raises:
          EnvironmentFault: the environment failed.
          Diverged: a loss, a weight or a Q value is not finite or out of bounds.
        """
        metrics: dict[str, float] = {}
        exploring = self.training_step < 0
        if self.training_step == 0 and self.config.agent.observation_normalization:
            self.agent.normalize_by(*moments(self.real.all().observation))
        if self.cadence.fit_is_due(self.training_step):
            metrics |= self._fit() if self.has_model else {}
            metrics |= self._imagine() if self.has_rollouts else {}
        metrics |= self._collect(exploring)
        if not exploring:
            metrics |= self._improve()
        self._metrics.values |= metrics
        return metrics

    def _collect(self, exploring: bool) -> dict[str, float]:
        """Takes one step in the real world: a random one, or the policy's."""
        with self.clock("collect"):
            try:
                observation = self.interaction.observe()
                action = self._random_action() if exploring else self._policy_action(observation)
                transition, ended = self.interaction.step(action)
            except EnvironmentFault as fault:
                raise EnvironmentFault(f"environment step {self.env_step}: {fault}") from fault
            self.real.add(transition)
        if not ended:
            return {}
        total, length = np.mean(self.interaction.episodes, axis=0)
        return {"rollout/ep_rew_mean": float(total), "rollout/ep_len_mean": float(length)}

    def _fit(self) -> dict[str, float]:
        """Fits the model to all the real data, and the learned rule of termination where there is
        one.
        """
        with self.clock("fit"):
            data = self.real.all()
            fitted = self.trainer.fit(data, warm_up=self.cadence.warms_up(self.training_step))
            if isinstance(self.termination, LearnedTermination):
                fitted |= self.termination.fit(data, self.trainer.held_out(data.reward.shape[0]))
        metrics = {f"model/{name}": value for name, value in fitted.items()}
        self._guard.check(self.env_step, metrics)
        return metrics

    def _imagine(self) -> dict[str, float]:
        """Fills the imagined buffer: all the rollouts of the steps until the next fit, branched off
        real states.
        """
        horizon, dropped = self.cadence.horizon(self.training_step), []
        with self.clock("imagine"):
            self.imagined.resize(self.cadence.imagined_capacity(horizon))
            branches = self.imagination.branch(
                self.real, self.cadence.rollouts, horizon, self.config.model.elites
            )
            for transitions, share in branches:
                self.imagined.add(transitions)
                dropped.append(share)
        return {
            "model/rollout_length": horizon,
            "model/rollout_dropped_share": float(np.mean(dropped)),
            "model/imagined_transitions": self.imagined.size,
        }

    def _improve(self) -> dict[str, float]:
        """Takes the SAC updates of one step, on batches of real and imagined transitions."""
        batch, updates = self.config.agent.agent_batch_size, self.config.dyna.updates_per_step
        with self.clock("improve"):
            real = self.cadence.real_examples(self.training_step)
            if self.imagined.size == 0:  # every rollout was dropped
                real = batch
            rows = [
                self.real.sample_rows([updates, real]),
                self.imagined.sample_rows([updates, batch - real]),
            ]
            values = self.agent.train(self.real.unpack(np.concatenate(rows, axis=1)))
            metrics = dict(zip(TRAIN_METRICS, values.numpy().tolist(), strict=True))
        bound = q_bound(
            self.config.run.divergence_factor,
            self.config.agent.discount,
            self.interaction.largest_reward,
            metrics["ent_coef"],
            self.environment.action_spec().shape[0],
        )
        self._guard.check(self.env_step, metrics, {"q_max": bound})
        del metrics["weight_sum"]
        metrics["imagined_share"] = 1.0 - real / batch
        return {f"train/{name}": value for name, value in metrics.items()}

    def evaluate(self, stop: Callable[[], bool] = lambda: False) -> Evaluation:
        """Runs greedy episodes, whose seeds depend on the environment step.

        Args:
          stop: asked before each of their steps.

        Raises:
          EnvironmentFault: the environment failed.
          Stopped: `stop` was true.
        """
        with self.clock("evaluate"), self._aside():
            return self.environments.evaluate(self.env_step, self.agent.act_greedily, stop)

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        """Lets others use the training environment where it is shared, and reopens its episode."""
        if not self.environments.shared:
            yield
            return
        self.interaction.freeze()
        try:
            yield
        finally:
            self.interaction.thaw()

    def _random_action(self) -> np.ndarray:
        rng = np.random.default_rng(
            seeding.derive(self.config.run.seed, "exploration", self.env_step)
        )
        return rng.uniform(-1.0, 1.0, self.environment.action_spec().shape).astype(np.float32)

    def _policy_action(self, observation: np.ndarray) -> np.ndarray:
        action = self.agent.act(observation[np.newaxis])[0].numpy()
        self._guard.check(self.env_step, {"action": float(np.sum(action))})
        return action

    @property
    def has_model(self) -> bool:
        """Whether a model is learned: the ensemble means something."""
        return self.config.dyna.rollout_model == "learned"

    def check_model(self) -> None:
        """Raises ValueError where no model is learned."""
        if not self.has_model:
            raise ValueError(
                f"this run learns no model, with rollout_model={self.config.dyna.rollout_model!r}"
            )

    @property
    def has_rollouts(self) -> bool:
        """Whether the agent learns from imagined transitions, too."""
        return self.config.dyna.rollout_model != "none"

    @property
    def termination_kind(self) -> str:
        """Which rule ends imagined episodes: `known`, `learned` or `none`."""
        return termination_kind(self.config, self.termination)

    @property
    def latest(self) -> dict[str, float]:
        """The newest value of each metric, by TensorBoard name."""
        return self._metrics.values

    def starts(self) -> np.ndarray:
        """Returns for each stored real transition, bool `[N]`, whether an episode starts with it.

        Of a buffer that has begun to overwrite its oldest transitions, the oldest that is left
        counts as a start, too.
        """
        return self.interaction.starts(self.real.size, self.real.capacity)

    @property
    def state(self) -> dict[str, tf.Module]:
        """Everything that a checkpoint must hold; call `freeze` before saving and `thaw` after
        restoring.
        """
        learned = isinstance(self.termination, LearnedTermination)
        return ({"termination": self.termination} if learned else {}) | {
            "agent": self.agent,
            "trainer": self.trainer,
            "imagination": self.imagination,
            "real": self.real,
            "imagined": self.imagined,
            "interaction": self.interaction,
            "latest": self._metrics.saved,
        }

    def freeze(self) -> None:
        """Copies the position of the run into `state`."""
        self.interaction.freeze()
        self._metrics.freeze()

    def thaw(self) -> None:
        """Takes the position of the run out of `state` and reopens the episode."""
        open_episode = self.interaction.thaw()
        self._metrics.thaw()
        # Between two episodes there is none to replay: the start of the last is compared, if the
        # buffer still holds it.
        starts = self.interaction.episode_starts
        if not open_episode and starts and 0 < self.env_step - starts[-1] <= self.real.size:
            slot = starts[-1] % self.real.capacity
            self.interaction.compare_start(self.real.all().observation[slot].numpy())

    def close(self) -> None:
        """Closes every environment that the run has made."""
        self.environments.close()
