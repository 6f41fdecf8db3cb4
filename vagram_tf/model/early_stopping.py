"""When a fit ends, and with which weights: each member's best."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from vagram_tf.model.objective import Terms


class EarlyStopping:
    """Each member's best weights, and when no member improves any more.

    A member's best weights are those of its lowest score. It improves while its score does by what counts, or the
    mean or the median of its state term or its reward term, each against its own best. In the score alone, a reward
    that cannot be learned, or a state that cannot, would drown what the other still gains; in a mean, a few collisions
    would drown what all other examples still gain.

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
        self._bests: list[tf.Tensor] = []
        self._steps_since = self._epochs_since = 0

    @property
    def best_score(self) -> tf.Tensor:
        """Each member's lowest score, `[E]`."""
        return self._bests[0]

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
        measured = [score] + [
            typical(term) for term in (terms.loss, terms.reward_loss) for typical in (_mean, _median)]
        if not self._bests:
            self._bests = measured
            return
        self._epochs_since, self._steps_since = self._epochs_since + 1, self._steps_since + steps
        if any(tf.reduce_any(self._improved(best, new)) for best, new in zip(self._bests, measured, strict=True)):
            self._epochs_since = self._steps_since = 0
        better = score < self._bests[0]
        if tf.reduce_any(better):
            self._weights = [_choose(better, v, b) for v, b in zip(self._judged, self._weights, strict=True)]
        # A mark is moved by what counts, so that many small gains add up to one; what is not a number moves none.
        self._bests = [tf.where(better, score, self._bests[0])] + [
            tf.where(self._improved(best, new), new, best)
            for best, new in zip(self._bests[1:], measured[1:], strict=True)]

    def restore(self) -> None:
        """Gives each member its best weights."""
        for variable, value in zip(self._judged, self._weights, strict=True):
            variable.assign(value)


def _mean(term: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(term, axis=-1)


def _median(term: tf.Tensor) -> tf.Tensor:
    return tf.sort(term, axis=-1)[:, term.shape[-1] // 2]


def _choose(improved: tf.Tensor, new: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
    """Takes each member's row, the first axis, from `new` where it improved and from `old` elsewhere."""
    return tf.where(tf.reshape(improved, [-1] + [1] * (old.shape.rank - 1)), new, old)
