"""Model predictive control: plans actions in a learned model, takes the first, and plans anew.

    world = plan.exported("runs/Hopper-v5/vagram/0")
    planner = plan.Planner(world, method="cem")
    action = planner.act(observation)

Candidates `[N, H, A]` are sequences of actions in [-1, 1] of the environment's range. Each of them
is rolled out by one elite of the model, in means; all of them together, in one compiled function.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import tensorflow as tf

from vagram_tf.compiler import compiled
from vagram_tf.envs.action_range import ActionRange
from vagram_tf.export.dynamics import DynamicsFunctions
from vagram_tf.export.load import Export, newest_of_run, open_export
from vagram_tf.model.learned_termination import frozen
from vagram_tf.types import ValueFunction

if TYPE_CHECKING:
    from vagram_tf.dyna import Dyna

_KEPT = 0.3  # of the best candidates of an iteration that the next one has, too (iCEM)
_BEST = 0.1  # of the candidates that the next mean and spread are taken from
_MOMENTUM = 0.1  # of mean and spread from iteration to iteration (iCEM)
_COLOUR = 2.0  # exponent of the noise's power spectrum: neighbouring actions are alike (iCEM)
_TEMPERATURE = 0.2  # of MPPI's weights, in standard deviations of the candidates' returns
_STEP = 0.1  # of a gradient step, in [-1, 1]

Returns = Callable[[tf.Tensor], tf.Tensor]
"""Candidates `[N, H, A]` to what the model promises of each, `[N]`."""


class World(NamedTuple):
    """A model to plan in, in the environment's units.

    Attributes:
      each: `[E, B, D]` observations and `[E, B, A]` actions to each elite's prediction of its own
        rows, by name: `next_observation` `[E, B, D]`, `reward` and `terminated` `[E, B]`.
      members: `[B, D]` and `[B, A]` to all elites' predictions of the same rows; see an export's
        signature of that name.
      elites: E.
      low: `[A]`, the smallest action.
      high: `[A]`, the largest.
      value: `[B, D]` to what a policy earns from there, discounted, `[B]`; None without.
      discount: of that value.
    """

    each: Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]
    members: Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]
    elites: int
    low: np.ndarray
    high: np.ndarray
    value: ValueFunction | None
    discount: float


def exported(
    dynamics: str | os.PathLike[str], policy: str | os.PathLike[str] | None = None
) -> World:
    """Opens an exported model to plan in.

    Args:
      dynamics: the directory of a run, of which the newest export is taken, or of an export.
      policy: the same, for a policy whose values come after the horizon; without values by default.

    Raises:
      ValueError: in one sentence, there is no such export or it cannot be used.
    """
    model = open_export(newest_of_run(dynamics, "dynamics"), "dynamics", "each")
    if policy is None:
        return world(model)
    return world(model, open_export(newest_of_run(policy, "policy"), "policy", "value"))


def world(model: Export, policy: Export | None = None) -> World:
    """Returns exports that were opened as a model to plan in; otherwise as `exported`."""
    # A module's functions do not keep its variables alive: each function here holds its module.
    value, discount = None, 1.0
    if policy is not None:
        if policy.metadata["observation_size"] != model.metadata["observation_size"]:
            raise ValueError("the policy is one for other observations than the model's")
        discount = policy.metadata["discount"]
        judge = policy.module

        def value(observation: tf.Tensor) -> tf.Tensor:
            critics = judge.value(observation)["value"][:2]  # their targets come after them
            return tf.reduce_min(critics, axis=0)

    sizes = model.metadata["sizes"]
    low, high = (np.array(model.metadata[f"action_{end}"], np.float32) for end in ("low", "high"))

    def each(observation: tf.Tensor, action: tf.Tensor) -> dict[str, tf.Tensor]:
        return model.module.each(observation, action)

    def members(observation: tf.Tensor, action: tf.Tensor) -> dict[str, tf.Tensor]:
        return model.module.members(observation, action)

    return World(each, members, sizes["E"], low, high, value, discount)


def live(dyna: "Dyna", terminal_value: bool = True) -> World:
    """Returns a run's model to plan in, as it is now: later fits do not change it.

    Args:
      dyna: the run's loop, e.g. `Training.dyna`.
      terminal_value: with the values of its critics, which go on learning.

    Raises:
      ValueError: the run learns no model.
    """
    dyna.check_model()
    elites, action_range = dyna.ensemble.only_elites(), ActionRange(dyna.action_space)
    functions = DynamicsFunctions(elites, elites.network, frozen(dyna.termination), action_range)

    def value(observation: tf.Tensor) -> tf.Tensor:
        return tf.reduce_min([critic(observation) for critic in dyna.agent.values_of("critics")], 0)

    return World(
        functions.each,
        functions.members,
        elites.members,
        action_range.low,
        action_range.high,
        value if terminal_value else None,
        dyna.config.agent.discount if terminal_value else 1.0,
    )


class Plan(NamedTuple):
    """What a planner would do.

    Attributes:
      actions: `[H, A]` in the environment's units.
      promised: what the model promises of it, in reward units.
    """

    actions: np.ndarray
    promised: float


class Planner:
    """Plans anew at every step, from where the last plan goes on.

    Args:
      world: the model.
      method: `cem`, the cross-entropy method with coloured noise and kept candidates (iCEM, Pinneri
        et al. 2020); `mppi`, which weights candidates by the exponential of their returns (Williams
        et al. 2017); `gradient`, which follows the returns' gradient (Adam).
      horizon: H, steps of a plan.
      candidates: N; those of `gradient` are a tenth. Rounded up to a multiple of the elites.
      iterations: how often candidates are drawn, or gradient steps taken.
      discount: of the promised rewards, per step; that of the world's values by default.
      spread: standard deviation of the first candidates around the last plan, in [-1, 1]. Wide ones
        find what is far away; where a plan without feedback soon fails, nearly all of them fail.
      disagreement: what a step costs, in reward units, whose variance is all the elites'
        disagreement; in proportion, where some of it is noise.
      seed: of the candidates. Seed and observations make the actions.

    Raises:
      ValueError: there is no such method, the horizon, the candidates or the iterations are not
        positive, or the world's bounds exclude each other.
    """

    def __init__(
        self,
        world: World,
        method: str = "cem",
        horizon: int = 20,
        candidates: int = 500,
        iterations: int = 3,
        discount: float | None = None,
        spread: float = 0.2,
        disagreement: float = 0.0,
        seed: int = 0,
    ):
        if method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
        for name, number in (
            ("horizon", horizon),
            ("candidates", candidates),
            ("iterations", iterations),
        ):
            if number < 1:
                raise ValueError(f"{name} must be at least 1, got {number}")
        if not np.all(world.low < world.high):
            raise ValueError(f"no action is between the bounds {world.low} and {world.high}")
        self._world, self._horizon, self._seed = world, horizon, seed
        self._discount = world.discount if discount is None else discount
        self._disagreement = disagreement
        count = candidates if method != "gradient" else candidates // 10
        count = world.elites * max(-(-count // world.elites), 1)
        search = METHODS[method]
        noise, size = _coloured(horizon), _Size(count, iterations, spread)

        def plan(observation: tf.Tensor, before: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
            draw = _Draw(noise, seed)
            return search(lambda chosen: self._returns(observation, chosen), before, draw, size)

        # XLA cannot follow a gradient through the loop over the horizon.
        compile_ = tf.function(autograph=False) if method == "gradient" else compiled
        self._plan = compile_(plan)
        self._carried = 1 + (_kept(count) if method == "cem" else 0)
        self._promise = compiled(
            lambda observation, actions: self._returns(
                observation, tf.tile(actions[tf.newaxis], [world.elites, 1, 1])
            )
        )
        self.reset()

    def reset(self) -> None:
        """Forgets the last plan: an episode begins."""
        self._before = tf.zeros([self._carried, self._horizon, len(self._world.low)])
        self._step = 0

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Returns the first action `[A]` of a plan from an observation `[D]`, in the environment's
        units.
        """
        return self._in_units(self._search(observation)[0])[0]

    def plan(self, observation: np.ndarray) -> Plan:
        """Returns the whole plan from an observation `[D]`; otherwise as `act`."""
        actions = self._search(observation)[0]
        promised = self._promise(tf.constant(observation, tf.float32), actions)
        return Plan(self._in_units(actions), float(tf.reduce_mean(promised)))

    def _search(self, observation: np.ndarray) -> tf.Tensor:
        seed = tf.constant([self._seed, self._step], tf.int32)
        found = self._plan(tf.constant(observation, tf.float32), self._before, seed)
        self._step += 1
        # What comes after the plan's end begins in the middle of the range.
        self._before = tf.concat([found[:, 1:], tf.zeros_like(found[:, :1])], axis=1)
        return found

    def _in_units(self, actions: tf.Tensor) -> np.ndarray:
        low, high = self._world.low, self._world.high
        return np.clip(low + (high - low) * (actions.numpy() + 1) / 2, low, high)

    def _returns(self, observation: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Returns what the model promises of actions `[N, H, A]`, dealt to its elites: `[N]`."""
        world, (count, horizon, size) = self._world, actions.shape
        rows = count // world.elites
        low, high = tf.constant(world.low), tf.constant(world.high)
        scaled = low + (high - low) * (actions + 1.0) / 2.0
        # [H, E, B, A]
        dealt = tf.transpose(tf.reshape(scaled, [world.elites, rows, horizon, size]), [2, 0, 1, 3])
        state = tf.tile(observation[tf.newaxis, tf.newaxis], [world.elites, rows, 1])
        nothing = tf.zeros([world.elites, rows])

        def step(t: tf.Tensor, state: tf.Tensor, alive: tf.Tensor, total: tf.Tensor) -> tuple:
            action = tf.ensure_shape(dealt[t], [world.elites, rows, size])
            after = world.each(state, action)
            reward = after["reward"] - self._penalty(state, action)
            # What comes after an end counts for nothing, however far it goes.
            total += self._discount ** tf.cast(t, tf.float32) * tf.where(alive, reward, 0.0)
            reached = tf.where(alive[..., tf.newaxis], after["next_observation"], state)
            alive &= ~tf.cast(after["terminated"], tf.bool)
            return (
                t + 1,
                tf.ensure_shape(reached, state.shape),
                tf.ensure_shape(alive, nothing.shape),
                tf.ensure_shape(total, nothing.shape),
            )

        _, state, alive, total = tf.while_loop(
            lambda t, *_: t < horizon,
            step,
            (0, state, tf.ones_like(nothing, tf.bool), nothing),
            maximum_iterations=horizon,
        )
        total = tf.reshape(total, [count])
        if world.value is not None:
            value = world.value(tf.reshape(state, [count, state.shape[-1]]))
            total += self._discount**horizon * tf.where(tf.reshape(alive, [count]), value, 0.0)
        # Worse than any other: what is not finite says nothing of what would come.
        known = tf.math.is_finite(total)
        least = tf.reduce_min(tf.where(known, total, total.dtype.max))
        return tf.where(known, total, tf.stop_gradient(least))

    def _penalty(self, state: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """Returns what the elites' disagreement costs, `[E, B]`: its share of the predicted
        variance, averaged over dimensions, times its price.
        """
        if not self._disagreement:
            return tf.zeros(state.shape[:2])
        rows = state.shape[0] * state.shape[1]
        all_of_them = self._world.members(
            tf.reshape(state, [rows, state.shape[2]]), tf.reshape(action, [rows, action.shape[2]])
        )
        between = tf.math.reduce_variance(all_of_them["next_observation"], axis=0)  # [E B, D]
        within = tf.reduce_mean(tf.square(all_of_them["next_observation_stddev"]), axis=0)
        share = tf.reduce_mean(between / (between + within), axis=-1)
        return self._disagreement * tf.reshape(share, state.shape[:2])


class _Draw:
    """Draws coloured noise, another one at each call.

    Args:
      colour: see `_coloured`.
      seed: `[2]`.
    """

    def __init__(self, colour: np.ndarray, seed: tf.Tensor):
        self._colour, self._seed = tf.constant(colour, tf.float32), seed

    def __call__(self, count: int, actions: int) -> tf.Tensor:
        """Returns `[count, H, actions]` of spread 1."""
        self._seed, now = tf.unstack(tf.random.experimental.stateless_split(self._seed, 2))
        white = tf.random.stateless_normal([count, actions, self._colour.shape[0]], now)
        return tf.transpose(tf.matmul(white, self._colour, transpose_b=True), [0, 2, 1])


class _Size(NamedTuple):
    """How much is searched, and how far from the last plan."""

    candidates: int
    iterations: int
    spread: float


def _coloured(horizon: int) -> np.ndarray:
    """Returns the matrix `[H, H]` that makes white noise coloured: its power falls with the
    frequency's square (Timmer and König 1995, of a stretch twice as long, which is not periodic).
    """
    length = 2 * horizon
    frequency = np.maximum(np.fft.rfftfreq(length), 1.0 / length)
    covariance = np.fft.irfft(frequency**-_COLOUR, length)
    lags = np.abs(np.subtract.outer(np.arange(horizon), np.arange(horizon)))
    factor = np.linalg.cholesky(covariance[lags] / covariance[0] + 1e-9 * np.eye(horizon))
    return factor.astype(np.float32)


def _best(count: int) -> int:
    return min(max(int(_BEST * count), 2), count)


def _kept(count: int) -> int:
    return int(_KEPT * _best(count))


def _cem(returns: Returns, before: tf.Tensor, draw: _Draw, size: _Size) -> tf.Tensor:
    """Narrows a Gaussian around the best candidates; returns its mean and the best that are kept,
    `[1 + K, H, A]`.
    """
    best, (_, horizon, actions) = _best(size.candidates), before.shape
    mean, spread, kept = before[0], size.spread * tf.ones([horizon, actions]), before
    for _ in range(size.iterations):
        noise = draw(size.candidates - kept.shape[0], actions)
        fresh = tf.clip_by_value(mean + spread * noise, -1.0, 1.0)
        candidates = tf.concat([fresh, kept], axis=0)
        chosen = tf.gather(candidates, tf.math.top_k(returns(candidates), best).indices)
        mean = _MOMENTUM * mean + (1 - _MOMENTUM) * tf.reduce_mean(chosen, axis=0)
        deviation = tf.math.reduce_std(chosen, axis=0)
        spread = _MOMENTUM * spread + (1 - _MOMENTUM) * deviation
        kept = tf.concat([mean[tf.newaxis], chosen[: _kept(size.candidates)]], axis=0)
    return kept


def _mppi(returns: Returns, before: tf.Tensor, draw: _Draw, size: _Size) -> tf.Tensor:
    """Averages candidates, weighted by the exponential of their returns; returns `[1, H, A]`."""
    mean = before[0]
    for _ in range(size.iterations):
        fresh = mean + size.spread * draw(size.candidates - 1, before.shape[2])
        candidates = tf.concat([tf.clip_by_value(fresh, -1.0, 1.0), mean[tf.newaxis]], axis=0)
        promised = returns(candidates)
        scale = _TEMPERATURE * tf.maximum(tf.math.reduce_std(promised), 1e-6)
        weights = tf.nn.softmax(promised / scale)
        mean = tf.tensordot(weights, candidates, 1)
    return mean[tf.newaxis]


def _gradient(returns: Returns, before: tf.Tensor, draw: _Draw, size: _Size) -> tf.Tensor:
    """Follows the gradient of each candidate's return with Adam; returns the best, `[1, H, A]`."""
    fresh = before[0] + size.spread * draw(size.candidates - 1, before.shape[2])
    actions = tf.concat([tf.clip_by_value(fresh, -1.0, 1.0), before[:1]], axis=0)

    def step(i: tf.Tensor, actions: tf.Tensor, first: tf.Tensor, second: tf.Tensor) -> tuple:
        with tf.GradientTape() as tape:
            tape.watch(actions)
            promised = returns(actions)
        slope = tape.gradient(promised, actions)
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * tf.square(slope)
        direction = first / (1 - 0.9**i) / (tf.sqrt(second / (1 - 0.999**i)) + 1e-8)
        return i + 1, tf.clip_by_value(actions + _STEP * direction, -1.0, 1.0), first, second

    nothing = tf.zeros_like(actions)
    _, actions, *_ = tf.while_loop(
        lambda i, *_: i <= size.iterations, step, (1.0, actions, nothing, nothing)
    )
    return actions[tf.newaxis, tf.argmax(returns(actions))]


METHODS = {"cem": _cem, "mppi": _mppi, "gradient": _gradient}
