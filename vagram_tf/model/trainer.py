"""Fits the ensemble to an objective, and picks its elites."""

import functools
from collections.abc import Sequence

import tensorflow as tf

from vagram_tf.config import ModelConfig
from vagram_tf.model import splits
from vagram_tf.model.early_stopping import EarlyStopping
from vagram_tf.model.ensemble import DynamicsEnsemble, moments
from vagram_tf.model.halves import Chunk, Examples, Halves, adam
from vagram_tf.model.objective import Objective, Prepared, Terms, change_spread
from vagram_tf.model.passes import Passes
from vagram_tf.model.splits import gather
from vagram_tf.types import Prediction, Transition, ValueFunction

_CHUNK_EXAMPLES = 5120  # examples per member handed to the compiled function at once
_EPOCH_STEPS = 20  # at least, between two scores: few data are passed more often
_REFERENCE_ROWS = 10_000  # of a dataset, evenly spaced, that the balance of the terms is taken from
_REPORTED_TERMS = ("loss", "reward_loss", "mse")


class ModelTrainer(tf.Module):
    """Trains an ensemble on an objective, from where the last fit left it.

    Args:
      ensemble: the networks.
      objective: what they are trained for.
      value_functions: C functions `[B, D] -> [B]` for objectives that depend on values.
      config: learning rate, batch size, patience and so on.
      seed: of the generator behind holdout choice, bootstrap, batch order and samples of the
        prediction.
    """

    def __init__(
        self,
        ensemble: DynamicsEnsemble,
        objective: Objective,
        value_functions: Sequence[ValueFunction],
        config: ModelConfig,
        seed: int,
    ):
        super().__init__(name="model_trainer")
        self.ensemble = ensemble
        self._objective = objective
        self._value_functions = tuple(value_functions)
        self._passes = Passes(ensemble, objective, self._value_functions)
        self._config = config
        self._generator = tf.random.Generator.from_seed(seed, alg="philox")
        self._optimizer = adam(config, ensemble)
        self._chunk_steps = max(1, _CHUNK_EXAMPLES // config.model_batch_size)

    def fit(self, data: Transition, warm_up: bool = False) -> dict[str, float]:
        """Fits to a dataset until nothing improves on the holdout, keeps each member's best
        weights, picks elites.

        The weights that are judged and kept are averages over the last steps, which follow the loss
        and not a step's few examples (Polyak and Juditsky 1992, with a mean that forgets).

        Args:
          data: `[N]` transitions, N at least 2.
          warm_up: the critics do not mean anything yet, so value-aware objectives add the mse.

        Returns:
          Metrics of the fit: steps, epochs, the members' mean score at its end, the sum over all
          weights (finite only if they are), and the elites' mean terms on the holdout in their own
          units: the objective's, the reward's and the state mse, in units of the changes' spread.
        """
        config, ensemble = self._config, self.ensemble
        ensemble.fit_normalizer(data)
        prepared, spread = self.prepare(data), change_spread(data)
        train, holdout = splits.split(
            data.reward.shape[0], config.holdout_share, config.max_holdout, self._generator
        )
        samples = splits.bootstrap(train, ensemble.members, self._generator)
        weights = self._objective.weights(self._reference(data, prepared, spread), warm_up)
        examples = Examples(data, prepared, spread, weights)
        score_seed = self._new_seed()  # one for all scores, which would not be comparable otherwise
        stopping = EarlyStopping(
            self._objective.judged(ensemble),
            self._objective.improved,
            config.patience,
            config.patience_steps,
        )

        def judge(steps: int = 0) -> tf.Tensor:
            terms = self._passes.terms(examples, holdout, score_seed)
            score = self._objective.score(terms, weights)
            stopping.judge(score, terms, steps)
            return score

        self._halves.begin()
        score, steps, epochs = judge(), 0, 0
        while not stopping.stopped and steps < config.max_fit_steps:
            order = splits.shuffled_batches(
                samples, config.model_batch_size, _EPOCH_STEPS, self._generator
            )
            order = order[: config.max_fit_steps - steps]
            _assign(ensemble.trainable_variables, self._train_epoch(examples, order))
            score = judge(order.shape[0])
            steps, epochs = steps + order.shape[0], epochs + 1
        self._halves.end()
        stopping.restore()
        ensemble.elites.assign(
            tf.argsort(stopping.best_score, stable=True)[: ensemble.elites.shape[0]]
        )

        # The last score is not kept, but it shows if training ended in something that is not a
        # number; so does the sum.
        weight_sum = tf.add_n([tf.reduce_sum(v) for v in ensemble.trainable_variables])
        return {
            "fit_steps": steps,
            "fit_epochs": epochs,
            "fit_score": float(tf.reduce_mean(score)),
            "weight_sum": float(weight_sum),
            **self._elites_terms(self._passes.terms(examples, holdout, score_seed)),
        }

    def _elites_terms(self, terms: Terms) -> dict[str, float]:
        """Returns the means of the holdout's terms over examples and elites, by metric."""

        def mean(term: tf.Tensor) -> float:
            return float(
                tf.reduce_mean(tf.gather(tf.reduce_mean(term, axis=-1), self.ensemble.elites))
            )

        return {f"holdout_{name}": mean(getattr(terms, name)) for name in _REPORTED_TERMS}

    def forget(self, seed: int) -> None:
        """Makes the trainer as new, with another seed. The ensemble's weights are whoever's who
        made it.
        """
        self._generator.reset_from_seed(seed)
        for variable in self._optimizer.variables():
            variable.assign(tf.zeros_like(variable))

    def held_out(self, count: int) -> tf.Tensor:
        """Says of each of so many slots whether it is held out for life: bool `[count]`."""
        return splits.held_out(count, self._config.holdout_share)

    def prepare(self, data: Transition) -> Prepared:
        """Returns what the objective prepares of a dataset `[N]`."""
        return self._passes.prepare(data)

    def _reference(self, data: Transition, prepared: Prepared, spread: tf.Tensor) -> Terms:
        """Returns the terms `[1, B]` of a model that knows nothing but mean and spread of changes
        and rewards.
        """
        rows = tf.cast(
            tf.linspace(0, data.reward.shape[0] - 1, min(data.reward.shape[0], _REFERENCE_ROWS)),
            tf.int32,
        )
        change, _ = moments(data.next_observation - data.observation)
        reward, reward_spread = (x[0] for x in moments(data.reward[:, tf.newaxis]))
        target, extra = gather((data, prepared), rows)
        # One member.
        target, extra = tf.nest.map_structure(lambda field: field[tf.newaxis], (target, extra))
        nothing = Prediction(
            target.observation + change,
            tf.fill(target.reward.shape, reward),
            tf.broadcast_to(2.0 * tf.math.log(spread), target.observation.shape),
            tf.fill(target.reward.shape, 2.0 * tf.math.log(reward_spread)),
        )
        extra |= {"spread": spread, "seed": tf.zeros([2], tf.int32)}
        return self._objective.terms(nothing, target, extra, self._value_functions)

    def _train_epoch(self, examples: Examples, order: tf.Tensor) -> list[tf.Tensor]:
        """Trains on the batches `[steps, E, batch]`, in compiled chunks of one shape; returns the
        averages of the weights.
        """
        chunks = []
        for start in range(0, order.shape[0], self._chunk_steps):
            slots = order[start : start + self._chunk_steps]
            steps = slots.shape[0]
            slots = tf.pad(slots, [[0, self._chunk_steps - steps], [0, 0], [0, 0]])
            chunks.append(Chunk(slots, steps, self._new_seed()))
        return self._halves.train(examples, chunks)

    # Not before the first fit: their initial weights, which nobody uses, draw from TensorFlow's
    # seed. A cached property is no attribute that a checkpoint would hold.
    @functools.cached_property
    def _halves(self) -> Halves:
        return Halves(
            self.ensemble, self._optimizer, self._objective, self._value_functions, self._config
        )

    def _new_seed(self) -> tf.Tensor:
        """Returns a stateless seed `[2]`."""
        return tf.cast(self._generator.make_seeds(1)[:, 0], tf.int32)


def _assign(variables: Sequence[tf.Variable], values: Sequence[tf.Tensor]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
