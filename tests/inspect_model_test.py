"""The judgement of a model, as a program: what it plays, what it writes, and what it refuses."""

import json
import math
import shutil

import numpy as np
import programs
import pytest
import tensorflow as tf
from PIL import Image

from vagram_tf.commands.judging import signs
from vagram_tf.commands.judging.model import table
from vagram_tf.commands.judging.steps import collect
from vagram_tf.config import EnvConfig
from vagram_tf.envs import tasks
from vagram_tf.export.load import Export, open_export
from vagram_tf.replay import ReplayBuffer

pytestmark = pytest.mark.slow

STEPS, HORIZON = 60, 30  # episodes of 25 steps: 25, 25 and 10


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A copy of the finished run that is written into."""
    _, directory = programs.finished_run()
    return shutil.copytree(directory, tmp_path_factory.mktemp("run") / "0")


@pytest.fixture(scope="module")
def inspected(run):
    process = programs.program(
        "inspect_model", [f"--export={run}", f"--steps={STEPS}", f"--horizon={HORIZON}"]
    )
    assert process.returncode == 0, process.stderr
    return process, run / "inspect" / "90"


def test_report_is_beside_the_run_and_nothing_else_is_said(inspected):
    process, output = inspected
    assert sorted(path.name for path in output.iterdir()) == [
        "inspect.json",
        "inspect.pdf",
        "inspect.png",
    ]
    (line,) = programs.error_lines(process)
    assert line.startswith("planner, episode 1 of 1: ")
    assert process.stdout.startswith(
        f"export   {output.parents[1] / 'export' / 'dynamics' / '90'}\n"
    )
    assert str(output.name) in process.stdout and "inspect.png" in process.stdout


def test_numbers_are_of_the_steps_that_were_played(inspected):
    report = json.loads((inspected[1] / "inspect.json").read_text())
    assert report["environment"] == "programs:Short-v0" and report["horizon"] == HORIZON
    assert [(name, of["steps"], of["episodes"]) for name, of in report["behaviours"].items()] == [
        ("greedy", STEPS, 3),
        ("sampled", STEPS, 3),
        ("random", STEPS, 3),
    ]
    count = [sum(max(length - k, 0) for length in 3 * (25, 25, 10)) for k in range(HORIZON)]
    assert report["open_loop"]["count"] == count and count[-1] == 0
    assert [
        row
        for row, n in zip(report["open_loop"]["error"], count, strict=True)
        if (None in row) != (n == 0)
    ] == []
    assert report["termination"] == {  # Pendulum has no end
        "true_positives": 0,
        "false_positives": 0,
        "false_negatives": 0,
        "true_negatives": 3 * STEPS,
    }
    assert sum(report["value_gradient"]["share"]) == pytest.approx(1.0)
    assert all(0 <= x <= 1 for level in report["calibration"]["coverage"] for x in level)


def test_table_shows_the_numbers_by_name(inspected):
    process, output = inspected
    report = json.loads((output / "inspect.json").read_text())
    for d, name in enumerate(report["dimensions"]):
        (line,) = [line for line in process.stdout.splitlines() if line.startswith(name)]
        assert f"{report['open_loop']['error'][0][d]:.2g}" in line
        assert f"{100 * report['value_gradient']['share'][d]:.1f} %" in line
    assert f"25 steps{'':>3}no change" in process.stdout  # no episode is longer


def test_planner_is_beside_the_policy(inspected):
    process, output = inspected
    planned = json.loads((output / "inspect.json").read_text())["planner"]
    assert len(planned["returns"]) == len(planned["policy"]["returns"]) == 1
    means = (of["return"]["mean"] for of in (planned, planned["policy"]))
    row = "planner      return {:.4g} over 1 episode; of the policy {:.4g}".format(*means)
    assert row in process.stdout.splitlines()


def test_signs_are_of_all_that_the_run_has_learned_from(inspected, run):
    process, output = inspected
    found = json.loads((output / "inspect.json").read_text())["signs"]
    assert found["of_the_run"] and found["steps"] == 90
    of = signs.Signs(found["rank"], found["agreement"], found["dimensions"])
    real = ReplayBuffer.read(run / "checkpoints" / "90" / "real.npy", 3, 1).all()
    critics = open_export(run / "export" / "policy" / "90", "policy").module.value(
        real.next_observation
    )["value_gradient"][:2]
    change = real.next_observation - real.observation
    expected = signs.signs(
        real.observation.numpy(), real.action.numpy(), change.numpy(), critics.numpy()
    )
    assert of == pytest.approx(expected)
    assert 0 <= of.rank <= 3 and -1 <= of.agreement <= 1 and 1 <= of.dimensions <= 3
    assert "Of the 90 steps from which the run has learned:" in process.stdout
    assert f"{of.rank:.1f} predictable directions" in process.stdout


def test_nearest_cell_of_the_fit_study_is_told(inspected):
    process, output = inspected
    found = json.loads((output / "inspect.json").read_text())["signs"]
    assert found["narrowest_layer"] == programs.TINY["model_hidden_units"][0]
    nearest = found["nearest"]
    of = signs.Signs(found["rank"], found["agreement"], found["dimensions"])
    assert nearest == signs.nearest(of, 16, 3, signs.read(signs.MEASURED))._asdict()
    assert (
        f"there vagram had {nearest['of_mse']:.2f} of the value error of mse and "
        f"{nearest['of_mle']:.2f} of that of mle" in process.stdout
    )


@pytest.mark.parametrize("why", ["gone", "damaged"])
def test_signs_without_the_runs_own_steps_are_of_those_that_are_played(run, tmp_path, why):
    """An export beside no checkpoint, or beside one that is not whole."""
    copy = shutil.copytree(run, tmp_path / "run")
    if why == "gone":
        shutil.rmtree(copy / "checkpoints")
    else:
        (copy / "checkpoints" / "90" / "real.npy").write_bytes(b"")
    process = programs.program(
        "inspect_model", [f"--export={copy}", "--steps=10", "--horizon=2", "--planner_episodes=0"]
    )
    assert process.returncode == 0, process.stderr
    assert "Of the 30 steps played here:" in process.stdout
    found = json.loads((copy / "inspect" / "90" / "inspect.json").read_text())["signs"]
    assert not found["of_the_run"] and found["steps"] == 30


def test_table_of_an_export_that_does_not_tell_its_layers(inspected):
    report = json.loads((inspected[1] / "inspect.json").read_text())
    told = {**report, "signs": {**report["signs"], "narrowest_layer": None, "nearest": None}}
    assert table(told).splitlines()[-3].endswith("predictable directions that hardly matter")


def test_figure_is_a_picture(inspected):
    with Image.open(inspected[1] / "inspect.png") as picture:
        assert picture.format == "PNG" and min(picture.size) > 500
        assert np.asarray(picture.convert("L")).std() > 10


def test_same_seed_same_bytes(inspected, run, tmp_path):
    again = programs.program(
        "inspect_model",
        [
            f"--export={run}/export/dynamics/90",
            f"--policy={run}/export/policy/90",
            f"--output={tmp_path}",
            f"--steps={STEPS}",
            f"--horizon={HORIZON}",
            "--seed=0",
        ],
    )
    assert again.returncode == 0, again.stderr
    for name in ("inspect.json", "inspect.pdf", "inspect.png"):
        assert (tmp_path / name).read_bytes() == (inspected[1] / name).read_bytes()


def test_episodes_without_an_end_are_left_as_evaluations_leave_them(monkeypatch):
    config = EnvConfig("programs:Countdown-v0", episode_steps=2)
    env = tasks.make(config)
    monkeypatch.setattr(tasks, "time_limit", lambda env: None)
    steps = collect(env, config, Export(Policy(), {}), 6, seed=1)
    assert np.flatnonzero(steps.last[:6]).tolist() == [1, 3, 5]


class Policy:
    """Pushes with 1, or as its seed's second number says."""

    def __call__(self, observation):
        return {"action": tf.ones([1, 1])}

    def sample(self, observation, seed):
        return {"action": tf.cast(seed[tf.newaxis, 1:], tf.float32) / 10}


