"""What a run tells: read back, cut off at a resume, and complete after a kill."""

import numpy as np
import programs
import pytest
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from vagram_tf.config import Config
from vagram_tf.run.figures import Picture
from vagram_tf.run.metrics import PROGRESS_COLUMNS, Metrics


def record(directory, steps, resume_step=0):
    """Logs a scalar at each step, and an evaluation at each tenth, as a process that ends."""
    metrics = Metrics(directory, resume_step)
    for step in steps:
        metrics.scalars(step, {"train/loss": step / 4})
        if step % 10 == 0:
            metrics.progress(step, {"mean_return": step * 2.0})
    metrics.close()


def expected_scalars(last):
    return [(step, "train/loss", step / 4) for step in range(1, last + 1)]


def logged_steps(directory):
    return [int(row["env_step"]) for row in programs.progress(directory)]


def check_complete(directory, last):
    assert programs.scalars(directory) == expected_scalars(last)
    assert logged_steps(directory) == list(range(10, last + 1, 10))


def event_files(directory):
    return sorted(directory.glob("events.out.tfevents.*"))


def test_scalars_by_name_and_step(tmp_path):
    metrics = Metrics(tmp_path)
    metrics.scalars(5, {"eval/mean_reward": 1.5, "model/holdout_mse": 0.25})
    metrics.scalars(2**40, {"eval/mean_reward": -2.0})  # a step beyond 32 bits
    metrics.close()
    assert programs.scalars(tmp_path) == [
        (5, "eval/mean_reward", 1.5),
        (5, "model/holdout_mse", 0.25),
        (2**40, "eval/mean_reward", -2.0),
    ]


def test_flush_makes_scalars_readable(tmp_path):
    metrics = Metrics(tmp_path)
    metrics.scalars(1, {"a": 3.0})
    metrics.flush()
    assert programs.scalars(tmp_path) == [(1, "a", 3.0)]
    metrics.close()


def test_progress_has_every_column(tmp_path):
    metrics = Metrics(tmp_path)
    text = (tmp_path / "progress.csv").read_text()
    assert text == ",".join(PROGRESS_COLUMNS) + "\n"
    assert PROGRESS_COLUMNS[0] == "env_step" and {"mean_return", "mean_length", "q_mean"} < set(
        PROGRESS_COLUMNS
    )
    metrics.progress(1500, {"mean_return": 1 / 3, "q_mean": -2.0, "rollout_length": 15})
    metrics.close()
    (row,) = programs.progress(tmp_path)
    filled = {name: value for name, value in row.items() if value}
    assert filled == {
        "env_step": "1500",
        "mean_return": "0.333333",
        "q_mean": "-2",
        "rollout_length": "15",
    }


def test_progress_is_on_disk_at_once(tmp_path):
    metrics = Metrics(tmp_path)
    metrics.progress(1, {"mean_return": 4.0})
    assert [row["mean_return"] for row in programs.progress(tmp_path)] == ["4"]
    metrics.close()


def test_resume_leaves_neither_gap_nor_overlap(tmp_path):
    record(tmp_path, range(1, 36))
    record(tmp_path, range(24, 48), resume_step=23)
    check_complete(tmp_path, 47)


def test_three_resumes(tmp_path):
    record(tmp_path, range(1, 36))
    record(tmp_path, range(24, 48), resume_step=23)
    record(tmp_path, range(31, 34), resume_step=30)
    record(tmp_path, range(34, 51), resume_step=33)
    check_complete(tmp_path, 50)


def test_resume_at_the_last_step_keeps_everything(tmp_path):
    record(tmp_path, range(1, 31))
    record(tmp_path, [], resume_step=30)
    check_complete(tmp_path, 30)


