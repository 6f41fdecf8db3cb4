"""Superfluous observation dimensions: a dynamical system of their own, which no reward reads.

They test what a model of limited capacity chooses to predict. Source of `linear`, `nonlinear`,
`correlated` and `noise`: Voelcker et al., "Value Gradient weighted Model-Based Reinforcement
Learning", ICLR 2022, and the code published with it. Two differences from that code: the dynamics
belong to the task (a seed of their own, the same in training and evaluation), and an episode's
start belongs to the episode (its reset seed). `rotation` and `bystander` are ours: a model that
spends itself on them can predict them. The paper's kinds it hardly can, if it is small or has few
data.
"""

from typing import Any, cast

import gymnasium
import numpy as np

from vagram_tf.config import DISTRACTOR_KINDS

START_SCALE = 0.1  # standard deviation of the start state (the paper's code)
SINE_WEIGHT = 0.1  # weight of the sine term (the paper's code)
FREQUENCY_SCALE = 10.0  # the sine's frequencies are squares of N(0, 10^2) (the paper's code)
LIMIT = 20.0  # a dimension that exceeds this size switches to its reset value (the paper's code)
BYSTANDER = "HalfCheetah-v5"  # never falls, so its episode lasts as long as anybody's

# The tags keep these streams apart from each other and from the task's own generator, which may
# have the same seed. They must not be zero: NumPy pads short seeds with zeros.
_DYNAMICS_STREAM = 1
_EPISODE_STREAM = 2


