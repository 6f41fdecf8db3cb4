"""One ring buffer of transitions, for real and for imagined data."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from vagram_tf.types import Transition

_FIRST_ALLOCATION = 1024


class ReplayBuffer(tf.Module):
    """A ring of transitions in one `tf.Variable`: once full, the newest overwrite the oldest.

    A transition is one row `[observation, action, reward, discount, next observation]`, so that a
    batch is one gather. The rows grow with the data up to the capacity; everything, the generator
    included, is in a checkpoint.

    Args:
      observation_size: D.
      action_size: A.
      capacity: most transitions kept.
      seed: of the generator that chooses samples.
    """

    def __init__(self, observation_size: int, action_size: int, capacity: int, seed: int):
        super().__init__(name="replay")
        self._sizes = [observation_size, action_size, 1, 1, observation_size]
        width = sum(self._sizes)
        rows = tf.zeros([min(capacity, _FIRST_ALLOCATION), width])
        self._rows = tf.Variable(rows, shape=[None, width], trainable=False, name="rows")
        self._capacity = tf.Variable(capacity, dtype=tf.int64, trainable=False, name="capacity")
        self._added = tf.Variable(0, dtype=tf.int64, trainable=False, name="added")
        self._generator = tf.random.Generator.from_seed(seed, alg="philox")

    @property
    def capacity(self) -> int:
        return int(self._capacity)

    @property
    def size(self) -> int:
        """How many transitions are stored."""
        return min(int(self._added), self.capacity)

    def add(self, transition: Transition) -> None:
        """Appends `[N]` transitions, in order; of more than the capacity only the newest stay.

        Raises:
          ValueError: a field's size is not the buffer's; nothing is stored.
        """
        observation, action, reward, discount, after = (
            np.asarray(field, np.float32) for field in transition
        )
        columns = [observation, action, reward[:, np.newaxis], discount[:, np.newaxis], after]
        sizes = [column.shape[1] for column in columns]
        if sizes != self._sizes:
            raise ValueError(
                f"the fields of a transition have the sizes {sizes}, expected {self._sizes}"
            )
        self._add(np.concatenate(columns, axis=1))

    def all(self) -> Transition:
        """Returns every stored transition `[size]`, by slot: a transition keeps its place until
        overwritten.
        """
        return self._unpack(self._rows[: self.size])

    def sample(self, shape: Sequence[int] | tf.Tensor) -> Transition:
        """Returns transitions drawn uniformly with replacement, with leading axes `shape`; also
        inside a graph.

        Raises:
          ValueError: the buffer is empty (not checked inside a graph, where an empty draw from it
            is allowed).
        """
        if tf.executing_eagerly() and self.size == 0:
            raise ValueError("cannot sample from an empty replay buffer")
        return self._sample(tf.convert_to_tensor(shape))

    @tf.function(reduce_retracing=True, autograph=False)
    def _sample(self, shape: tf.Tensor) -> Transition:
        size = tf.maximum(tf.minimum(self._added, self._capacity), 1)
        slots = self._generator.uniform(shape, maxval=size, dtype=tf.int64)
        return self._unpack(self._rows.sparse_read(slots))

    def _add(self, rows: np.ndarray) -> None:
        # Few operations, each at once: as one graph they take twice as long for a single row.
        capacity, added = self.capacity, int(self._added)
        rows = rows[-capacity:]
        self._allocate(min(capacity, added + len(rows)), capacity)
        slots = (added + np.arange(len(rows))) % capacity
        self._rows.scatter_nd_update(slots[:, np.newaxis], rows)
        self._added.assign_add(len(rows))

    def _allocate(self, needed: int, capacity: int) -> None:
        """Makes room for `needed` rows, at least doubling it up to the capacity, so that adding one
        by one copies little.
        """
        # The shape alone: to read a variable that is gathered from is to copy it.
        allocated = int(tf.raw_ops.VariableShape(input=self._rows.handle)[0])
        if needed > allocated:
            target = min(capacity, max(needed, 2 * allocated))
            # What the new rows hold until they are overwritten does not matter.
            # Many, when memory is shortest: half the width will do.
            slots = np.minimum(np.arange(target, dtype=np.int32), allocated - 1)
            self._rows.assign(self._rows.sparse_read(slots))

    def resize(self, capacity: int) -> None:
        """Changes the capacity and keeps the newest transitions that fit."""
        if capacity == self.capacity:
            return
        kept = min(self.size, capacity)
        # A full buffer fills up again: one copy, not two.
        rows = capacity if self.size == self.capacity else kept
        if rows:
            slots = (int(self._added) - kept) % self.capacity + np.arange(rows, dtype=np.int32)
            self._rows.assign(self._rows.sparse_read(slots % self.capacity))
        self._added.assign(kept)
        self._capacity.assign(capacity)

    def _unpack(self, rows: tf.Tensor) -> Transition:
        observation, action, reward, discount, next_observation = tf.split(
            rows, self._sizes, axis=-1
        )
        return Transition(observation, action, reward[..., 0], discount[..., 0], next_observation)