def test_pictures_histograms_and_sensitivities_are_cut_back_too(tmp_path):
    names = ["angle", "speed, rad/s"]

    def tell(steps, resume_step=0):
        metrics = Metrics(tmp_path, resume_step)
        for step in steps:
            metrics.histograms(step, {"h": np.full([2, 3], step)})
            metrics.images(step, {"i": Picture(b"PNG %d" % step, 4, 3)})
            metrics.sensitivity(step, names, np.array([step / 3, 0.0]))
        metrics.close()
        return metrics

    tell([10, 20, 30])
    metrics = tell([25, 30], resume_step=24)
    pictures = [
        (step, value.tolist()) for step, tag, _, value in programs.summaries(tmp_path) if tag == "i"
    ]
    assert pictures == [(step, [b"4", b"3", b"PNG %d" % step]) for step in (10, 20, 25, 30)]
    counted = [
        (step, value[:, 2].sum())
        for step, tag, _, value in programs.summaries(tmp_path)
        if tag == "h"
    ]
    assert counted == [(step, 6) for step in (10, 20, 25, 30)]
    steps, values = metrics.sensitivities()
    assert steps.tolist() == [10, 20, 25, 30]
    assert values.tolist() == [[3.33333, 0], [6.66667, 0], [8.33333, 0], [10, 0]]
    assert (tmp_path / "value_sensitivity.csv").read_text().splitlines()[
        0
    ] == 'env_step,angle,"speed, rad/s"'


@pytest.mark.parametrize("resume_step", [0, 7])
def test_run_is_described_once_however_often_it_is_continued(tmp_path, resume_step):
    for num_steps in (10, 20, 30):
        metrics = Metrics(tmp_path, resume_step if num_steps > 10 else 0)
        config = Config().replace(num_steps=num_steps)
        metrics.describe(config)
        metrics.scalars(7, {"a": 1.0})
        metrics.close()
    described = [
        (tag, plugin) for step, tag, plugin, _ in programs.summaries(tmp_path) if step == 0
    ]
    assert described == [("_hparams_/session_start_info", "hparams"), ("settings", "text")]
    (text,) = [
        value.item().decode()
        for _, tag, _, value in programs.summaries(tmp_path)
        if tag == "settings"
    ]
    assert "| num_steps | 30 | " in text


def test_run_that_was_killed_before_its_first_checkpoint_starts_over(tmp_path):
    record(tmp_path, range(1, 36))
    record(tmp_path, range(1, 24), resume_step=0)
    check_complete(tmp_path, 23)


@pytest.mark.parametrize(
    "rest", ["3", "30", "30,", "30,60", "30,60,,,,", "\n", "30,60,,,,,,,,,", "20,6,,,,,,,,,,0.9"]
)
def test_half_written_row_is_dropped(tmp_path, rest):
    record(tmp_path, range(1, 29))
    with open(tmp_path / "progress.csv", "a") as file:
        file.write(rest)
    record(tmp_path, range(26, 31), resume_step=25)
    check_complete(tmp_path, 30)


def test_progress_that_lost_even_its_header(tmp_path):
    record(tmp_path, range(1, 6))
    (tmp_path / "progress.csv").write_text("")
    record(tmp_path, range(6, 21), resume_step=5)
    check_complete(tmp_path, 20)


@pytest.mark.parametrize("table", ["progress.csv", "value_sensitivity.csv"])
def test_damaged_table_is_named_and_kept(tmp_path, table):
    record(tmp_path, range(1, 6))
    for damage in (b"\xff\xfe", b"one,two"):
        (tmp_path / table).write_bytes(b"env_step,x\n" + damage + b"\n")
        with pytest.raises(
            ValueError, match=f"{table} is damaged: .*; moved away, the run continues without it"
        ):
            Metrics(tmp_path, resume_step=5)
        assert damage in (tmp_path / table).read_bytes()


def test_progress_that_is_gone_begins_with_its_header(tmp_path):
    record(tmp_path, range(1, 6))
    (tmp_path / "progress.csv").unlink()
    record(tmp_path, range(6, 21), resume_step=5)
    check_complete(tmp_path, 20)


