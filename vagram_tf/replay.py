"""One ring buffer of transitions, for real and for imagined data."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from vagram_tf.types import Transition

_FIRST_ALLOCATION = 1024
_BLOCK = 16_384  # rows that are moved at a time


class ReplayBuffer(tf.Module):
    """A ring of transitions in one array: once full, the newest overwrite the oldest.

    A transition is one row `[observation, action, reward, discount, next observation]`, so that a
    batch is one gather. The rows grow with the data up to the capacity, and move in place: no
    second copy is ever held, for they are the largest part of a long run. They are NumPy's, because
    TensorFlow copies a variable that is gathered from whenever it is read, written or grows.

    A checkpoint of the module has its position and its generator; `save` and `load` are for the
    rows.

    Args:
      observation_size: D.
      action_size: A.
      capacity: most transitions kept.
      seed: of the generator that chooses samples.
    """

    def __init__(self, observation_size: int, action_size: int, capacity: int, seed: int):
        super().__init__(name="replay")
        self._sizes = [observation_size, action_size, 1, 1, observation_size]
        self._rows = np.empty([min(capacity, _FIRST_ALLOCATION), sum(self._sizes)], np.float32)
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
        capacity, added = self.capacity, int(self._added)
        rows = np.concatenate(columns, axis=1)[-capacity:]
        self._allocate(min(capacity, added + len(rows)), capacity)
        self._rows[(added + np.arange(len(rows))) % capacity] = rows
        self._added.assign_add(len(rows))

    def all(self) -> Transition:
        """Returns every stored transition `[size]`, by slot: a transition keeps its place until
        overwritten.
        """
        return self.unpack(self._rows[: self.size])

    def sample(self, shape: Sequence[int]) -> Transition:
        """Returns transitions drawn uniformly with replacement, with leading axes `shape`.

        Raises:
          ValueError: the buffer is empty.
        """
        return self.unpack(self.sample_rows(shape))

    def sample_rows(self, shape: Sequence[int]) -> np.ndarray:
        """Returns rows `[*shape, 2 D + A + 2]`, drawn as `sample` draws; `unpack` makes transitions
        of them.

        Raises:
          ValueError: the buffer is empty, and `shape` has no zero.
        """
        return self._rows.take(self.sample_slots(shape), axis=0)

    def sample_slots(self, shape: Sequence[int]) -> np.ndarray:
        """Returns the slots, int64 of a shape, of transitions drawn as `sample` draws them.

        Raises:
          ValueError: the buffer is empty, and `shape` has no zero.
        """
        size = self.size
        if size == 0 and 0 not in shape:
            raise ValueError("cannot sample from an empty replay buffer")
        return self._generator.uniform(shape, maxval=max(size, 1), dtype=tf.int64).numpy()

    def unpack(self, rows: np.ndarray) -> Transition:
        """Returns rows `[..., 2 D + A + 2]` as transitions."""
        observation, action, reward, discount, next_observation = np.split(
            rows, np.cumsum(self._sizes[:-1]), axis=-1
        )
        fields = observation, action, reward[..., 0], discount[..., 0], next_observation
        return Transition(*(tf.constant(field) for field in fields))

    def resize(self, capacity: int) -> None:
        """Changes the capacity and keeps the newest transitions that fit."""
        if capacity == self.capacity:
            return
        size = self.size
        kept = min(size, capacity)
        oldest = (int(self._added) - kept) % self.capacity
        _rotate(self._rows[:size], oldest)
        self._added.assign(kept)
        self._capacity.assign(capacity)
        if capacity < len(self._rows):
            self._reallocate(capacity)

    def save(self, path: Path) -> None:
        """Writes the rows; raises OSError."""
        np.save(path, self._rows[: self.size])

    def load(self, path: Path) -> None:
        """Reads the rows of a buffer that is where this one is; raises OSError, or ValueError where
        they are no such rows.
        """
        rows = _rows(path)
        if rows.shape != (self.size, sum(self._sizes)):
            raise ValueError(f"{path} holds {rows.shape}, not {self.size} transitions")
        self._reallocate(max(len(rows), min(self.capacity, _FIRST_ALLOCATION)))
        self._rows[: len(rows)] = rows

    @classmethod
    def read(cls, path: Path, observation_size: int, action_size: int) -> "ReplayBuffer":
        """Returns a full buffer of the rows that another one has saved; raises OSError, or
        ValueError where they are no such rows.
        """
        count = len(_rows(path))
        buffer = cls(observation_size, action_size, count, seed=0)
        buffer._added.assign(count)
        buffer.load(path)
        return buffer

    def _allocate(self, needed: int, capacity: int) -> None:
        """Makes room for `needed` rows, at least doubling it up to the capacity, so that adding one
        by one moves little.
        """
        if needed > len(self._rows):
            self._reallocate(min(capacity, max(needed, 2 * len(self._rows))))

    def _reallocate(self, rows: int) -> None:
        # In place where the system can, and nobody else has a view: what is handed out is a copy.
        self._rows.resize([rows, self._rows.shape[1]], refcheck=False)


def _rows(path: Path) -> np.ndarray:
    """Returns the rows of a file; raises OSError, or ValueError where it holds none."""
    try:
        rows = np.load(path, mmap_mode="r")
    except EOFError:
        raise ValueError(f"{path} is empty") from None
    if rows.ndim != 2:
        raise ValueError(f"{path} holds {rows.shape}, no transitions")
    return rows


def follows(steps: Transition) -> np.ndarray:
    """Returns of transitions `[N]` in their order whether the next one is the next step of the same
    episode: bool `[N]`.
    """
    observation, next_observation = steps.observation.numpy(), steps.next_observation.numpy()
    same = np.all(next_observation[:-1] == observation[1:], axis=-1)
    return np.append(same & (steps.discount.numpy()[:-1] > 0), False)


def _rotate(rows: np.ndarray, first: int) -> None:
    """Puts row `first` first and what was before it last, in place: three reversals do."""
    if first:
        for part in (rows[:first], rows[first:], rows):
            _reverse(part)


def _reverse(rows: np.ndarray) -> None:
    count = len(rows)
    for start in range(0, count // 2, _BLOCK):
        stop = min(start + _BLOCK, count // 2)
        head, tail = rows[start:stop], rows[count - stop : count - start]
        head[:], tail[:] = tail[::-1].copy(), head[::-1].copy()
