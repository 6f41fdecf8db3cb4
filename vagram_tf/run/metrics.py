"""What a run tells: TensorBoard, `progress.csv` and `value_sensitivity.csv`, all against
environment steps.
"""

import contextlib
import csv
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams
from tensorboard.plugins.image import metadata as image_metadata
from tensorflow.core.framework import summary_pb2
from tensorflow.core.util import event_pb2

from vagram_tf import files
from vagram_tf.config import Config
from vagram_tf.errors import one_line
from vagram_tf.run import descriptions
from vagram_tf.run.figures import Picture

PROGRESS_COLUMNS = (
    "env_step",
    "mean_return",
    "stddev_return",
    "mean_length",
    "model_holdout_loss",
    "model_holdout_mse",
    "critic_loss",
    "actor_loss",
    "temperature",
    "q_mean",
    "rollout_length",
    "imagined_share",
)

_DESCRIPTION_STEP = 0  # before every environment step


class Metrics:
    """Writes TensorBoard's event files, one row per evaluation to `progress.csv` and one per fit to
    `value_sensitivity.csv`.

    The event files lie in the run's directory itself: their directory is what TensorBoard calls
    the run.

    Args:
      directory: the run's.
      resume_step: the environment step that the run continues from, 0 for its start; what was
        written after it is cut off, so that a killed run leaves neither gap nor overlap.

    Attributes:
      last_evaluation: environment step of the newest row of `progress.csv`, 0 before.
    """

    def __init__(self, directory: Path, resume_step: int = 0):
        self._progress = directory / "progress.csv"
        self._sensitivity = directory / "value_sensitivity.csv"
        self._directory = directory
        with self._writing(self._progress):
            self.last_evaluation = _truncate_table(self._progress, resume_step)
            if not self._progress.exists():
                files.write(self._progress, files.csv_text([PROGRESS_COLUMNS]))
        with self._writing(self._sensitivity):
            _truncate_table(self._sensitivity, resume_step)
        with self._writing_events():
            # An evaluation without a row comes again.
            evaluated = self.last_evaluation == resume_step
            _truncate_events(directory, resume_step, resume_step - (not evaluated))
            self._writer = tf.summary.create_file_writer(str(directory))
            self._start_session(resume_step)

    def describe(self, config: Config) -> None:
        """Writes the settings for the HParams tab, and as a table; once per process, as a resume
        cuts them off.

        Raises:
          OSError: they cannot be written, as with every method here.
        """
        with self._writing_events(), self._writer.as_default(_DESCRIPTION_STEP):
            hparams.hparams(descriptions.hparams(config))
            tf.summary.text("settings", descriptions.settings_table(config))

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Writes scalars under their TensorBoard names at an environment step."""
        with self._writing_events(), self._writer.as_default(step):
            for name, value in values.items():
                tf.summary.scalar(name, value, description=descriptions.TAGS.get(name))

    def histograms(self, step: int, values: dict[str, np.ndarray]) -> None:
        """Writes the distributions of arrays of any shape."""
        with self._writing_events(), self._writer.as_default(step):
            for name, value in values.items():
                tf.summary.histogram(name, value, description=descriptions.TAGS.get(name))

    def images(self, step: int, pictures: dict[str, Picture]) -> None:
        """Writes encoded pictures as they are, as `tf.summary.image` writes those that it
        encodes.
        """
        with self._writing_events(), self._writer.as_default(step):
            for name, picture in pictures.items():
                metadata = image_metadata.create_summary_metadata(
                    display_name=None, description=descriptions.TAGS.get(name)
                )
                content = tf.constant([str(picture.width), str(picture.height), picture.data])
                tf.summary.write(name, content, metadata=metadata)

    def progress(self, step: int, row: dict[str, float]) -> None:
        """Appends an evaluation to `progress.csv`; columns without a value stay empty."""
        values = [f"{row[column]:.6g}" if column in row else "" for column in PROGRESS_COLUMNS[1:]]
        with self._writing(self._progress):
            _append_row(self._progress, [str(step), *values])
        self.last_evaluation = step

    def sensitivity(self, step: int, names: Sequence[str], values: np.ndarray) -> None:
        """Appends the value's sensitivity `[D]` to the dimensions of that name to
        `value_sensitivity.csv`.
        """
        with self._writing(self._sensitivity):
            if not self._sensitivity.exists():
                files.write(self._sensitivity, files.csv_text([["env_step", *names]]))
            _append_row(self._sensitivity, [str(step), *(f"{value:.6g}" for value in values)])

    def sensitivities(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the environment steps `[T]` and values `[T, D]` of `value_sensitivity.csv`.

        T is 0 where there is no such table any more.
        """
        if not self._sensitivity.exists():
            return np.zeros(0, int), np.zeros([0, 0])
        table = np.loadtxt(self._sensitivity, delimiter=",", skiprows=1, ndmin=2)
        return table[:, 0].astype(int), table[:, 1:]

    def flush(self) -> None:
        with self._writing_events():
            self._writer.flush()

    def close(self) -> None:
        with self._writing_events():
            self._writer.close()

    def _start_session(self, resume_step: int) -> None:
        """Tells a TensorBoard that is open to forget what it has read of later steps, which it does
        at the second start that it sees.
        """
        session = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        event = event_pb2.Event(wall_time=time.time(), step=resume_step + 1, session_log=session)
        self._writer.init()
        tf.raw_ops.ImportEvent(writer=self._writer._resource, event=event.SerializeToString())

    def _writing_events(self) -> contextlib.AbstractContextManager[None]:
        return self._writing(self._directory / "events.out.tfevents.*")

    @contextlib.contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            raise OSError(f"cannot write {path}: {one_line(error)}") from None