class Distractors(gymnasium.Wrapper):
    """Appends `count` distractor dimensions to a task's observation, `[D] -> [D + count]`.

    With x the distractors, o' the task's new observation, W and U with elements from N(0, 1), F
    with squares of elements from N(0, 10^2) and Q the orthogonal factor of W, the next value is

    | kind         |                                                        |
    |--------------|--------------------------------------------------------|
    | `linear`     | `x' = W x`                                             |
    | `nonlinear`  | `y = W x`, then `x' = y + 0.1 sin(F y)`                |
    | `correlated` | `y = W x + U o'`, then `x' = y + 0.1 sin(F y)`         |
    | `noise`      | `x' ~ N(0, 1)`, new at every step and every reset      |
    | `rotation`   | `x' = Q x`, which keeps the length of x                |
    | `bystander`  | another robot's observation, under a policy of its own |

    The first three tend to grow without bound, so a dimension with |x'| > 20 switches to its own
    fixed reset value. Their start is x ~ N(0, 0.1^2), that of `rotation` N(0, 1). W, U, F and the
    reset values depend on the dynamics' seed alone, not on the kind. The state is kept in float64
    and observed in the dtype of the task's observation.

    A model predicts `rotation` exactly if it carries all `count` numbers, for Q is of full rank.
    `bystander` is Gymnasium's HalfCheetah, as many of them as `count` dimensions take (17 each,
    the last one's cut off), each with the actions `tanh(K o)` of its own observation o, with a K
    that depends on the dynamics' seed. It starts with the episode and never ends.

    Attributes:
      distractor_dimensions: the number of appended dimensions; further wrappers hand it on through
        `env.get_wrapper_attr("distractor_dimensions")`.
    """

    def __init__(
        self, env: gymnasium.Env, count: int, kind: str = "nonlinear", seed: int = 0
    ) -> None:
        """Wraps a task.

        Args:
          env: a task with a float Box observation of shape `[D]`.
          count: distractor dimensions to append, at least 1.
          kind: one of the table's.
          seed: seed of the dynamics; environments with equal seeds have equal dynamics.

        Raises:
          ValueError: for an unknown kind, a count below 1, or an observation that is not a vector.
        """
        super().__init__(env)
        space = env.observation_space
        if kind not in DISTRACTOR_KINDS:
            kinds = ", ".join(DISTRACTOR_KINDS)
            raise ValueError(f"distractor_kind must be one of {kinds}, got {kind!r}")
        if count < 1:
            raise ValueError(f"a distractor wrapper needs at least 1 dimension, got {count}")
        if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
            raise ValueError(f"distractors need an observation that is a vector, got {space}")
        unbounded = np.full(count, np.inf, space.dtype)
        self.observation_space = gymnasium.spaces.Box(
            np.concatenate([space.low, -unbounded]),
            np.concatenate([space.high, unbounded]),
            dtype=cast(Any, space.dtype),
        )
        self.distractor_dimensions = count
        self._kind = kind
        generator = np.random.default_rng([seed, _DYNAMICS_STREAM])
        self._reset_values = generator.normal(size=count)
        self._transition = generator.normal(size=(count, count))
        self._frequencies = generator.normal(scale=FREQUENCY_SCALE, size=(count, count)) ** 2
        self._correlation = generator.normal(size=(count, space.shape[0]))
        if kind == "rotation":
            self._transition = np.linalg.qr(self._transition)[0]
        self._bystanders: list[_Bystander] = []
        while kind == "bystander" and sum(b.size for b in self._bystanders) < count:
            self._bystanders.append(_Bystander(generator))
        self._episode_generator: np.random.Generator | None = None
        self._state = np.zeros(count)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode, `[D + count]`; with a seed, start and noise depend on nothing else."""
        observation, info = self.env.reset(seed=seed, options=options)
        if seed is not None:
            self._episode_generator = np.random.default_rng([seed, _EPISODE_STREAM])
        elif self._episode_generator is None:
            self._episode_generator = np.random.default_rng()
        scale = 1.0 if self._kind in ("noise", "rotation") else START_SCALE
        self._state = self._episode_generator.normal(scale=scale, size=self.distractor_dimensions)
        if self._kind == "bystander":
            seeds = self._episode_generator.integers(2**31, size=len(self._bystanders))
            self._state = self._seen(
                [b.reset(int(s)) for b, s in zip(self._bystanders, seeds, strict=True)]
            )
        return self._observe(observation), info

    def close(self) -> None:
        """Closes the task and the bystanders."""
        for bystander in self._bystanders:
            bystander.close()
        super().close()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        """Steps task and distractors: the observation is `[D + count]`, the rest is the task's."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._state = self._next_state(observation)
        return self._observe(observation), reward, terminated, truncated, info

    def _next_state(self, observation: np.ndarray) -> np.ndarray:
        if self._kind == "noise":
            assert self._episode_generator is not None, "step before reset"
            return self._episode_generator.normal(size=self.distractor_dimensions)
        if self._kind == "bystander":
            return self._seen([bystander.step() for bystander in self._bystanders])
        state = self._transition @ self._state
        if self._kind == "rotation":
            return state
        if self._kind == "correlated":
            state = state + self._correlation @ observation
        if self._kind != "linear":
            state = state + SINE_WEIGHT * np.sin(self._frequencies @ state)
        return np.where(np.abs(state) > LIMIT, self._reset_values, state)

    def _seen(self, observations: list[np.ndarray]) -> np.ndarray:
        """Returns what is seen of the bystanders, `[count]`."""
        return np.concatenate(observations)[: self.distractor_dimensions]

    def _observe(self, observation: np.ndarray) -> np.ndarray:
        return np.concatenate([observation, self._state]).astype(self.observation_space.dtype)


class _Bystander:
    """Another robot, under a fixed policy: its action is `tanh(K o)` of its own observation o."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._env = gymnasium.make(BYSTANDER, disable_env_checker=True, max_episode_steps=-1)
        self.size, actions = (
            space.shape[0] for space in (self._env.observation_space, self._env.action_space)
        )
        self._gains = generator.normal(size=(actions, self.size)) / self.size**0.5
        self._observation = np.zeros(self.size)

    def reset(self, seed: int) -> np.ndarray:
        self._observation, _ = self._env.reset(seed=seed)
        return self._observation

    def step(self) -> np.ndarray:
        action = np.tanh(self._gains @ self._observation).astype(np.float32)
        self._observation = self._env.step(action)[0]
        return self._observation

    def close(self) -> None:
        self._env.close()
