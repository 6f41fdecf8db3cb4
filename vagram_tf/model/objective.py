"""What an objective is: all that a fit minimises, in one place."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from vagram_tf.config import ModelConfig
from vagram_tf.model import losses
from vagram_tf.model.ensemble import DynamicsEnsemble, moments
from vagram_tf.types import Prediction, Transition, ValueFunction

ValueFunctions = Sequence[ValueFunction]

Prepared = dict[str, tf.Tensor]
"""What an objective knows beside the transitions: what it has prepared of each, and `spread` and
`seed` of the fit.
"""

# A term that is less for the reference stays as it is: there is nothing to be in units of
_NO_ERROR = 1e-12
_HEAVY_TAIL = 10.0  # times the typical size: further out, an example pulls a step hardly harder
# The share of what knowing nothing costs, 1 % of error, below which a term presses no harder
_WELL_KNOWN = 1e-4


class Terms(NamedTuple):
    """What a prediction costs, all of one shape: the state term, the reward's, the state's mse, the
    read-out's.
    """

    loss: tf.Tensor
    reward_loss: tf.Tensor
    mse: tf.Tensor
    readout: tf.Tensor


class TermWeights(NamedTuple):
    """The scalar that each term is multiplied by before it counts. The read-out judges nothing and
    has weight 1.
    """

    loss: tf.Tensor
    reward_loss: tf.Tensor
    mse: tf.Tensor


def as_they_come() -> TermWeights:
    """Returns the weights that leave state and reward in their own units."""
    return TermWeights(*map(tf.constant, (1.0, 1.0, 0.0)))


class Objective:
    """What the ensemble is trained for. A subclass defines `loss`, and overrides what else differs.

    Args:
      config: the model's settings.

    Attributes:
      samples: the loss trains the predicted spread, so imagined rollouts draw from it unless told
        otherwise.
    """

    samples = False

    def __init__(self, config: ModelConfig):
        self.config = config
        # Terms are in units of knowing nothing, and a share of either counts the same.
        self._in_units = config.value_gradient_scale != "none"

    def prepare(self, batch: Transition, value_functions: ValueFunctions) -> Prepared:
        """Returns what the loss needs of each transition `[B]`: tensors `[B, ...]`.

        Runs compiled, once per fit, over the dataset in pieces. The value functions do not change
        during a fit.
        """
        return {}

    def finish(self, prepared: Prepared, data: Transition) -> Prepared:
        """Turns what was prepared of the whole dataset `[N]` into what batches are taken of, for
        what needs all.
        """
        return prepared

    def loss(
        self,
        prediction: Prediction,
        target: Transition,
        prepared: Prepared,
        value_functions: ValueFunctions,
    ) -> tf.Tensor:
        """Returns the state term, `[E, B]`; in a gradient step of some of the members, `[M, B]`.

        Args:
          prediction: `[E, B]`, in the environment's units.
          target: `[E, B]`, the real transitions; `target.next_observation` is what was to be
            predicted.
          prepared: tensors `[E, B, ...]`, as prepared; `spread` `[D]`, the standard deviations of
            the changes in the data, 1 for what does not vary; and a stateless `seed` `[2]`, new at
            every step, the same at every score.
          value_functions: C functions `[B, D] -> [B]`.
        """
        raise NotImplementedError

    def predict(self, ensemble: DynamicsEnsemble, batch: Transition) -> Prediction:
        """Lets the ensemble predict a batch `[E, B]`. The variance is a read-out: it does not train
        the features.
        """
        return ensemble(batch.observation, batch.action, detach_variance=True)

    def terms(
        self,
        prediction: Prediction,
        target: Transition,
        prepared: Prepared,
        value_functions: ValueFunctions,
    ) -> Terms:
        """Returns all terms, `[E, B]` each; see `loss` for the arguments."""
        spread = prepared["spread"]
        return Terms(
            self.loss(prediction, target, prepared, value_functions),
            self.reward_loss(prediction, target),
            losses.mse(prediction.next_observation / spread, target.next_observation / spread),
            self.readout(prediction, target),
        )

    def terms_of(
        self,
        ensemble: DynamicsEnsemble,
        batch: Transition,
        prepared: Prepared,
        value_functions: ValueFunctions,
    ) -> Terms:
        """Returns the terms of what an ensemble predicts of a batch, `[E, B]` each; see `loss`."""
        return self.terms(self.predict(ensemble, batch), batch, prepared, value_functions)

    def reward_loss(self, prediction: Prediction, target: Transition) -> tf.Tensor:
        """Returns the squared error of the reward, `[E, B]`."""
        return tf.square(prediction.reward - target.reward)

    def readout(self, prediction: Prediction, target: Transition) -> tf.Tensor:
        """Returns the negative log likelihood that the predicted variances, alone, are trained on,
        `[E, B]`.
        """
        state = losses.gaussian_nll(
            tf.stop_gradient(prediction.next_observation),
            prediction.next_observation_log_variance,
            target.next_observation,
        )
        return state + reward_nll(
            tf.stop_gradient(prediction.reward), prediction.reward_log_variance, target.reward
        )

    def weights(self, reference: Terms, warm_up: bool) -> TermWeights:
        """Chooses the weights of a fit's terms.

        Every term is divided by its magnitude for the reference, which predicts the mean of changes
        and rewards: a prediction of nothing costs 1 in each. The reference depends on data and
        critics alone, so the balance is the same whatever the model has learned.

        Args:
          reference: the terms of the reference, of any one shape.
          warm_up: the critics do not mean anything yet.
        """
        if not self._in_units:
            return as_they_come()
        return TermWeights(
            _inverse_size(reference.loss), _inverse_size(reference.reward_loss), tf.constant(0.0)
        )

    def score(self, terms: Terms, weights: TermWeights) -> tf.Tensor:
        """Returns what early stopping and the choice of elites go by, per member: `[E]` of terms
        `[E, N]`.

        That is `S · R^ρ`, S and R the means of state and reward and ρ their balance,
        `reward_weight`: what is better by a share of either is better by as much, whatever is left
        of the other. A term counts as 1 % of error at least.
        """
        state, reward = (tf.reduce_mean(term, axis=-1) for term in _weighted(terms, weights))
        if not self._in_units:
            return state + self.config.reward_weight * reward
        return (
            tf.maximum(state, _WELL_KNOWN)
            * tf.maximum(reward, _WELL_KNOWN) ** self.config.reward_weight
        )

    def step_loss(self, terms: Terms, weights: TermWeights) -> tf.Tensor:
        """Returns what a gradient step lowers, per member: `[E]` of terms `[E, B]`.

        Its gradient is that of the score's logarithm: of the sum of the terms, what cannot be
        learned (an end that no model foresees) would leave no gradient to what is nearly known. It
        is the likelihood of Gaussians whose variance is one number per term (Kendall et al. 2018),
        at its best value; for the state, of one with heavy tails. A reward's rare values are what
        it is for, and count in full. The read-outs learn beside it.
        """
        state, reward = _weighted(terms, weights)
        if self._in_units:
            state, reward = _relative(_heavy_tailed(state)), _relative(reward)
        return tf.reduce_mean(state + self.config.reward_weight * reward + terms.readout, axis=-1)

    def judged(self, ensemble: DynamicsEnsemble) -> list[tf.Variable]:
        """Returns the variables whose best values a fit keeps: those that its scores judge.

        Scores judge the means, and the spread where the loss trains it. A read-out that only
        watches the means goes on learning when they have stopped improving.
        """
        return ensemble.trainable_variables if self.samples else ensemble.mean_variables

    def improved(self, best: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
        """Says whether a term or score is better than the best so far by what counts: 1 %
        (MBPO).
        """
        return best - new > 0.01 * tf.abs(best)


class ValueAware(Objective):
    """An objective that depends on the value functions: while those do not mean anything, the mse
    is added to it.
    """

    def weights(self, reference: Terms, warm_up: bool) -> TermWeights:
        return super().weights(reference, warm_up)._replace(mse=tf.constant(float(warm_up)))


def _weighted(terms: Terms, weights: TermWeights) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns state and reward in units of knowing nothing."""
    return (
        weights.loss * terms.loss + weights.mse * terms.mse,
        weights.reward_loss * terms.reward_loss,
    )


