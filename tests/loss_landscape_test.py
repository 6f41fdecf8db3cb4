"""The losses around a state of the pendulum: where they are smallest, and what is refused."""

import re

import numpy as np
import pendulum_exports
import pictures
import programs
import pytest
import tensorflow as tf

from experiments.paper import landscape
from experiments.paper.task import LOSSES, read_landscape


@pytest.fixture(scope="module")
def linear():
    """V = 2 cos + 3 sin - velocity."""
    return landscape.compute(
        lambda s: tf.linalg.matvec(s, tf.constant([2.0, 3.0, -1.0])), 1.0, 2.0, title="linear"
    )


def test_reference_is_the_nearest_point_of_the_grid(linear):
    angle, velocity = linear.reference
    assert angle in linear.angle and velocity in linear.velocity
    assert abs(angle - 1.0) <= np.pi / 100 and abs(velocity - 2.0) < 0.081
    np.testing.assert_allclose(linear.value_gradient, [2, 3, -1], rtol=1e-6)


@pytest.mark.parametrize("name", ["mle", "mse", "vagram"])
def test_one_minimum_at_the_reference(linear, name):
    loss = linear.loss[LOSSES.index(name)]
    row, column = np.unravel_index(np.argmin(loss), loss.shape)
    assert (linear.angle[column], linear.velocity[row]) == tuple(linear.reference)
    good = landscape.valley(loss)
    assert good[row, column] and good.sum() < 30
    rows, columns = np.nonzero(good)
    assert np.abs(rows - row).max() <= 5 and np.abs(columns - column).max() <= 5


@pytest.mark.parametrize("name", ["taylor", "itervaml"])
def test_a_line_of_zeros(linear, name):
    """For a linear V both vanish where 2 cos + 3 sin - velocity is what it is at the reference: for
    all angles.
    """
    loss = linear.loss[LOSSES.index(name)]
    angle, velocity = linear.reference
    line = (
        2 * (np.cos(linear.angle) - np.cos(angle))
        + 3 * (np.sin(linear.angle) - np.sin(angle))
        + velocity
    )
    columns = np.nonzero(np.abs(line) < 8)[0]
    rows = np.abs(linear.velocity[:, np.newaxis] - line[columns]).argmin(axis=0)
    assert len(columns) == 101
    assert np.all(loss[rows, columns] <= 0.08**2 + 1e-4)  # half a step of the grid from the line
    assert landscape.valley(loss).any(axis=0).sum() > 50


def test_values_of_the_losses(linear):
    """At cos 1, sin 0, velocity 0."""
    row, column = 50, 50
    angle, velocity = linear.reference
    e = np.array([1 - np.cos(angle), -np.sin(angle), -velocity])
    g = np.array([2, 3, -1])
    by_loss = dict(zip(LOSSES, linear.loss[:, row, column], strict=True))
    np.testing.assert_allclose(by_loss["mse"], np.mean(e**2), rtol=1e-4)
    np.testing.assert_allclose(by_loss["taylor"], np.sum(g * e) ** 2, rtol=1e-4)
    np.testing.assert_allclose(by_loss["itervaml"], np.sum(g * e) ** 2, rtol=1e-4)
    np.testing.assert_allclose(by_loss["vagram"], np.mean((g * e) ** 2), rtol=1e-4)


@pytest.mark.parametrize(
    "value_function",
    [
        lambda s: 0.0 * s[:, 0],
        lambda s: tf.nn.relu(s[:, 2] - 5.0),  # flat at the state, not everywhere
        lambda s: s[:, 0] * np.nan,
    ],
)
def test_flat_value_function_is_refused(value_function):
    with pytest.raises(
        ValueError,
        match="nothing to draw of .*vagram: the value function is flat around 1 rad, 2 rad",
    ):
        landscape.compute(value_function, 1.0, 2.0, title="")


@pytest.mark.slow
def test_committed_figure_is_that_of_the_committed_data(tmp_path):
    """The picture shows what the data, drawn anew, shows; the table of the docs has the report's
    numbers.
    """
    committed = programs.ROOT / "results" / "loss_landscape" / "loss_landscape"
    process = programs.program(
        "loss_landscape", [f"--npz={committed}.npz", f"--output={tmp_path}/again"]
    )
    assert process.returncode == 0, process.stderr
    assert not (tmp_path / "again.npz").exists()
    pictures.check_same(committed.with_suffix(".png"), tmp_path / "again.png")
    found = read_landscape(committed.with_suffix(".npz"))
    docs = (programs.ROOT / "docs" / "figures.md").read_text()
    for line in landscape.table(found).splitlines():
        if line.split()[:1] and line.split()[0] in LOSSES:
            name, *_, share, _, angle, _, velocity, _ = line.split()
            (row,) = re.findall(rf"\| `{name}` \| (.*rad.*) \|", docs)
            assert f"| {share} %" in row and row.endswith(f"| {angle} rad, {velocity} rad/s")


@pytest.mark.slow
def test_program_draws_an_export(tmp_path):
    export = pendulum_exports.write(tmp_path, 40)
    process = programs.program("loss_landscape", [f"--export={export}", f"--output={tmp_path}/out"])
    assert process.returncode == 0, process.stderr
    found = np.load(tmp_path / "out.npz")
    module = tf.saved_model.load(str(export))
    state = [[np.cos(found["angle"][7]), np.sin(found["angle"][7]), found["velocity"][90]]]
    value = module.value(tf.constant(state, tf.float32))["value"][0, 0]
    np.testing.assert_allclose(found["value"][90, 7], value, rtol=1e-4)
    assert found["loss"].shape == (5, 101, 101) and np.isfinite(found["loss"]).all()
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "out.pdf").read_bytes().startswith(b"%PDF")
    assert [
        line.split()[0]
        for line in process.stdout.splitlines()
        if line.split() and line.split()[0] in LOSSES
    ] == [*LOSSES]


@pytest.mark.slow
def test_what_is_no_policy_of_the_pendulum_is_refused_in_one_line(tmp_path):
    empty = tmp_path / "empty.npz"
    empty.write_bytes(b"")
    other = pendulum_exports.write(tmp_path, 41, environment="InvertedPendulum-v5")
    for arguments, words in [
        ([], "--export is needed"),
        ([f"--export={tmp_path}/nothing"], "is no export: it has no metadata.json"),
        (
            [f"--export={other}"],
            "is of InvertedPendulum-v5 with 0 distractors; expected is Pendulum-v1 without",
        ),
        ([f"--export={other}", "--velocity=9"], "velocity"),
        ([f"--npz={empty}"], "is not what loss_landscape has written"),
        ([f"--npz={empty}", "--angle=1"], "--npz has been computed; it does not go with --angle"),
    ]:
        assert words in programs.refused("loss_landscape", arguments), arguments
