"""Compiled passes over a whole dataset, piece by piece in one shape: what an objective prepares of
it, and what an ensemble's predictions of it cost.
"""

from collections.abc import Iterator, Sequence

import tensorflow as tf

from vagram_tf.compiler import compiled
from vagram_tf.model.ensemble import DynamicsEnsemble
from vagram_tf.model.halves import Examples
from vagram_tf.model.objective import Objective, Prepared, Terms
from vagram_tf.model.splits import gather
from vagram_tf.types import Transition, ValueFunction

# Rows of a compiled pass: one shape serves every size, and little of it is padding.
_PREPARED_ROWS = 1024
_SCORED_ROWS = 4096
_PIECE_ROWS = 256  # scored at a time, so that the layers' outputs stay in the cache


class Passes:
    """Passes over datasets for an ensemble and its objective.

    Args:
      ensemble: the networks.
      objective: what they are trained for.
      value_functions: C functions `[B, D] -> [B]` for objectives that depend on values.
    """

    def __init__(
        self,
        ensemble: DynamicsEnsemble,
        objective: Objective,
        value_functions: Sequence[ValueFunction],
    ):
        self._ensemble, self._objective = ensemble, objective
        self._value_functions = value_functions

    def prepare(self, data: Transition) -> Prepared:
        """Runs the objective's preparation over a dataset `[N]`, and finishes it as a whole."""
        slots = tf.range(data.reward.shape[0])
        chunks = [
            self._prepare_chunk(gather(data, rows)) for rows, _ in _cut(slots, _PREPARED_ROWS)
        ]
        prepared = {
            key: tf.concat([chunk[key] for chunk in chunks], axis=0)[: len(slots)]
            for key in chunks[0]
        }
        return self._objective.finish(prepared, data)

    def terms(self, examples: Examples, slots: tf.Tensor, seed: tf.Tensor) -> Terms:
        """Returns the members' terms `[E, N]` on slots `[N]` of the data.

        Args:
          examples: the data.
          slots: of them.
          seed: a stateless seed `[2]`, for losses that draw samples.
        """
        passes = []
        for i, (rows, count) in enumerate(_cut(slots, _SCORED_ROWS)):
            batch, prepared = gather((examples.data, examples.prepared), rows)
            pass_seed = seed + tf.constant([0, i * _SCORED_ROWS])
            passes.append(
                self._score_pass(batch, prepared, examples.spread, tf.constant(count), pass_seed)
            )
        return Terms(
            *(tf.concat(term, axis=-1)[:, : slots.shape[0]] for term in zip(*passes, strict=True))
        )

    @compiled
    def _prepare_chunk(self, batch: Transition) -> Prepared:
        return self._objective.prepare(batch, self._value_functions)

    @compiled
    def _score_pass(
        self,
        batch: Transition,
        prepared: Prepared,
        spread: tf.Tensor,
        count: tf.Tensor,
        seed: tf.Tensor,
    ) -> Terms:
        """Returns the members' terms `[E, rows]`, of which the first `count` mean anything."""
        members = self._ensemble.members
        pieces = tf.nest.map_structure(
            lambda field: tf.reshape(field, [-1, _PIECE_ROWS, *field.shape[1:]]), (batch, prepared)
        )

        def score_piece(i: tf.Tensor, scored: Terms) -> tuple[tf.Tensor, Terms]:
            piece = tf.nest.map_structure(lambda field: field[i], pieces)
            rows, extra = tf.nest.map_structure(
                lambda field: tf.broadcast_to(field, [members, *field.shape]), piece
            )
            known = extra | {"spread": spread, "seed": seed + tf.stack([0, i])}
            terms = self._objective.terms_of(self._ensemble, rows, known, self._value_functions)
            return i + 1, Terms(
                *(done.write(i, term) for done, term in zip(scored, terms, strict=True))
            )

        empty = Terms(
            *(
                tf.TensorArray(
                    tf.float32, _SCORED_ROWS // _PIECE_ROWS, element_shape=[members, _PIECE_ROWS]
                )
                for _ in Terms._fields
            )
        )
        scored = tf.while_loop(
            lambda i, _: i * _PIECE_ROWS < count, score_piece, [tf.constant(0), empty]
        )[1]
        by_member = (tf.transpose(term.stack(), [1, 0, 2]) for term in scored)
        return Terms(*(tf.reshape(term, [members, _SCORED_ROWS]) for term in by_member))


def _cut(slots: tf.Tensor, rows: int) -> Iterator[tuple[tf.Tensor, int]]:
    """Cuts slots `[N]` into pieces of so many rows, the last one padded; yields each with how many
    of it count.
    """
    for start in range(0, slots.shape[0], rows):
        count = min(rows, slots.shape[0] - start)
        yield tf.pad(slots[start : start + count], [[0, rows - count]]), count