def _append_row(path: Path, row: list[str]) -> None:
    """Appends to a table, which is not written whole: its time would grow with the run. A resume
    drops half a row.
    """
    with open(path, "a", newline="") as file:
        file.write(files.csv_text([row]))


def _truncate_table(path: Path, last_step: int) -> int:
    """Cuts a CSV, whose first column is the environment step, back to `last_step`, and returns the
    step of its last row, 0 without any; raises ValueError if it is none.
    """
    if not path.exists():
        return 0
    try:
        with open(path, newline="") as file:
            whole = [line for line in file if line.endswith("\n")]  # a kill can leave half of one
        rows = list(csv.reader(whole))
        complete = [row for row in rows[1:] if len(row) == len(rows[0])]
        kept = [row for row in complete if int(row[0]) <= last_step]
    except (ValueError, csv.Error) as error:
        raise ValueError(
            f"{path} is damaged: {one_line(error)}; moved away, the run continues without it"
        ) from error
    if not rows:  # it lost even its header
        path.unlink()
        return 0
    files.write(path, files.csv_text([rows[0], *kept]))
    return int(kept[-1][0]) if kept else 0


def _truncate_events(directory: Path, last_step: int, evaluated: int) -> None:
    """Rewrites the event files as one that ends at `last_step`, and whose last evaluation is that
    at `evaluated`; killed at any point of it, it can be done again.

    The description of the run goes, too: every process writes it.
    """
    old = sorted(directory.glob("events.out.tfevents.*"))
    if not old:
        return
    kept = dict.fromkeys(
        record for path in old for record in _records(path) if _wanted(record, last_step, evaluated)
    )
    # TensorBoard would read what has "tfevents" in its name.
    with files.replacing(old[0], "events") as temporary:
        with tf.io.TFRecordWriter(str(temporary)) as writer:
            for record in kept:
                writer.write(record)
    for path in old[1:]:
        path.unlink()


def _wanted(record: bytes, last_step: int, evaluated: int) -> bool:
    event = event_pb2.Event.FromString(record)
    if not event.summary.value:
        return not event.HasField("session_log")
    end = evaluated if any(map(_is_of_an_evaluation, event.summary.value)) else last_step
    return _DESCRIPTION_STEP < event.step <= end


def _is_of_an_evaluation(value: summary_pb2.Summary.Value) -> bool:
    pictured = value.metadata.plugin_data.plugin_name == image_metadata.PLUGIN_NAME
    return value.tag.startswith("eval/") or pictured


def _records(path: Path) -> list[bytes]:
    """Returns the whole records of an event file; a kill can leave half of one at the end."""
    records = []
    try:
        for record in tf.data.TFRecordDataset(str(path)):
            records.append(record.numpy())
    except tf.errors.DataLossError:
        pass
    return records
