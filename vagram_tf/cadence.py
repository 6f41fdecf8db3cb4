"""When a run does what: the arithmetic of steps, epochs and schedules, as functions of the training
step.

Training steps are counted from the end of the random ones, where they are 0; before, they are
negative.
"""

from vagram_tf import schedules
from vagram_tf.config import Config


class Cadence:
    """The rhythm of a run.

    Args:
      config: of the run.
    """

    def __init__(self, config: Config):
        self._dyna, self._batch = config.dyna, config.agent.agent_batch_size
        self._warm_up_epochs = config.model.warm_up_epochs

    def epoch(self, training_step: int) -> float:
        """Returns how many epochs of training are over, a real number."""
        return max(training_step, 0) / self._dyna.epoch_length

    def fit_is_due(self, training_step: int) -> bool:
        """Whether the model is fitted, and rollouts are imagined, before this step."""
        return training_step >= 0 and training_step % self._dyna.retrain_every == 0

    def warms_up(self, training_step: int) -> bool:
        """Whether value functions mean nothing yet, so that value-aware objectives add the mse."""
        return self.epoch(training_step) < self._warm_up_epochs

    def horizon(self, training_step: int) -> int:
        """Returns the steps of a rollout, H."""
        return schedules.rollout_length(self._dyna.rollout_schedule, self.epoch(training_step))

    @property
    def rollouts(self) -> int:
        """How many rollouts are imagined after a fit: those of all steps until the next."""
        return self._dyna.rollouts_per_step * self._dyna.retrain_every

    def imagined_capacity(self, horizon: int) -> int:
        """Returns how many imagined transitions are kept while rollouts have so many steps."""
        steps = max(self._dyna.epoch_length, self._dyna.retrain_every) * self._dyna.retain_epochs
        return horizon * self._dyna.rollouts_per_step * steps

    def real_examples(self, training_step: int) -> int:
        """Returns how many examples of a SAC batch are real."""
        return schedules.real_examples(
            self._dyna.imagined_share, self.epoch(training_step), self._batch
        )