@pytest.mark.parametrize("cut", [1, 7, 20])
def test_half_written_event_is_dropped(tmp_path, cut):
    record(tmp_path, range(1, 29))
    (path,) = event_files(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    record(tmp_path, range(26, 31), resume_step=25)
    check_complete(tmp_path, 30)


def test_event_file_that_is_empty(tmp_path):
    record(tmp_path, range(1, 29))
    (tmp_path / "events.out.tfevents.9999999999.host.1.0.v2").touch()
    record(tmp_path, range(26, 31), resume_step=25)
    check_complete(tmp_path, 30)


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the library catches it."""


def fatal(original, survived):
    """Returns a function that does as many calls as given and then, before the next one, dies."""
    calls = 0

    def function(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls > survived:
            raise Killed
        return original(*args, **kwargs)

    return function


@pytest.mark.parametrize("function", ["os.replace", "pathlib.Path.unlink"])
@pytest.mark.parametrize("survived", range(4))
def test_killed_while_cutting_off(tmp_path, monkeypatch, function, survived):
    """Wherever the cutting off is interrupted, the next one finds every kept record, and finds it
    once.
    """
    record(tmp_path, range(1, 36))
    record(tmp_path, range(24, 34), resume_step=23)
    record(tmp_path, range(29, 34), resume_step=28)
    assert len(event_files(tmp_path)) == 2
    module, _, name = function.rpartition(".")
    owner = __import__("os") if module == "os" else __import__("pathlib").Path
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fatal(getattr(owner, name), survived))
        try:
            Metrics(tmp_path, 31).close()
        except Killed:
            pass
    record(tmp_path, range(32, 41), resume_step=31)
    check_complete(tmp_path, 40)


def test_full_disk_is_an_os_error_of_one_line(tmp_path):
    metrics = Metrics(tmp_path)
    with programs.full_disk(3000):
        with pytest.raises(OSError) as failure:
            for step in range(200):
                metrics.scalars(step, {"train/loss": 1.0})
            metrics.flush()
        with pytest.raises(OSError, match="File too large"):
            for step in range(400):
                metrics.progress(step, {"mean_return": 1.0})
    assert "File too large" in str(failure.value) and "\n" not in str(failure.value)


def test_evaluation_without_its_row_comes_again(tmp_path):
    """Killed between the two: what was logged of the step itself stays."""
    metrics = Metrics(tmp_path)
    metrics.scalars(10, {"eval/mean_reward": 1.0, "train/loss": 2.0})
    metrics.progress(10, {"mean_return": 1.0})
    metrics.scalars(20, {"train/loss": 3.0})
    metrics.scalars(20, {"eval/mean_reward": 4.0})
    metrics.images(20, {"picture": Picture(b"PNG", 4, 3)})
    metrics.close()
    metrics = Metrics(tmp_path, resume_step=20)
    assert metrics.last_evaluation == 10
    metrics.close()
    assert programs.scalars(tmp_path) == [
        (10, "eval/mean_reward", 1.0),
        (10, "train/loss", 2.0),
        (20, "train/loss", 3.0),
    ]
    assert [tag for _, tag, *_ in programs.summaries(tmp_path) if tag == "picture"] == []


def test_tensorboard_that_stays_open_forgets_what_was_cut_off(tmp_path):
    """As `tensorboard --load_fast=false` reads; the other loader goes by the steps."""
    record(tmp_path, range(1, 31))
    board = EventAccumulator(str(tmp_path), tensor_size_guidance={"scalars": 0})

    def seen():
        board.Reload()
        return [event.step for event in board.Tensors("train/loss")]

    assert seen() == list(range(1, 31))
    metrics = Metrics(tmp_path, resume_step=20)
    metrics.flush()
    assert seen() == list(range(1, 21))
    metrics.scalars(21, {"train/loss": 0.0})
    metrics.close()
    assert seen() == list(range(1, 22))


def test_sensitivities_are_none_where_their_table_is_gone(tmp_path):
    env_steps, values = Metrics(tmp_path).sensitivities()
    assert env_steps.shape == (0,) and len(values) == 0
