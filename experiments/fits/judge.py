"""Fits fresh models to fixed data and critics, and judges them against the simulator."""

import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import tensorflow as tf

from experiments.fits.data import FitData
from vagram_tf import seeding
from vagram_tf.assembly import make_ensemble
from vagram_tf.config import ModelConfig
from vagram_tf.model.ensemble import DynamicsEnsemble
from vagram_tf.model.objective import change_spread
from vagram_tf.model.objectives import make_objective
from vagram_tf.model.trainer import ModelTrainer
from vagram_tf.model.value_gradients import clip_in_spreads, example_weights, values_and_gradients
from vagram_tf.types import Transition


class FitErrors(NamedTuple):
    """What a fitted ensemble's elites get wrong in the judged states.

    Attributes:
      value_error: root mean square of `V_c(ŝ') − V_c(s')` over elites, both critics and states, in
        value units.
      target_error: that of `r̂ + γ V(ŝ') − r − γ V(s')`, with the mean over critics, 0 for V where
        s' is terminal.
      own_loss: `Σ_d mean (g_d e_d)²`, VaGraM's formula with one clipped gradient per example,
        squared value units.
      task_error: root mean square error as a share of that of predicting no change, mean over the
        task's dimensions.
      distractor_error: the same over the distractors; not a number where there are none.
      reward_error: root mean square, reward units.
    """

    value_error: float
    target_error: float
    own_loss: float
    task_error: float
    distractor_error: float
    reward_error: float


class Fit(NamedTuple):
    """One fit: its errors, and what it took."""

    errors: FitErrors
    steps: int
    seconds: float


class Judge:
    """Judges next observations and rewards that are predicted for the judged states of a study's
    data.
    """

    def __init__(self, study: FitData):
        self._study, judged = study, study.judged
        self._critics = study.agent.values_of("critics")
        # [M, C], [M, C, D]
        self._value, gradient = values_and_gradients(self._critics, judged.next_observation)
        clipped = clip_in_spreads(
            gradient, change_spread(study.real), ModelConfig.value_gradient_quantile
        )
        self._gradient = example_weights(clipped)  # [M, D]

    @property
    def value_spread(self) -> float:
        """Standard deviation of V over the judged next states, which errors are small or large
        against.
        """
        return float(tf.math.reduce_std(self._value))

    def errors(self, next_observation: tf.Tensor, reward: tf.Tensor) -> FitErrors:
        """Returns what is wrong with predictions `[E, M, D]` and `[E, M]`."""
        judged, own = self._study.judged, self._study.task_dimensions
        error = next_observation - judged.next_observation
        members = [tf.stack([v(each) for v in self._critics], axis=-1) for each in next_observation]
        wrong_value = tf.stack(members) - self._value  # [E, M, C]
        wrong_reward = reward - judged.reward
        discount = self._study.config.agent.discount * judged.discount
        share = _rms(error, [0, 1]) / _rms(judged.next_observation - judged.observation, 0)  # [D]
        wrong_target = wrong_reward + discount * tf.reduce_mean(wrong_value, axis=-1)
        weighted = tf.reduce_mean(tf.square(self._gradient * error), axis=[0, 1])  # [D]
        return FitErrors(
            value_error=float(_rms(wrong_value)),
            target_error=float(_rms(wrong_target)),
            own_loss=float(tf.reduce_sum(weighted)),
            task_error=float(tf.reduce_mean(share[:own])),
            distractor_error=float(tf.reduce_mean(share[own:])),
            reward_error=float(_rms(wrong_reward)),
        )


def fits(study: FitData, judge: Judge, config: ModelConfig, seeds: Iterable[int]) -> Iterator[Fit]:
    """Fits a fresh ensemble with each of the seeds; one compilation serves all.

    Args:
      study: the data and critics.
      judge: of the same data.
      config: the model's.
      seeds: of initial weights, bootstrap and batches.
    """
    data = study.real

    def fresh() -> DynamicsEnsemble:
        return make_ensemble(config, data.observation.shape[-1], data.action.shape[-1])

    ensemble = fresh()
    trainer = ModelTrainer(
        ensemble,
        make_objective(config),
        study.agent.values_of(config.value_functions),
        config,
        seed=0,
    )
    for seed in seeds:
        tf.keras.utils.set_random_seed(seeding.derive(seed, "networks"))
        for variable, value in zip(ensemble.variables, fresh().variables, strict=True):
            variable.assign(value)
        trainer.forget(seeding.derive(seed, "model"))
        start = time.perf_counter()
        steps = int(trainer.fit(data)["fit_steps"])
        seconds = time.perf_counter() - start
        yield Fit(judge.errors(*_predict(ensemble, study.judged)), steps, seconds)


def _predict(ensemble: DynamicsEnsemble, judged: Transition) -> tuple[tf.Tensor, tf.Tensor]:
    elites = [ensemble.elites.shape[0], 1, 1]
    prediction = ensemble(
        tf.tile(judged.observation[tf.newaxis], elites),
        tf.tile(judged.action[tf.newaxis], elites),
        members=ensemble.elites,
    )
    return prediction.next_observation, prediction.reward


def _rms(x: tf.Tensor, axis: int | list[int] | None = None) -> tf.Tensor:
    return tf.sqrt(tf.reduce_mean(tf.square(x), axis=axis))
