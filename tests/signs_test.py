"""The signs that value-aware weights pay: hand-made data whose ranks, agreement and dimensions are
known.
"""

import numpy as np
import programs
import pytest
from scipy import stats

from experiments.fits import measured_signs
from experiments.fits.table import FitRow
from vagram_tf import files
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
    Measured("0", "16", 5.0, 0.85, 2.0, 11, 0.9, 0.7),
    Measured("30 rotation", "64x16", 22.0, 0.84, 20.0, 41, 0.6, 0.8),
    Measured("30 rotation", "128", 22.0, 0.84, 20.0, 41, 0.65, 0.75),
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


@pytest.mark.parametrize("path", signs.MEASURED, ids=lambda path: path.stem)
def test_committed_shares_are_those_of_the_committed_fits(path):
    table = path.with_name(path.name.replace("_signs", ""))
    rows = files.read_csv(table, FitRow, "a fit study")
    of_source = {row.source: (Signs(0.0, 0.0, 0.0), 0) for row in rows}
    again, committed = measured_signs.measured(rows, of_source), signs.read([path])
    assert len(again) == len(committed)
    for mine, theirs in zip(again, committed, strict=True):
        assert (mine.task, mine.width) == (theirs.task, theirs.width)
        assert (mine.of_mse, mine.of_mle) == pytest.approx((theirs.of_mse, theirs.of_mle), rel=1e-3)


def test_shares_of_a_study_by_hand():
    def row(objective, value_error):
        named = {"source": "data", "task": "Task-v0", "width": "4", "objective": objective}
        return FitRow(**dict.fromkeys(FitRow._fields, 0) | named | {"value_error": value_error})

    rows = [row("vagram", 1.0), row("vagram", 3.0), row("mse", 4.0), row("mle", 8.0)]
    of_source = {"data": (Signs(5.0, 0.5, 2.0), 11)}
    assert measured_signs.measured(rows, of_source) == [
        Measured("Task-v0", "4", 5.0, 0.5, 2.0, 11, 0.5, 0.25)
    ]
    assert measured_signs.measured(rows[:3], of_source) == []


WHEN = (programs.ROOT / "docs" / "when.md").read_text()


@pytest.mark.parametrize(
    "share, sentence",
    [("of_mse", "by `mse`: {}, {} and {}."), ("of_mle", "by `mle`: {}, {} and {}.")],
)
def test_page_says_how_the_signs_go_with_value_errors(share, sentence):
    cells = signs.read(signs.MEASURED)
    assert f"Over the {len(cells)} cells" in WHEN
    numbers = [
        [(cell.rank + 1) / signs.narrowest(cell.width) for cell in cells],
        [cell.dimensions / cell.of_dimensions for cell in cells],
        [cell.agreement for cell in cells],
    ]
    errors = [getattr(cell, share) for cell in cells]
    of_ranks = [f"{stats.spearmanr(of, errors).statistic:.2f}" for of in numbers]
    assert sentence.format(*of_ranks) in WHEN


@pytest.mark.parametrize("share, loss", [("of_mse", "mse"), ("of_mle", "mle")])
def test_page_says_how_well_the_nearest_cell_of_other_data_tells(share, loss):
    """Data are told apart by their signs; tasks by what their names begin with."""

    def factors(group):
        nearest, mean = [], []
        cells = signs.read(signs.MEASURED)
        for cell in cells:
            others = [other for other in cells if group(other) != group(cell)]
            of = Signs(cell.rank, cell.agreement, cell.dimensions)
            like = signs.nearest(of, signs.narrowest(cell.width), cell.of_dimensions, others)
            true = np.log(getattr(cell, share))
            nearest.append(true - np.log(getattr(like, share)))
            mean.append(true - np.mean([np.log(getattr(other, share)) for other in others]))
        return [f"{np.exp(np.sqrt(np.mean(np.square(of)))):.2f}" for of in (nearest, mean)]

    data, tasks = factors(lambda cell: cell.rank), factors(lambda cell: cell.task.split(",")[0])
    assert "| `{}` | {} | {} | {} | {} |".format(loss, *data, *tasks) in WHEN