def test_steps_are_real_and_in_the_environments_units():
    config = EnvConfig("programs:Countdown-v0")
    steps = collect(tasks.make(config), config, Export(Policy(), {}), 12, seed=1)
    assert steps.behaviour.tolist() == ["greedy"] * 12 + ["sampled"] * 12 + ["random"] * 12
    assert steps.action[:12, 0].tolist() == [1.0] * 12
    np.testing.assert_allclose(steps.action[12:24, 0], np.arange(12) / 10)
    assert 1 < np.abs(steps.action[24:]).max() <= 2  # uniform in [-2, 2]
    # It counts down by 1, pays 1, 2, 3, ..., and ends at 0.
    assert (steps.next_observation == steps.observation - 1).all()
    assert (
        steps.terminated == (steps.next_observation[:, 0] == 0)
    ).all() and steps.terminated.any()
    assert (steps.last == steps.terminated)[
        [i for i in range(36) if i % 12 != 11]
    ].all() and steps.last[11::12].all()
    for i in range(1, 36):
        assert steps.reward[i] == (1 if steps.last[i - 1] else steps.reward[i - 1] + 1)


def test_time_limit_is_no_termination(run):
    policy = open_export(run / "export/policy/90", "policy")
    steps = collect(tasks.make(policy.environment), policy.environment, policy, 30, seed=0)
    assert np.flatnonzero(steps.last).tolist() == [24, 29, 54, 59, 84, 89]
    assert not steps.terminated.any()


def test_table_of_a_model_that_has_exploded(inspected):
    """Numbers that are no numbers are shown as such and never divided by."""
    report = json.loads((inspected[1] / "inspect.json").read_text())
    report["open_loop"]["error"][24][0] = math.inf
    report["open_loop"]["no_change"][0][1] = 0.0
    first, second = [
        line
        for line in table(report).splitlines()
        if line.startswith(tuple(report["dimensions"][:2]))
    ]
    assert "inf" in first and "–" in first and "–" in second


def test_what_is_no_model_of_a_run_is_refused_in_one_line(run, tmp_path):
    model = run / "export" / "dynamics" / "90"
    moved = shutil.copytree(model, tmp_path / "moved")
    gone = shutil.copytree(model, tmp_path / "gone")
    programs.rewrite_metadata(gone, environment="nosuchmodule:Gone-v0")
    other = shutil.copytree(model, tmp_path / "other")
    programs.rewrite_metadata(other, format=2)
    for arguments, words in [
        ([], "--export is needed"),
        ([f"--export={tmp_path}/nothing"], "is no export: it has no metadata.json"),
        (
            [f"--export={run}/export/policy/90"],
            "is an export of kind 'policy'; expected is 'dynamics'",
        ),
        ([f"--export={other}"], "has export format 2"),
        ([f"--export={moved}"], "is not in a run's directory, so --policy and --output are needed"),
        (
            [f"--export={model}", f"--policy={model}"],
            "is an export of kind 'dynamics'; expected is 'policy'",
        ),
        (
            [f"--export={gone}", f"--policy={run}/export/policy/90", f"--output={tmp_path}/out"],
            "another environment",
        ),
        ([f"--export={model}", "--horizon=0"], "horizon"),
        ([f"--export={model}", "--output=/dev/null/out"], "Not a directory"),
    ]:
        assert words in programs.refused("inspect_model", arguments), arguments
