"""Every environment that a run makes: one to train in and those to evaluate in, closed together."""

import contextlib
import time
from collections.abc import Callable

import gymnasium
import tensorflow as tf

from vagram_tf import seeding
from vagram_tf.config import Config
from vagram_tf.envs import tasks
from vagram_tf.envs.adapter import GymnasiumEnvironment
from vagram_tf.envs.episodes import Evaluation, evaluate
from vagram_tf.errors import one_line

EnvironmentFactory = Callable[[], gymnasium.Env]
"""Makes the task anew: once for training, once for each episode of an evaluation."""


class RunEnvironments:
    """Makes the environments of a run before anything else begins.

    Args:
      config: the run; its distractors are added to a person's own environment, too.
      make_env: makes the task, where it is not the one that the configuration names.

    Attributes:
      task: the environment to train in, as Gymnasium knows it.
      training: the same, for TF-Agents.
      evaluation: one for each episode of an evaluation.
      time_limit: steps after which the task itself ends an episode, None where nothing says it.

    Raises:
      ValueError: the environment is unknown or unsupported, or cannot be made so often.
    """

    def __init__(self, config: Config, make_env: EnvironmentFactory | None = None):
        self._config, self._make_env = config, make_env
        self._opened: list[gymnasium.Env] = []
        self.task = self.another()
        self.training = GymnasiumEnvironment(self.task, config.run.seed)
        self.time_limit = tasks.time_limit(self.task)
        self.evaluation: list[GymnasiumEnvironment] = []
        try:
            for i in range(config.run.eval_episodes):
                env = self.task if self.shared else self.another()
                seed = seeding.derive(config.run.seed, "evaluation", i)
                self.evaluation.append(GymnasiumEnvironment(env, seed))
        except BaseException:
            self.close()
            raise

    @property
    def shared(self) -> bool:
        """Whether evaluations play in the environment that the run is trained in."""
        return self._config.env.instances == "one"

    @property
    def seconds_in_call(self) -> float:
        """How long an environment has been at the call that it is in; 0 outside. For a watchdog in
        another thread.
        """
        environments = (self.training, *self.evaluation)
        entered = [begin for e in environments if (begin := e.entered) is not None]
        return time.monotonic() - min(entered) if entered else 0.0

    def another(self) -> gymnasium.Env:
        """Makes the task once more; `close` closes it.

        Raises:
          ValueError: it cannot be made.
        """
        try:
            if self._make_env is None:
                env = tasks.make(self._config.env)
            else:
                env = tasks.adapt(self._make_env(), self._config.env)
        except Exception as error:
            if not self._opened:
                raise
            raise ValueError(
                f"{one_line(error)}; a run has {len(self._opened)} of them at that time: "
                "--instances=one plays evaluations in the training environment"
            ) from error
        self._opened.append(env)
        return env

    def evaluate(
        self, env_step: int, policy: Callable[[tf.Tensor], tf.Tensor], stop: Callable[[], bool]
    ) -> Evaluation:
        """Runs greedy episodes, whose seeds depend on the environment step.

        Where the environment is shared they end the training episode, which the caller reopens.

        Args:
          env_step: of the run.
          policy: `[B, D] -> [B, A]`.
          stop: asked before each step.

        Raises:
          Stopped: `stop` was true.
        """
        for environment in self.evaluation:
            environment.skip_to(env_step)
        longest = tasks.longest_episode(self.task, self._config.env)
        return evaluate(self.evaluation, policy, longest, stop)

    def close(self) -> None:
        """Closes all, also those after one that fails."""
        with contextlib.ExitStack() as stack:
            for env in reversed(self._opened):
                stack.callback(env.close)
