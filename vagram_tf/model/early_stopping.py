"""When a fit ends, and with which weights: each member's best."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from vagram_tf.model.objective import Terms


class EarlyStopping:
    """Each member's best weights, and when the ensemble improves no more.

    A member's best weights are those of its lowest score. The ensemble improves while its middle
    member does by what counts: in the score, or in the mean or the median of the state term or the
    reward term, each against its own best. In the score alone, a reward that cannot be learned, or
    a state that cannot, would drown what the other still gains; in means over the examples, a few
    collisions would drown what all others gain. Of the members, some one finds something better by
    chance at almost any time, and one that gets lost would drown a mean.

    Args:
      judged: the variables that are kept, every one with the member axis first.
      improved: `(best, new) -> bool`, what counts as better.
      patience: epochs without an improvement, after which it has stopped, and
      patience_steps: gradient steps without one, at least.
    """

    def __init__(
        self,
        judged: Sequence[tf.Variable],
        improved: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        patience: int,
        patience_steps: int,
    ):
        self._judged, self._improved = judged, improved
        self._patience, self._patience_steps = patience, patience_steps
        self._weights = [tf.identity(v) for v in judged]
        self._best_score: tf.Tensor | None = None
        self._marks: list[tf.Tensor] = []
        self._steps_since = self._epochs_since = 0

    @property
    def best_score(self) -> tf.Tensor:
        """Each member's lowest score, `[E]`."""
        assert self._best_score is not None, "nothing was judged yet"
        return self._best_score

    @property
    def stopped(self) -> bool:
        return self._epochs_since >= self._patience and self._steps_since >= self._patience_steps

    def judge(self, score: tf.Tensor, terms: Terms, steps: int = 0) -> None:
        """Takes in what the judged variables, as they are now, are worth.

        Args:
          score: `[E]`.
          terms: of the holdout, `[E, N]` each.
          steps: gradient steps since the last call; 0 with the weights that the fit begins with.
        """
        marks = [
            _middle(each) for each in (score, *_typical(terms.loss), *_typical(terms.reward_loss))
        ]
        if self._best_score is None:
            self._best_score, self._marks = score, marks
            return
        self._epochs_since, self._steps_since = self._epochs_since + 1, self._steps_since + steps
        gains = [self._gained(best, new) for best, new in zip(self._marks, marks, strict=True)]
        if any(gains):
            self._epochs_since = self._steps_since = 0
        # A mark is moved by what counts, so that many small gains add up to one; what is not a
        # number moves none.
        self._marks = [
            new if gain else best for best, new, gain in zip(self._marks, marks, gains, strict=True)
        ]
        better = (score < self._best_score) | tf.math.is_nan(self._best_score)
        if tf.reduce_any(better):
            self._best_score = tf.where(better, score, self._best_score)
            self._weights = [
                _choose(better, v, b) for v, b in zip(self._judged, self._weights, strict=True)
            ]

    def _gained(self, best: tf.Tensor, new: tf.Tensor) -> bool:
        """Says whether a mark is better by what counts; any number is better than none."""
        recovered = tf.math.is_finite(new) & ~tf.math.is_finite(best)
        return bool(recovered | self._improved(best, new))

    def restore(self) -> None:
        """Gives each member its best weights."""
        for variable, value in zip(self._judged, self._weights, strict=True):
            variable.assign(value)


def _typical(term: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns each member's mean and median `[E]` of a term `[E, N]`."""
    return tf.reduce_mean(term, axis=-1), _middle(term)


def _middle(values: tf.Tensor) -> tf.Tensor:
    """Returns the median over the last axis, the larger one of two; what is not a number counts as
    the largest.
    """
    ordered = tf.sort(tf.where(tf.math.is_nan(values), np.inf, values), axis=-1)
    return ordered[..., values.shape[-1] // 2]


def _choose(improved: tf.Tensor, new: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
    """Takes each member's row, the first axis, from `new` where it improved and from `old`
    elsewhere.
    """
    return tf.where(tf.reshape(improved, [-1] + [1] * (old.shape.rank - 1)), new, old)
