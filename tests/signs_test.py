"""The signs that value-aware weights pay: hand-made data whose ranks, agreement and dimensions are
known.
"""

import numpy as np
import pytest

from experiments.fits import measured_signs
from vagram_tf.commands.judging import signs
from vagram_tf.commands.judging.signs import Measured, Signs

N, IDLE = 4000, 3


def data(kind, seed=0):
    """Returns observation, action and change of a world of one dimension that matters and three
    that do not.
    """
    generator = np.random.default_rng(seed)
    observation, action = generator.normal(size=(N, 1 + IDLE)), generator.uniform(-1, 1, (N, 1))
    idle = {
        "rotation": observation[:, 1:] @ np.linalg.qr(generator.normal(size=(IDLE, IDLE)))[0],
        "one": np.repeat(observation[:, 1:2], IDLE, axis=1),
        "noise": generator.normal(size=(N, IDLE)),
        "half": observation[:, 1:] + generator.normal(size=(N, IDLE)),
        "still": np.zeros([N, IDLE]),
    }[kind]
    return observation, action, np.concatenate([action, 100.0 * idle], axis=1)


def gradient(*of_critics):
    """Returns `[C, N, D]`: what each critic's gradient is everywhere."""
    return np.stack([np.broadcast_to(each, [N, 1 + IDLE]) for each in of_critics]).astype(
        np.float64
    )


@pytest.mark.parametrize(
    "kind, rank",
    [("rotation", IDLE), ("noise", 0.0), ("one", 1.0), ("half", IDLE / 2), ("still", 0.0)],
)
def test_rank_counts_directions_that_can_be_predicted_and_hardly_matter(kind, rank):
    task_alone = gradient([1.0, 0, 0, 0])
    assert signs.signs(*data(kind), task_alone).rank == pytest.approx(rank, abs=0.06)


def test_what_matters_does_not_count():
    # The task's dimension is the one that hardly matters.
    everything = gradient([1.0, 1e6, 1e6, 1e6])
    # Its change is the action.
    assert signs.signs(*data("half"), everything).rank == pytest.approx(1.0, abs=0.01)


def test_units_do_not_count():
    observation, action, change = data("half")
    scale = np.array([1.0, 1e3, 1.0, 1e-3])
    slope = gradient([1.0, 2e-3, 0, 0], [1.0, 1e-3, 0, 0])
    np.testing.assert_allclose(
        signs.signs(observation * scale, action, change * scale, slope / scale),
        signs.signs(observation, action, change, slope),
        rtol=1e-6,
    )


@pytest.mark.parametrize(
    "other, agreement", [([1.0, 0, 0, 0], 1.0), ([-2.0, 0, 0, 0], -1.0), ([0, 1.0, 0, 0], 0.0)]
)
def test_agreement_is_the_cosine_of_the_critics_gradients(other, agreement):
    assert signs.signs(*data("half"), gradient([1.0, 0, 0, 0], other)).agreement == pytest.approx(
        agreement
    )


def test_dimensions_that_the_value_depends_on():
    observation, action, change = data("half")
    spread = np.std(change, axis=0)
    assert signs.signs(
        observation, action, change, gradient(1.0 / spread)
    ).dimensions == pytest.approx(4.0)
    one = gradient([1.0, 0, 0, 0])
    assert signs.signs(observation, action, change, one).dimensions == pytest.approx(1.0)
    two = gradient(np.array([1.0, 1.0, 0, 0]) / spread)
    assert signs.signs(observation, action, change, two).dimensions == pytest.approx(2.0)


CELLS = [
    Measured("0", "16", 5.0, 0.85, 2.0, 11, 0.7),
    Measured("30 rotation", "64x16", 22.0, 0.84, 20.0, 41, 0.8),
    Measured("30 rotation", "128", 22.0, 0.84, 20.0, 41, 0.75),
]


def test_nearest_cell_is_that_of_alike_signs_and_crowding():
    # Twice the rank in twice the width.
    assert signs.nearest(Signs(40.0, 0.8, 30.0), 32, 60, CELLS) == CELLS[1]
    assert signs.nearest(Signs(22.0, 0.8, 20.0), 256, 41, CELLS) == CELLS[2]
    assert signs.nearest(Signs(4.0, 0.9, 3.0), 8, 12, CELLS) == CELLS[0]


def test_cells_are_read_as_they_were_written(tmp_path):
    measured_signs.save(tmp_path / "signs.csv", CELLS)
    assert signs.read([tmp_path / "signs.csv"]) == CELLS
    assert signs.read([tmp_path / "none.csv"]) == []
    twice = [tmp_path / "signs.csv", tmp_path / "none.csv", tmp_path / "signs.csv"]
    assert signs.read(twice) == [*CELLS, *CELLS]


def test_committed_fit_studies_are_there():
    assert [path.name for path in signs.MEASURED if not path.exists()] == []
