"""Models while their value function is replaced: complete rows, errors as defined, and what is
refused.
"""

import csv

import numpy as np
import pendulum_exports
import pictures
import programs
import pytest
import tensorflow as tf

from experiments.paper import drift
from experiments.paper.drift_models import Models
from experiments.paper.task import LOSSES, DriftRow, read_drift
from vagram_tf.types import Transition

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    for step in (900, 1000):
        pendulum_exports.write(run, step)
    return run


@pytest.fixture(scope="module")
def drawn(run_directory):
    process = programs.program(
        "value_drift",
        [f"--run={run_directory}", "--seeds=2", "--steps=5", "--transitions=20", "--units=4"],
    )
    assert process.returncode == 0, process.stderr
    with open(run_directory / "value_drift.csv", newline="") as file:
        return process.stdout, list(csv.DictReader(file))


def test_rows_are_complete(drawn):
    """Measured when a value function comes, and five times while it is in use."""
    expected = [
        (loss, seed, start + part, step)
        for loss in LOSSES
        for step, start in ((900, 0), (1000, 5))
        for part in range(6)
        for seed in (0, 1)
    ]
    _, rows = drawn
    assert [
        (row["loss"], *(int(row[name]) for name in ("seed", "gradient_step", "value_step")))
        for row in rows
    ] == (expected)
    assert all(float(row["value_error"]) > 0 and float(row["state_error"]) > 0 for row in rows)


def test_models_differ_by_seed_and_begin_alike_with_every_loss(drawn):
    first = {
        (row["loss"], row["seed"]): row["state_error"]
        for row in drawn[1]
        if row["gradient_step"] == "0"
    }
    assert (
        len({first[loss, "0"] for loss in LOSSES}) == 1 and first["mse", "0"] != first["mse", "1"]
    )


def test_a_replacement_changes_the_value_error_alone(drawn):
    by_step = {
        row["value_step"]: row
        for row in drawn[1]
        if row["loss"] == "mse" and row["seed"] == "1" and row["gradient_step"] == "5"
    }
    assert by_step["900"]["state_error"] == by_step["1000"]["state_error"]
    assert by_step["900"]["value_error"] != by_step["1000"]["value_error"]


def test_figure_exists(drawn, run_directory):
    assert (run_directory / "value_drift.png").read_bytes().startswith(b"\x89PNG")
    assert (run_directory / "value_drift.pdf").read_bytes().startswith(b"%PDF")
    assert "under the next V" in drawn[0]


def test_committed_figure_is_that_of_the_committed_data(tmp_path):
    """The picture shows what the data, drawn anew, shows; the table of the docs has the report's
    numbers.
    """
    directory = programs.ROOT / "results" / "value_drift"
    rows = read_drift(directory / "value_drift.csv")
    assert {row.seed for row in rows} == set(range(8)) and {row.loss for row in rows} == set(LOSSES)
    process = programs.program(
        "value_drift", [f"--csv={directory}/value_drift.csv", f"--output={tmp_path}/again"]
    )
    assert process.returncode == 0, process.stderr
    assert drift.summary(rows) in process.stdout
    assert not (tmp_path / "again.csv").exists()
    pictures.check_same(directory / "value_drift.png", tmp_path / "again.png")
    docs = (programs.ROOT / "docs" / "figures.md").read_text()
    for line in drift.summary(rows).strip().splitlines()[1:]:
        name, *errors, jump = line.split()
        assert (
            f"| `{name}` | {' | '.join(f'{float(error):.4f}' for error in errors)} | {jump} |"
            in docs
        )


def test_errors_are_as_defined_and_training_lowers_them():
    rng = np.random.default_rng(0)
    observation, action = rng.normal(size=[200, 2]), rng.uniform(-1, 1, [200, 1])
    data = Transition(
        *(
            tf.constant(field, tf.float32)
            for field in (
                observation,
                action,
                np.zeros(200),
                np.ones(200),
                observation + 0.5 * action,
            )
        )
    )
    weights = tf.constant([2.0, -1.0])
    models = Models("mse", lambda s: tf.linalg.matvec(s, weights), data, count=2, units=8, seed=0)
    models.prepare()
    before = models.errors(data)
    models.train(150)
    after = models.errors(data)
    assert np.all(after.state < 0.5 * before.state) and np.all(after.value < 0.5 * before.value)
    for member in range(2):
        predicted = models._ensemble(
            *(tf.tile(x[None], [2, 1, 1]) for x in data[:2])
        ).next_observation[member]
        error, real = (predicted - data.next_observation).numpy(), data.next_observation.numpy()
        np.testing.assert_allclose(
            after.state[member], np.sqrt(np.mean((error / real.std(axis=0)) ** 2)), rtol=1e-3
        )
        np.testing.assert_allclose(
            after.value[member],
            np.sqrt(np.mean((error @ [2, -1]) ** 2)) / (real @ [2, -1]).std(),
            rtol=1e-3,
        )


def test_summary_is_of_the_ends_and_beginnings():
    rows = [
        DriftRow(loss, seed, step, value, error, state)
        for loss in LOSSES
        for seed in (0, 1)
        for step, value, error, state in (
            (0, 1, 9.0, 9.0),
            (5, 1, 2.0, 4.0),
            (5, 2, 3.0, 4.0),
            (10, 2, 1.0, 6.0),
        )
    ]
    line = [line for line in drift.summary(rows).splitlines() if line.startswith("vagram")][0]
    assert line.split() == ["vagram", "5", "2", "3", "1.50"]


def test_what_is_no_such_run_is_refused_in_one_line(tmp_path):
    pendulum_exports.write(tmp_path / "single", 900)
    pendulum_exports.write(tmp_path / "other", 900, environment="Hopper-v5")
    other = tmp_path / "other.csv"
    other.write_text("loss,seed\nvagram,0\n")
    for arguments, words in [
        ([], "--run is needed"),
        (
            [f"--run={tmp_path}/gone"],
            "holds 0 exports; two or more are needed: train with --export_every",
        ),
        ([f"--run={tmp_path}/single"], "holds 1 exports"),
        (
            [f"--run={tmp_path}/other"],
            "is of Hopper-v5 with 0 distractors; expected is Pendulum-v1 without",
        ),
        ([f"--run={tmp_path}/other", "--seeds=0"], "seeds"),
        ([f"--csv={tmp_path}/gone.csv", f"--output={tmp_path}/again"], "gone.csv"),
        ([f"--csv={other}", f"--output={tmp_path}/again"], "is no table of value_drift"),
        ([f"--csv={other}"], "--csv needs --output"),
        ([f"--csv={other}", "--units=16", "--run=x"], "does not go with --run, --units"),
    ]:
        assert words in programs.refused("value_drift", arguments), arguments
