"""What a model is fitted to and judged by: a run's transitions and critics, held fixed, and the
simulator's answers.
"""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vagram_tf import files, seeding
from vagram_tf.agent.sac import SoftActorCritic
from vagram_tf.config import Config, ModelConfig
from vagram_tf.dyna import Dyna
from vagram_tf.envs import tasks
from vagram_tf.envs.adapter import EnvironmentFault, GymnasiumEnvironment
from vagram_tf.errors import one_line
from vagram_tf.model import splits
from vagram_tf.replay import follows
from vagram_tf.run.checkpoint import Checkpoints
from vagram_tf.types import Transition


class FitData(NamedTuple):
    """Everything that a fit and its judgement depend on.

    Attributes:
      config: of the run that it came from.
      real: `[N]`, the run's transitions in their order.
      judged: `[M]`, held-out states of the run, the policy's actions in them, and what the
        simulator does then.
      agent: the run's actor and critics.
    """

    config: Config
    real: Transition
    judged: Transition
    agent: SoftActorCritic

    @property
    def task_dimensions(self) -> int:
        """How many of the D dimensions are the task's own, which come first."""
        return self.real.observation.shape[-1] - self.config.env.distractors

    @property
    def task(self) -> str:
        """The environment and its distractors in words."""
        env = self.config.env
        return (
            f"{env.name}, {env.distractors} {env.distractor_kind}" if env.distractors else env.name
        )

    def save(self, path: Path) -> None:
        """Writes one compressed `.npz`: of the run's next observations only those that no
        transition begins with.
        """
        arrays = {
            f"{label}_{name}": field.numpy()
            for label in ("real", "judged")
            for name, field in getattr(self, label)._asdict().items()
        }
        arrays["real_follows"] = follows(self.real)
        arrays["real_next_observation"] = arrays["real_next_observation"][~arrays["real_follows"]]
        arrays |= {
            f"agent_{i}": variable.numpy()
            for i, variable in enumerate(self.agent.network_variables)
        }
        file = io.BytesIO()
        np.savez_compressed(file, config=np.array(self.config.to_json()), **arrays)
        files.write(path, file.getvalue())


def load(path: Path) -> FitData:
    """Reads what `FitData.save` wrote.

    Raises:
      ValueError: it is no such file.
    """
    try:
        with np.load(path) as arrays:
            config = Config.from_json(str(arrays["config"]))
            after = np.roll(arrays["real_observation"], -1, axis=0)
            after[~arrays["real_follows"]] = arrays["real_next_observation"]
            real, judged = (
                Transition(*(tf.constant(arrays[f"{label}_{name}"]) for name in Transition._fields))
                for label in ("real", "judged")
            )
            real = real._replace(next_observation=tf.constant(after))
            agent = SoftActorCritic(
                real.observation.shape[-1], real.action.shape[-1], config.agent, seed=0
            )
            for i, variable in enumerate(agent.network_variables):
                variable.assign(arrays[f"agent_{i}"])
    except Exception as error:  # of zip files, arrays, configurations and their shapes
        raise ValueError(f"{path} is no data of a fit study: {one_line(error)}") from error
    return FitData(config, real, judged, agent)


def from_run(directory: Path, states: int, seed: int = 0) -> FitData:
    """Takes data and critics from the newest checkpoint of a run, and asks its simulator about
    held-out states.

    An environment's state cannot be set in general, so each state is reached by replaying its
    episode from its seed.

    Args:
      directory: the run's.
      states: M, how many held-out states are judged at most.
      seed: of their choice and of the policy's actions.

    Raises:
      ValueError: it is no run, or its environment does not repeat itself.
    """
    path = directory / "config.json"
    if not path.is_file():
        raise ValueError(f"{directory} is no run: it has no config.json")
    config = Config.from_json(path.read_text())
    dyna = Dyna(config)
    if Checkpoints(directory / "checkpoints", **dyna.state).restore() is None:
        raise ValueError(f"{directory} has no checkpoint to take data and critics from")
    dyna.interaction.thaw_counters()
    dyna.close()  # only what it has seen and learned is asked
    real = dyna.real.all()
    count = real.reward.shape[0]
    if count >= config.dyna.replay_capacity:
        raise ValueError(
            f"{directory} has overwritten the beginning of its data: its episodes cannot be "
            "replayed"
        )
    # What the fits hold out, whatever the run did.
    out = np.flatnonzero(splits.held_out(count, ModelConfig.holdout_share))
    generator = np.random.default_rng(seeding.derive(seed, "states"))
    slots = np.sort(generator.choice(out, min(states, len(out)), replace=False))
    observation = tf.gather(real.observation, slots)
    action = dyna.agent.sample(observation, tf.constant([seeding.derive(seed, "policy"), 0]))
    try:
        after = list(_replay(config, real, dyna.interaction.episode_starts, slots, action.numpy()))
    except EnvironmentFault as fault:
        raise ValueError(f"{directory} cannot be replayed: {fault}") from fault
    followed = (tf.constant(np.array(field, np.float32)) for field in zip(*after, strict=True))
    return FitData(config, real, Transition(observation, action, *followed), dyna.agent)


def _replay(
    config: Config, real: Transition, starts: Sequence[int], slots: np.ndarray, actions: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yields reward, discount and next observation `[D]` of other actions `[M, A]` in the states of
    the slots `[M]`.
    """
    environment = GymnasiumEnvironment(tasks.make(config.env), config.run.seed)
    observation = real.observation.numpy()
    try:
        for slot, action in zip(slots, actions, strict=True):
            episode = int(np.searchsorted(starts, slot, side="right")) - 1
            reached = environment.restore(episode, real.action.numpy()[starts[episode] : slot])
            if not np.array_equal(reached.observation, observation[slot]):
                raise EnvironmentFault(
                    f"{config.env.name} does not repeat itself in episode {episode}"
                )
            after = environment.step(action)
            yield after.reward, after.discount, after.observation
    finally:
        environment.close()
