"""Fits the ensemble: bootstrap, holdout, early stopping per member, elites."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from vagram_tf.config import ModelConfig
from vagram_tf.model import losses
from vagram_tf.model.ensemble import DynamicsEnsemble
from vagram_tf.model.objectives import Objective, Prepared
from vagram_tf.types import Transition, ValueFunction

_BOUND_WIDTH_WEIGHT = 0.01  # PETS: keeps the log-variance bounds tight
_MIN_IMPROVEMENT = 0.01  # MBPO: a holdout score counts as better when it is so by 1 %
_SMALLEST_ERROR = 1e-12  # a term that is learned to less than this is not scaled up further
_CHUNK_EXAMPLES = 5120  # examples per member handed to the compiled function at once
# Rows of a compiled pass over a dataset: one shape serves every size, and little of it is padding.
_PREPARED_ROWS = 1024
_SCORED_ROWS = 4096
_PIECE_ROWS = 256  # scored at a time, so that the layers' outputs stay in the cache


class ModelTrainer(tf.Module):
    """Trains an ensemble on an objective, from where the last fit left it.

    Args:
      ensemble: the networks.
      objective: what their means are trained for.
      value_functions: C functions `[B, D] -> [B]` for objectives that are value-aware.
      config: learning rate, batch size, patience and so on.
      seed: of the generator behind holdout choice, bootstrap, batch order and samples of the prediction.
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
        self._objective, self._value_functions, self._config = objective, tuple(value_functions), config
        self._generator = tf.random.Generator.from_seed(seed, alg="philox")
        self._optimizer = tf.keras.optimizers.legacy.Adam(config.model_learning_rate, epsilon=1e-8)
        self._optimizer._create_all_weights(ensemble.trainable_variables)
        self._chunk_steps = max(1, _CHUNK_EXAMPLES // config.model_batch_size)

    def fit(self, data: Transition, warm_up: bool = False) -> dict[str, float]:
        """Fits to a dataset until no member improves on the holdout, keeps each one's best weights, picks elites.

        Every `1 / holdout_share`-th transition belongs to the holdout for as long as it is stored, so no score is
        ever taken on data that an earlier fit has trained on. The rest is resampled with replacement for each
        member, once per fit; every epoch shuffles it anew.

        Args:
          data: `[N]` transitions, N at least 2.
          warm_up: value-aware objectives add the mse, because the critics do not mean anything yet.

        The balance (`value_gradient_scale=rms`): state and reward terms are divided by what the present model's are
        over the training data, one scalar each per fit, so that both start it at 1. For `taylor` and `vagram` that is
        to divide the value gradients by the root mean square of the weighted errors `g_d e_d`. Without it the larger
        term drowns the other: on Hopper the value gradients the reward, on InvertedPendulum the reward the state.

        Returns:
          Metrics of the fit: steps, epochs, the members' mean score at its end, the sum over all weights (finite only
          if they are), and the elites' mean errors on the holdout in their own units: the objective's, the reward's
          and the state mse.
        """
        self.ensemble.fit_normalizer(data)
        prepared = self.prepare(data)
        train, holdout = self._split(data.reward.shape[0])
        bootstrap = self._bootstrap(train)
        score_seed = self._sample_seed()  # one for all scores, which would not be comparable otherwise
        weights = self._weights(self._errors(data, prepared, train, score_seed, self._objective.samples > 0), warm_up)
        best_score = weights.total(self._errors(data, prepared, holdout, score_seed))
        # Scores judge the means. A read-out that only watches them goes on learning when they have stopped improving.
        trains_variance = self._objective.trains_variance
        judged = self.ensemble.trainable_variables if trains_variance else self.ensemble.mean_variables
        best = [tf.identity(v) for v in judged]
        score, steps, epochs, stale, best_step = best_score, 0, 0, 0, 0
        patience, patience_steps = self._config.patience, self._config.patience_steps
        while (stale < patience or steps - best_step < patience_steps) and steps < self._config.max_fit_steps:
            order = self._shuffle(bootstrap)[: self._config.max_fit_steps - steps]
            self._train_epoch(data, prepared, order, weights)
            score = weights.total(self._errors(data, prepared, holdout, score_seed))
            improved = best_score - score > _MIN_IMPROVEMENT * tf.abs(best_score)
            steps, epochs, stale = steps + order.shape[0], epochs + 1, stale + 1
            if tf.reduce_any(improved):
                best_score = tf.where(improved, score, best_score)
                best = [_choose(improved, v, b) for v, b in zip(judged, best, strict=True)]
                stale, best_step = 0, steps
        for variable, value in zip(judged, best, strict=True):
            variable.assign(value)
        elites = tf.argsort(best_score, stable=True)[: self.ensemble.elites.shape[0]]
        self.ensemble.elites.assign(elites)
        errors = self._errors(data, prepared, holdout, score_seed)
        # The last score is not kept, but it shows if training ended in something that is not a number; so does the sum.
        weight_sum = tf.add_n([tf.reduce_sum(v) for v in self.ensemble.trainable_variables])
        progress = {"fit_steps": steps, "fit_epochs": epochs, "fit_score": float(tf.reduce_mean(score)),
                    "weight_sum": float(weight_sum)}
        return progress | {
            f"holdout_{name}": float(tf.reduce_mean(tf.gather(error, elites)))
            for name, error in errors._asdict().items()}

    def _weights(self, errors: "_Errors", warm_up: bool) -> "_Weights":
        """Chooses the weights of a fit's terms, from the present model's errors on the training data."""
        objective, config = self._objective, self._config
        mse = float(warm_up and objective.value_aware)
        if objective.likelihood or config.value_gradient_scale == "none":
            return _Weights(tf.constant(1.0), tf.constant(config.reward_weight), tf.constant(mse))
        loss, reward, state = (1.0 / tf.maximum(tf.reduce_mean(error), _SMALLEST_ERROR) for error in errors)
        return _Weights(loss, config.reward_weight * reward, mse * state)

    def prepare(self, data: Transition) -> Prepared:
        """Runs the objective's preparation over a dataset `[N]`, compiled, and finishes it as a whole."""
        slots = tf.range(data.reward.shape[0])
        chunks = [self._prepare_chunk(_gather(data, rows)) for rows, _ in _passes(slots, _PREPARED_ROWS)]
        prepared = {key: tf.concat([chunk[key] for chunk in chunks], axis=0)[: len(slots)] for key in chunks[0]}
        return self._objective.finish(prepared, data)

    def held_out(self, count: int) -> tf.Tensor:
        """Says of each of so many slots whether it is held out for life, at least one: bool `[count]`."""
        step, share = tf.range(count, dtype=tf.float64), self._config.holdout_share
        held_out = tf.floor((step + 1.0) * share) > tf.floor(step * share)
        return held_out if tf.reduce_any(held_out) else step == count - 1.0

    def _split(self, count: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the slots to train on and at most `max_holdout` random ones of those held out for life."""
        slots, held_out = tf.range(count), self.held_out(count)
        train, holdout = tf.boolean_mask(slots, ~held_out), tf.boolean_mask(slots, held_out)
        chosen = tf.argsort(self._generator.uniform([holdout.shape[0]]))[: self._config.max_holdout]
        return train, tf.gather(holdout, chosen)

    def _bootstrap(self, train: tf.Tensor) -> tf.Tensor:
        """Returns `[E, N]` slots: each member's own sample with replacement, drawn once per fit."""
        shape = [self.ensemble.members, train.shape[0]]
        return tf.gather(train, self._generator.uniform(shape, maxval=train.shape[0], dtype=tf.int32))

    def _shuffle(self, bootstrap: tf.Tensor) -> tf.Tensor:
        """Returns `[steps, E, batch]` slots, one epoch; a remainder waits for the next, a small set repeats."""
        # One order for all members: what stands at a position differs from member to member anyway.
        order = tf.argsort(self._generator.uniform([bootstrap.shape[1]]))
        shuffled = tf.gather(bootstrap, order, axis=1)
        batch = self._config.model_batch_size
        repeats = -(-batch // shuffled.shape[1])
        shuffled = tf.tile(shuffled, [1, repeats])
        steps = shuffled.shape[1] // batch
        batches = tf.reshape(shuffled[:, : steps * batch], [self.ensemble.members, steps, batch])
        return tf.transpose(batches, [1, 0, 2])

    def _train_epoch(self, data: Transition, prepared: Prepared, order: tf.Tensor, weights: "_Weights") -> None:
        """Trains on the batches `[steps, E, batch]`, in compiled chunks of one shape."""
        for start in range(0, order.shape[0], self._chunk_steps):
            chunk = order[start : start + self._chunk_steps]
            steps = chunk.shape[0]
            chunk = tf.pad(chunk, [[0, self._chunk_steps - steps], [0, 0], [0, 0]])
            batch, extra = _gather((data, prepared), chunk)
            self._train_steps(batch, extra, tf.constant(steps), self._sample_seed(), weights)

    def _errors(
        self, data: Transition, prepared: Prepared, slots: tf.Tensor, seed: tf.Tensor, magnitude: bool = False
    ) -> "_Errors":
        """Returns the members' mean errors `[E]` on the given slots of the data, or the means of their magnitudes.

        An error that is estimated from samples may be negative, and its mean near zero, which is no scale.
        """
        passes = []
        for i, (rows, count) in enumerate(_passes(slots, _SCORED_ROWS)):
            batch, extra = _gather((data, prepared), rows)
            pass_seed = seed + tf.constant([0, i * _SCORED_ROWS])
            passes.append(self._errors_chunk(batch, extra, tf.constant(count), pass_seed, magnitude))
        return _Errors(*(tf.add_n(sums) / slots.shape[0] for sums in zip(*passes, strict=True)))

    @tf.function(jit_compile=True, autograph=False)
    def _prepare_chunk(self, batch: Transition) -> Prepared:
        return self._objective.prepare(batch, self._value_functions)

    @tf.function(jit_compile=True, autograph=False)
    def _errors_chunk(
        self, batch: Transition, prepared: Prepared, count: tf.Tensor, seed: tf.Tensor, magnitude: bool
    ) -> "_Errors":
        """Returns the sums `[E]` of the members' errors on the first `count` rows."""
        members = self.ensemble.members
        counted = tf.cast(tf.range(_SCORED_ROWS) < count, tf.float32)
        pieces = tf.nest.map_structure(
            lambda field: tf.reshape(field, [-1, _PIECE_ROWS, *field.shape[1:]]), (batch, prepared, counted))

        def add(i: tf.Tensor, sums: _Errors) -> tuple[tf.Tensor, _Errors]:
            *piece, weight = tf.nest.map_structure(lambda field: field[i], pieces)
            rows, extra = tf.nest.map_structure(lambda field: tf.broadcast_to(field, [members, *field.shape]), piece)
            errors, _ = self._terms(rows, extra, seed + tf.stack([0, i]))
            if magnitude:
                errors = _Errors(*map(tf.abs, errors))
            return i + 1, _Errors(*(
                total + tf.reduce_sum(error * weight, axis=-1) for total, error in zip(sums, errors, strict=True)))

        zeros = _Errors(*[tf.zeros([members])] * 3)
        return tf.while_loop(lambda i, _: i * _PIECE_ROWS < count, add, [tf.constant(0), zeros])[1]

    @tf.function(jit_compile=True, autograph=False)
    def _train_steps(
        self, batch: Transition, prepared: Prepared, steps: tf.Tensor, seed: tf.Tensor, weights: "_Weights"
    ) -> None:
        """Takes the first `steps` of `[n, E, B]` batches."""
        variables = self.ensemble.trainable_variables

        def train_step(i: tf.Tensor) -> tuple[tf.Tensor]:
            step_batch, step_prepared = tf.nest.map_structure(lambda field: field[i], (batch, prepared))
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(variables)
                errors, readout = self._terms(step_batch, step_prepared, seed + tf.stack([0, i]))
                # Summed over members, averaged over examples: each member gets the gradient of its own batch.
                loss = tf.reduce_sum(tf.reduce_mean(weights.total(errors) + readout, axis=-1))
                loss += _BOUND_WIDTH_WEIGHT * tf.reduce_sum(self.ensemble.bound_width())
                loss += self._config.model_weight_decay * tf.add_n(
                    [tf.nn.l2_loss(kernel) for kernel in self.ensemble.kernels])
            self._optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return (i + 1,)

        tf.while_loop(lambda i: i < steps, train_step, [tf.constant(0)])

    def _sample_seed(self) -> tf.Tensor:
        """Returns a stateless seed `[2]`; an objective without samples draws nothing for it from the generator."""
        if self._objective.samples == 0:
            return tf.zeros([2], tf.int32)
        return tf.cast(self._generator.make_seeds(1)[:, 0], tf.int32)

    def _terms(self, batch: Transition, prepared: Prepared, seed: tf.Tensor) -> tuple["_Errors", tf.Tensor]:
        """Returns the errors of the predictions, and the likelihood of the variance read-out, `[E, B]` each.

        The read-out is zero for an objective that is a likelihood itself. Otherwise it sees features and means
        through a stopped gradient: it learns the spread of the predictions and takes no capacity from them. Of an
        objective that trains the state's variance by samples, it is the reward's alone.
        """
        objective = self._objective
        prediction = self.ensemble(batch.observation, batch.action, detach_variance=not objective.trains_variance)
        if objective.samples:
            members, count, size = prediction.next_observation.shape
            noise = tf.random.stateless_normal([members, count, objective.samples, size], seed)
            prepared = prepared | {"noise": noise}
        state = objective.loss(prediction, batch, prepared, self._value_functions)
        mse = losses.mse(prediction.next_observation, batch.next_observation)
        reward, reward_log_variance, target_reward = (
            x[..., tf.newaxis] for x in (prediction.reward, prediction.reward_log_variance, batch.reward))
        if objective.likelihood:
            likelihood = losses.gaussian_nll(reward, reward_log_variance, target_reward)
            return _Errors(state, likelihood, mse), tf.zeros_like(state)
        if objective.trains_variance:
            detached = self.ensemble(batch.observation, batch.action, detach_variance=True)
            readout = losses.gaussian_nll(
                tf.stop_gradient(reward), detached.reward_log_variance[..., tf.newaxis], target_reward)
            return _Errors(state, losses.mse(reward, target_reward), mse), readout
        readout = losses.gaussian_nll(
            tf.stop_gradient(tf.concat([prediction.next_observation, reward], axis=-1)),
            tf.concat([prediction.next_observation_log_variance, reward_log_variance], axis=-1),
            tf.concat([batch.next_observation, target_reward], axis=-1))
        return _Errors(state, losses.mse(reward, target_reward), mse), readout


class _Errors(NamedTuple):
    """The terms of a loss, all of one shape: the objective's own, the reward's, and the state's mse."""

    loss: tf.Tensor
    reward_loss: tf.Tensor
    mse: tf.Tensor


class _Weights(NamedTuple):
    """The scalar weight of each term."""

    loss: tf.Tensor
    reward_loss: tf.Tensor
    mse: tf.Tensor

    def total(self, errors: _Errors) -> tf.Tensor:
        return tf.add_n([weight * error for weight, error in zip(self, errors, strict=True)])


def _passes(slots: tf.Tensor, rows: int) -> Iterator[tuple[tf.Tensor, int]]:
    """Cuts slots `[N]` into pieces of so many rows, the last one padded; yields each with how many of it count."""
    for start in range(0, slots.shape[0], rows):
        count = min(rows, slots.shape[0] - start)
        yield tf.pad(slots[start : start + count], [[0, rows - count]]), count


def _gather(fields: Any, slots: tf.Tensor) -> Any:
    """Takes the slots, of any shape, from every tensor of a structure."""
    return tf.nest.map_structure(lambda field: tf.gather(field, slots), fields)


def _choose(improved: tf.Tensor, new: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
    """Takes each member's row, the first axis, from `new` where it improved and from `old` elsewhere."""
    return tf.where(tf.reshape(improved, [-1] + [1] * (old.shape.rank - 1)), new, old)
