"""A termination function learned from the real episodes' ends, for tasks whose own rule nobody
wrote.
"""

import numpy as np
import tensorflow as tf

from vagram_tf.compiler import compiled
from vagram_tf.model.ensemble import moments, plain_swish
from vagram_tf.model.known_termination import never
from vagram_tf.types import TerminationFunction, Transition

_HIDDEN_UNITS = (64, 64)
_LEARNING_RATE = 1e-3
_WEIGHT_DECAY = 3e-3  # against learning distractors by heart: ends are few
_FIT_STEPS, _CHUNK_STEPS = 500, 100  # gradient steps of a fit; those of one compiled call
_HALF_BATCH = 128  # examples of each class per gradient step


class LearnedTermination(tf.Module):
    """A classifier of next observations, distractors included: `[B, D] -> bool [B]`.

    Until a termination has been seen it says never; what is not finite has terminated.

    Args:
      observation_size: D.
      seed: of the generator behind the batches.
    """

    def __init__(self, observation_size: int, seed: int):
        super().__init__(name="learned_termination")
        self._generator = tf.random.Generator.from_seed(seed, alg="philox")
        self._network = tf.keras.Sequential(
            [
                tf.keras.Input([observation_size]),
                *(tf.keras.layers.Dense(units, activation="swish") for units in _HIDDEN_UNITS),
                tf.keras.layers.Dense(1),
            ]
        )
        self._optimizer = tf.keras.optimizers.legacy.Adam(_LEARNING_RATE, epsilon=1e-8)
        self._optimizer._create_all_weights(self._network.trainable_variables)
        self._mean = tf.Variable(tf.zeros([observation_size]), trainable=False)
        self._stddev = tf.Variable(tf.ones([observation_size]), trainable=False)
        self._threshold = tf.Variable(np.inf, dtype=tf.float32, trainable=False)

    def __call__(self, next_observation: tf.Tensor) -> tf.Tensor:
        return (self._logit(next_observation) > self._threshold) | never(next_observation)

    def fit(self, data: Transition, held_out: tf.Tensor) -> dict[str, float]:
        """Takes a fixed number of gradient steps from where the last fit ended, and chooses the
        threshold.

        Every batch holds as many terminations as other steps, so that rare ends count as much as
        all the rest. The threshold on the logit is the one of the best balanced accuracy on the
        holdout; see `best_threshold`. Where the examples to train on are of one class alone, that
        class is the answer everywhere, and nothing is trained.

        Args:
          data: `[N]` transitions; `discount` is 0 where the episode terminated.
          held_out: bool `[N]`, what is never trained on.

        Returns:
          `termination_accuracy`, balanced, on the holdout: the mean over the classes that it holds
          of the share that is recognised; and `termination_threshold`, as a probability.
        """
        held_out, ended = held_out.numpy(), data.discount.numpy() == 0.0
        classes = [np.flatnonzero(~held_out & (ended == label)) for label in (True, False)]
        if all(len(slots) for slots in classes):
            self._train(data.next_observation, *map(tf.constant, classes))
            logit = self._logit(tf.boolean_mask(data.next_observation, held_out)).numpy()
            self._threshold.assign(best_threshold(logit, ended[held_out]))
        else:
            self._threshold.assign(-np.inf if len(classes[0]) else np.inf)
        answer = self(tf.boolean_mask(data.next_observation, held_out)).numpy()
        return {
            "termination_accuracy": balanced_accuracy(answer, ended[held_out]),
            "termination_threshold": float(tf.sigmoid(self._threshold)),
        }

    def frozen(self) -> TerminationFunction:
        """Returns the rule as it is now, as a function that shares no variable with this object."""
        layers = [[value.numpy() for value in layer.weights] for layer in self._network.layers]
        mean, stddev, threshold = self._mean.numpy(), self._stddev.numpy(), self._threshold.numpy()

        def terminated(next_observation: tf.Tensor) -> tf.Tensor:
            features = (next_observation - mean) / stddev
            for kernel, bias in layers[:-1]:
                features = plain_swish(features @ kernel + bias)
            kernel, bias = layers[-1]
            return ((features @ kernel + bias)[:, 0] > threshold) | never(next_observation)

        return terminated

    def _logit(self, next_observation: tf.Tensor) -> tf.Tensor:
        return self._network((next_observation - self._mean) / self._stddev)[:, 0]

    def _train(self, next_observation: tf.Tensor, ends: tf.Tensor, others: tf.Tensor) -> None:
        mean, stddev = moments(tf.gather(next_observation, tf.concat([ends, others], axis=0)))
        self._mean.assign(mean)
        self._stddev.assign(stddev)
        shape = [_CHUNK_STEPS, _HALF_BATCH]
        for _ in range(_FIT_STEPS // _CHUNK_STEPS):
            drawn = [
                tf.gather(
                    slots, self._generator.uniform(shape, maxval=slots.shape[0], dtype=tf.int32)
                )
                for slots in (ends, others)
            ]
            self._train_steps(tf.gather(next_observation, tf.concat(drawn, axis=1)))

    @compiled
    def _train_steps(self, next_observation: tf.Tensor) -> None:
        """Takes one gradient step per batch of `[n, B, D]`, whose first halves are terminations."""
        variables = self._network.trainable_variables
        label = tf.concat([tf.ones([_HALF_BATCH]), tf.zeros([_HALF_BATCH])], axis=0)

        def train_step(i: tf.Tensor) -> tuple[tf.Tensor]:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(variables)
                logit = self._logit(next_observation[i])
                loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(label, logit))
                loss += _WEIGHT_DECAY * tf.add_n(
                    [tf.nn.l2_loss(v) for v in variables if v.shape.rank == 2]
                )
            self._optimizer.apply_gradients(
                zip(tape.gradient(loss, variables), variables, strict=True)
            )
            return (i + 1,)

        tf.while_loop(lambda i: i < _CHUNK_STEPS, train_step, [tf.constant(0)])


def frozen(rule: TerminationFunction | LearnedTermination) -> TerminationFunction:
    """Returns a rule as it is now: later fits do not change it."""
    return rule.frozen() if isinstance(rule, LearnedTermination) else rule


def best_threshold(logit: np.ndarray, ended: np.ndarray) -> float:
    """Returns the threshold on the logit whose balanced accuracy is best.

    Candidates are 0, which is even odds, and the middles between neighbouring logits; of equally
    good ones the one nearest to 0 is taken, and 0 where one of the classes is missing.

    Args:
      logit: `[N]`.
      ended: bool `[N]`, the truth.
    """
    if ended.all() or not ended.any():
        return 0.0
    different = np.unique(logit.astype(np.float64))
    candidates = np.append((different[1:] + different[:-1]) / 2, 0.0)
    recognised = (
        1.0 - np.searchsorted(np.sort(logit[ended]), candidates, side="right") / ended.sum()
    )
    spared = np.searchsorted(np.sort(logit[~ended]), candidates, side="right") / (~ended).sum()
    accuracy = (recognised + spared) / 2
    best = candidates[accuracy >= accuracy.max() - 1e-12]
    return float(best[np.argmin(np.abs(best))])


def balanced_accuracy(answer: np.ndarray, truth: np.ndarray) -> float:
    """Returns the share of answers that are right, `[N]` bool each, averaged over the classes that
    there are.
    """
    return float(np.mean([np.mean(answer[truth == label] == label) for label in np.unique(truth)]))
