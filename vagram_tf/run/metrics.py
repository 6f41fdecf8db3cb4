"""What a run tells: TensorBoard scalars and `progress.csv`, both against environment steps."""

import contextlib
import csv
import os
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from tensorflow.core.util import event_pb2

from vagram_tf.errors import one_line

PROGRESS_COLUMNS = (
    "env_step", "mean_return", "stddev_return", "mean_length", "model_holdout_loss", "model_holdout_mse",
    "critic_loss", "actor_loss", "temperature", "q_mean", "rollout_length", "imagined_share")


class Metrics:
    """Writes scalars to `tensorboard/` and one row per evaluation to `progress.csv`.

    Args:
      directory: the run's.
      resume_step: the environment step that the run continues from, 0 for its start; what was written after it is
        cut off, so that a killed run leaves neither gap nor overlap.
    """

    def __init__(self, directory: Path, resume_step: int = 0):
        self._progress = directory / "progress.csv"
        self._events = directory / "tensorboard"
        with self._writing(self._progress):
            _truncate_progress(self._progress, resume_step)
            if not self._progress.exists():
                _write_rows(self._progress, [list(PROGRESS_COLUMNS)])
        with self._writing(self._events):
            _truncate_events(self._events, resume_step)
            self._writer = tf.summary.create_file_writer(str(self._events))

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Writes scalars under their TensorBoard names at an environment step.

        Raises:
          OSError: they cannot be written, as with every method here.
        """
        with self._writing(self._events), self._writer.as_default(step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def progress(self, step: int, row: dict[str, float]) -> None:
        """Appends an evaluation to `progress.csv`; columns without a value stay empty."""
        values = [f"{row[column]:.6g}" if column in row else "" for column in PROGRESS_COLUMNS[1:]]
        with self._writing(self._progress), open(self._progress, "a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow([step, *values])

    def flush(self) -> None:
        with self._writing(self._events):
            self._writer.flush()

    def close(self) -> None:
        with self._writing(self._events):
            self._writer.close()

    @contextlib.contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            raise OSError(f"cannot write {path}: {one_line(error)}") from None


def _write_rows(path: Path, rows: list[list[str]]) -> None:
    """Writes a CSV beside its place and renames it there, so that it is whole or absent."""
    temporary = path.with_suffix(".tmp")
    with open(temporary, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    os.replace(temporary, path)


def _truncate_progress(path: Path, last_step: int) -> None:
    if not path.exists():
        return
    with open(path, newline="") as file:
        header, *rows = list(csv.reader(file)) or [list(PROGRESS_COLUMNS)]
    complete = [row for row in rows if len(row) == len(header)]  # a kill can leave half a row
    _write_rows(path, [header, *(row for row in complete if int(row[0]) <= last_step)])


def _truncate_events(directory: Path, last_step: int) -> None:
    """Rewrites the event files as one that ends at `last_step`; killed at any point of it, it can be done again."""
    old = sorted(directory.glob("events.out.tfevents.*"))
    if not old:
        return
    kept, written = directory / "kept.tmp", set()
    with tf.io.TFRecordWriter(str(kept)) as writer:
        for path in old:
            for record in _records(path):
                if event_pb2.Event.FromString(record).step <= last_step and record not in written:
                    writer.write(record)
                    written.add(record)
    os.replace(kept, old[0])
    for path in old[1:]:
        path.unlink()


def _records(path: Path) -> list[bytes]:
    """Returns the whole records of an event file; a kill can leave half of one at the end."""
    records = []
    try:
        for record in tf.data.TFRecordDataset(str(path)):
            records.append(record.numpy())
    except tf.errors.DataLossError:
        pass
    return records