def _heavy_tailed(term: tf.Tensor) -> tf.Tensor:
    """Returns a term `[E, B]` with the gradient of Student's t: an example far beyond the typical
    one pulls less.
    """
    size = tf.stop_gradient(tf.abs(term))
    typical = tf.exp(tf.reduce_mean(tf.math.log(size + _NO_ERROR), axis=-1, keepdims=True))
    return term / (1.0 + size / (_HEAVY_TAIL * typical))


def _relative(term: tf.Tensor) -> tf.Tensor:
    """Returns a term `[E, B]` over its mean size: its mean has the gradient of the mean's
    logarithm.
    """
    # An error that is estimated from samples may be negative, and its mean near zero, which is no
    # size.
    size = tf.reduce_mean(tf.abs(term), axis=-1, keepdims=True)
    return term / tf.stop_gradient(tf.maximum(size, _WELL_KNOWN))


def _inverse_size(term: tf.Tensor) -> tf.Tensor:
    """Returns one over the mean size of a term, 1 where there is none."""
    size = tf.reduce_mean(tf.abs(term))
    return tf.where(size > _NO_ERROR, 1.0 / size, 1.0)


def change_spread(data: Transition) -> tf.Tensor:
    """Returns the standard deviations `[D]` of the changes in data `[N]`, 1 for what does not
    vary.
    """
    return moments(data.next_observation - data.observation)[1]


def reward_nll(mean: tf.Tensor, log_variance: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Returns the reward's negative log likelihood `[E, B]`."""
    return losses.gaussian_nll(*(x[..., tf.newaxis] for x in (mean, log_variance, target)))
