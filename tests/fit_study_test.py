"""Models without an agent: the data, the judge, the table, the figure, the program."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pictures
import programs
import pytest
import tensorflow as tf

from experiments.fits import data, figure, judge, table, work
from experiments.fits.data import FitData
from vagram_tf.agent.sac import SoftActorCritic
from vagram_tf.config import AgentConfig, Config, ModelConfig
from vagram_tf.envs import tasks
from vagram_tf.model.splits import held_out
from vagram_tf.types import Transition

D, A, N, M = 3, 1, 40, 12
# How their files begin, transitions at least, states that the simulator was asked about, the task's
# dimensions.
SHIPPED_SIZES = {
    "Hopper-v5": ("hopper", 10_000, 1000, 11),
    "InvertedPendulum-v5": ("inverted_pendulum", 3000, 600, 4),
}
SHIPPED = sorted((programs.ROOT / "experiments" / "fits" / "shipped").glob("*.npz"))
SIZE = table.Size(seeds=2, members=2, steps=3, states=5)


def linear_value(slope):
    return lambda s: tf.linalg.matvec(s, tf.constant(slope, tf.float32))


class Agent:
    """Two critics that are linear: V = 2 s0 - s2 and V = 3 s1."""

    value_functions = [linear_value([2.0, 0.0, -1.0]), linear_value([0.0, 3.0, 0.0])]

    def values_of(self, which):
        return {"critics": self.value_functions}[which]


def transitions(count, seed=0):
    draw = np.random.default_rng(seed).normal
    observation = draw(size=(count, D))
    fields = (
        observation,
        np.tanh(draw(size=(count, A))),
        draw(size=count),
        np.ones(count),
        observation + draw(size=(count, D)),
    )
    return Transition(*(tf.constant(field, tf.float32) for field in fields))


@pytest.fixture
def study():
    """Two task dimensions and one distractor."""
    config = Config().replace(distractors=1, discount=0.5)
    judged = transitions(M, seed=1)._replace(discount=tf.constant([0.0] + [1.0] * (M - 1)))
    return FitData(config, transitions(N), judged, Agent())


# The judge.


def test_a_perfect_prediction_has_no_error(study):
    of = judge.Judge(study)
    target = study.judged.next_observation
    errors = of.errors(tf.stack([target, target]), tf.stack([study.judged.reward] * 2))
    assert list(errors) == [0.0] * 6
    values = np.stack([v(target) for v in Agent.value_functions])
    np.testing.assert_allclose(of.value_spread, values.std(), rtol=1e-5)


def test_errors_by_hand(study):
    judged = study.judged
    error = np.random.default_rng(2).normal(size=(2, M, D)).astype(np.float32)
    wrong_reward = np.random.default_rng(3).normal(size=(2, M)).astype(np.float32)
    errors = judge.Judge(study).errors(
        judged.next_observation + error, judged.reward + wrong_reward
    )
    value = np.stack([2.0 * error[..., 0] - error[..., 2], 3.0 * error[..., 1]], axis=-1)
    discount = 0.5 * judged.discount.numpy()
    change = np.sqrt(np.square(judged.next_observation - judged.observation).mean(axis=0))
    share = np.sqrt(np.square(error).mean(axis=(0, 1))) / change
    np.testing.assert_allclose(errors.value_error, np.sqrt(np.square(value).mean()), rtol=1e-4)
    target = wrong_reward + discount * value.mean(axis=-1)
    np.testing.assert_allclose(errors.target_error, np.sqrt(np.square(target).mean()), rtol=1e-4)
    # The mean over critics; all norms equal: no clip.
    squared_gradient = np.array([2.0**2, 3.0**2, 1.0**2]) / 2
    own = (squared_gradient * np.square(error).mean(axis=(0, 1))).sum()
    np.testing.assert_allclose(errors.own_loss, own, rtol=1e-4)
    np.testing.assert_allclose(errors.task_error, share[:2].mean(), rtol=1e-4)
    np.testing.assert_allclose(errors.distractor_error, share[2], rtol=1e-4)
    np.testing.assert_allclose(
        errors.reward_error, np.sqrt(np.square(wrong_reward).mean()), rtol=1e-4
    )


def test_predicting_no_change_is_an_error_of_one(study):
    no_change = tf.stack([study.judged.observation] * 2)
    errors = judge.Judge(study).errors(no_change, tf.stack([study.judged.reward] * 2))
    np.testing.assert_allclose([errors.task_error, errors.distractor_error], 1.0, rtol=1e-5)


# Data.


def test_data_come_back_from_a_file_to_the_bit(tmp_path):
    config = Config().replace(agent_hidden_units=(4, 4))
    agent = SoftActorCritic(D, A, config.agent, seed=0)
    real = transitions(N)
    follows = [i % 7 != 6 for i in range(N)]  # episodes of seven steps
    after = real.next_observation.numpy()
    after[:-1][follows[:-1]] = real.observation.numpy()[1:][follows[:-1]]
    saved = FitData(
        config, real._replace(next_observation=tf.constant(after)), transitions(M, seed=1), agent
    )
    saved.save(tmp_path / "data.npz")
    loaded = data.load(tmp_path / "data.npz")
    assert loaded.config == config
    for label in ("real", "judged"):
        for field, expected in zip(getattr(loaded, label), getattr(saved, label), strict=True):
            np.testing.assert_array_equal(field, expected)
    for mine, other in zip(loaded.agent.value_functions, agent.value_functions, strict=True):
        np.testing.assert_array_equal(mine(real.observation), other(real.observation))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 damaged", b"no zip file at all"])
def test_a_file_that_holds_something_else_is_named(tmp_path, content):
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(ValueError, match="data.npz is no data of a fit study: "):
        data.load(tmp_path / "data.npz")


@pytest.mark.slow
def test_a_run_gives_its_data_its_critics_and_what_its_simulator_does(tmp_path):
    run = programs.copied_run(tmp_path)
    # The fits of a study hold out what they do by default.
    settings = run / "config.json"
    other = Config.from_json(settings.read_text()).replace(holdout_share=0.5)
    settings.write_text(other.to_json())
    study = data.from_run(run, states=8)
    count = study.real.reward.shape[0]
    assert count == 90 and study.judged.reward.shape[0] == 8
    out = study.real.observation.numpy()[held_out(count, ModelConfig.holdout_share).numpy()]
    env = tasks.make(study.config.env)
    for i, observation in enumerate(study.judged.observation.numpy()):
        assert (out == observation).all(axis=1).any()  # never trained on
        env.reset(seed=0)
        cosine, sine, velocity = observation.astype(float)
        env.unwrapped.state = np.array([np.arctan2(sine, cosine), velocity])
        after, reward, *_ = env.step(2.0 * study.judged.action.numpy()[i])  # of the range [-2, 2]
        np.testing.assert_allclose(study.judged.next_observation[i], after, atol=1e-5)
        np.testing.assert_allclose(study.judged.reward[i], reward, atol=1e-4)
    again = data.from_run(run, states=8)
    np.testing.assert_array_equal(again.judged.action, study.judged.action)


def test_a_directory_that_is_no_run_or_has_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is no run: it has no config.json"):
        data.from_run(tmp_path, states=5)
    (tmp_path / "config.json").write_text(Config().to_json())
    with pytest.raises(ValueError, match="has no checkpoint"):
        data.from_run(tmp_path, states=5)


def test_an_environment_that_does_not_repeat_itself_is_refused():
    config = Config().replace(**{key: value for key, value in programs.TINY.items()})
    real = transitions(5)
    with pytest.raises(data.EnvironmentFault, match="does not repeat itself"):
        list(data._replay(config, real, [0], np.array([0]), np.zeros([1, A])))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_data_are_those_that_they_are_called(path):
    study = data.load(path)
    name, rows, judged, dimensions = SHIPPED_SIZES[study.config.env.name]
    distractors = path.stem.removeprefix(name).strip("_").replace("_", " ")
    assert study.task == ", ".join(filter(None, [study.config.env.name, distractors]))
    assert study.task_dimensions == dimensions and study.real.reward.shape[0] >= rows
    assert study.judged.reward.shape[0] == judged
    assert isinstance(study.config.agent, AgentConfig) and study.config.agent.layer_normalization
    # The simulator's answers: the critics' values of them differ, and those of no change are wrong.
    of = judge.Judge(study)
    nothing = of.errors(study.judged.observation[tf.newaxis], study.judged.reward[tf.newaxis])
    assert 0.05 * of.value_spread < nothing.value_error < of.value_spread


# Cells and rows.


# What an objective is called after: nothing else may set it apart from `vagram`.
CALLED_AFTER = {
    "vagram": {},
    "mle_fixed": {"loss": "mle", "variance_bounds": "fixed"},
    "vagram_agreement": {"value_gradient_weights": "agreement"},
    "vagram_dimension": {"value_gradient_weights": "dimension"},
    "vagram_example": {"value_gradient_weights": "example"},
    "vagram_state": {"model_target": "state"},
    **{name: {"loss": name} for name in ("mle", "mse", "taylor", "itervaml")},
    "calibrated_itervaml": {"loss": "calibrated_itervaml"},
}


def test_every_objective_differs_from_the_defaults_in_what_it_is_called_after_alone():
    base = table.Cell(Path("x"), "vagram", (4,)).model(SIZE)
    assert table.OBJECTIVES.keys() == CALLED_AFTER.keys()
    for name, changes in CALLED_AFTER.items():
        model = table.Cell(Path("x"), name, (4,)).model(SIZE)
        assert {
            field: value for field, value in vars(model).items() if value != getattr(base, field)
        } == changes
    assert (base.members, base.elites, base.max_fit_steps) == (2, 1, 3)


@pytest.mark.parametrize(
    "objectives, widths, message",
    [
        (["konstant"], ["4"], "there is no objective 'konstant'; there are mle"),
        (["mle"], ["4y4"], "--widths must be units joined by x"),
        (["mle"], ["0"], "--widths must be units joined by x"),
        (["mle"], [], "--widths must be units joined by x"),
    ],
)
def test_cells_that_are_none_are_refused(objectives, widths, message):
    with pytest.raises(ValueError, match=message):
        table.cells([Path("x")], objectives, widths)


def row(objective="vagram", width="16", seed=0, task="0", value_error=1.0, own_loss=1.0):
    return table.FitRow(
        f"run_{task}",
        task,
        width,
        objective,
        seed,
        value_error,
        1.0,
        own_loss,
        0.5,
        0.5,
        0.1,
        40.0,
        3,
        1.0,
        2,
        3,
        5,
    )


def test_rows_come_back_from_their_table_and_another_size_is_refused(tmp_path):
    path = tmp_path / "study.csv"
    assert table.read(path, SIZE) == []
    rows = [row(), row("mle", seed=1)]
    table.save(path, rows)
    assert table.read(path, SIZE) == rows
    for other in ({"steps": 4}, {"members": 3}, {"states": 6}):
        with pytest.raises(ValueError, match="another size"):
            table.read(path, SIZE._replace(**other))
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="no table of a fit study"):
        table.read(path, SIZE)


def test_the_table_in_words_has_means_and_standard_errors():
    text = table.summary([row(value_error=1.0), row(value_error=3.0, seed=1)])
    assert "standard deviation of V 40" in text
    assert "vagram" in text and "2 ± 1 " in text


# The figure.


def test_a_ratio_and_its_interval():
    value, low, high = figure.ratio(np.array([1.0, 2.0, 3.0]), np.array([4.0, 4.0, 4.0]))
    assert value == 0.5 and 0.25 <= low < 0.5 < high <= 0.75
    value, low, high = figure.ratio(np.array([1.0]), np.array([4.0]))
    assert value == 0.25 and np.isnan([low, high]).all()


def test_the_figure_shows_vagram_against_every_other(monkeypatch):
    rows = [
        row(objective, width, seed, kind)
        for objective in ("vagram", "mle", "mse")
        for width in ("16", "32x32")
        for seed in (0, 1)
        for kind in ("Hopper-v5", "Hopper-v5, 30 rotation")
    ]
    figures = pictures.captured(monkeypatch)
    figure.draw(rows, "study")
    texts = pictures.texts(figures.pop("study"))
    assert {"value error: vagram / mle", "own loss: vagram / mse"} < set(texts)
    assert {"Hopper-v5", "Hopper-v5 30 rotation distractors"} < set(texts)
    assert figure.draw([row("mle")], "none") == [] and not figures


# The work.


@pytest.mark.slow
def test_a_study_continues_where_it_is_and_keeps_what_else_the_table_holds(tmp_path):
    cells = table.cells(SHIPPED[:1], ["mse", "vagram"], ["4"])
    path = tmp_path / "study.csv"
    with work.workers(1) as pool:
        rows = work.run(cells[:1], SIZE, pool, [], path)
        more = work.run(cells[1:], SIZE._replace(seeds=1), pool, table.read(path, SIZE), path)
        text = path.read_text()
        assert work.run(cells[:1], SIZE, pool, table.read(path, SIZE), path)
    assert [(r.source, r.task, r.width, r.objective, r.seed) for r in rows] == [
        ("hopper", "Hopper-v5", "4", "mse", seed) for seed in (0, 1)
    ]
    assert all(np.isfinite(r.value_error) and r.fit_steps == 3 for r in rows) and rows[0] != rows[1]
    assert [(r.objective, r.seed) for r in more] == [("mse", 0), ("mse", 1), ("vagram", 0)]
    assert path.read_text() == text
    table.save(path, rows)
    assert text.startswith(path.read_text())


def test_workers_end_with_the_study_even_if_it_is_killed():
    script = (
        "import os, time; from experiments.fits import work\n"
        "if __name__ == '__main__':\n"
        "    pool = work.workers(1); print(pool.submit(os.getpid).result(), flush=True); "
        "time.sleep(60)"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=programs.ROOT, stdout=subprocess.PIPE, text=True) as study:
        worker = int(study.stdout.readline())
        assert Path(f"/proc/{worker}").exists()
        study.kill()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{worker}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_quick_is_a_small_part():
    code = (
        "from absl import flags; from experiments import fit_study; fit_study.define(); "
        "flags.FLAGS(['fit_study', '--quick']); order = fit_study.check(); "
        "print(len(order.cells), order.size.seeds, order.size.steps)"
    )
    process = programs.python("-c", code)
    sources, widths, objectives = 4, 2, 3
    assert process.stdout.split() == [str(sources * widths * objectives), "2", "200"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--source=nowhere"], "--source=nowhere is neither a run's directory"),
        (["--objectives=konstant"], "there is no objective 'konstant'"),
        (
            ["--quick", "--seeds=3"],
            "--quick chooses seeds, steps, widths, objectives itself; leave out --seeds",
        ),
        (["--keep=here.npz"], "--keep takes one --source"),
        (["--output=no/such/place"], "there is no directory no/such"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(arguments, message):
    assert message in programs.refused("fit_study", arguments)


@pytest.mark.parametrize("name", ["fit_study", "others"])
def test_the_committed_figure_is_of_the_committed_table(name, tmp_path):
    folder = programs.ROOT / "results" / "fit_study"
    rows = table.read(
        folder / f"{name}.csv", table.Size(seeds=5, members=3, steps=2000, states=1000)
    )
    assert {row.task for row in rows} == {
        "Hopper-v5",
        "Hopper-v5, 15 nonlinear",
        "Hopper-v5, 30 rotation",
        "InvertedPendulum-v5, 10 rotation",
    }
    assert {row.seed for row in rows} == set(range(5))
    figure.draw(rows, str(tmp_path / "again"))
    pictures.check_same(folder / f"{name}.png", tmp_path / "again.png")
