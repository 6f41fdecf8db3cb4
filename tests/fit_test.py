"""Data sets that are collected, and models that are fitted to data alone."""

import json
import shutil

import numpy as np
import programs
import pytest
import tensorflow as tf

import vagram_tf
from vagram_tf import plan
from vagram_tf.commands import fit as command
from vagram_tf.commands.collect import Order as CollectOrder
from vagram_tf.commands.offline import collecting, fitting
from vagram_tf.config import Config, EnvConfig
from vagram_tf.dataset import Dataset
from vagram_tf.envs import tasks
from vagram_tf.envs.adapter import GymnasiumEnvironment
from vagram_tf.envs.recording import random_actions, record
from vagram_tf.export.load import environment_of, newest_of_run, open_export
from vagram_tf.guards import Diverged

pytestmark = pytest.mark.slow

MODEL = {
    name: programs.TINY[name]
    for name in ("model_hidden_units", "members", "elites", "model_batch_size", "max_fit_steps")
}
FLAGS = [
    f"--{name}={','.join(map(str, value)) if isinstance(value, tuple) else value}"
    for name, value in MODEL.items()
]
STEPS, LENGTH = 200, 25  # eight episodes of programs:Short-v0


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("offline")


@pytest.fixture(scope="module")
def run():
    return programs.finished_run()[1]


@pytest.fixture(scope="module")
def collected(run, place):
    """The data set of a policy's sampled actions."""
    output = place / "data.npz"
    process = programs.program(
        "collect", [f"--export={run}", "--sample", f"--steps={STEPS}", f"--output={output}"]
    )
    assert process.returncode == 0, process.stderr
    assert f"{STEPS} steps of 8 episodes, 0 of which terminated" in process.stdout
    return output


@pytest.fixture(scope="module")
def fitted(collected, run, place):
    """A model with a value-aware loss, fitted to it by the program."""
    output = place / "model"
    process = programs.program(
        "fit", [f"--dataset={collected}", f"--values={run}", f"--output={output}", *FLAGS]
    )
    assert process.returncode == 0, process.stderr
    return process, output


@pytest.fixture
def quickly(eagerly, monkeypatch):
    """Fits are not compiled, and exports have no functions: nobody writes them."""
    monkeypatch.setattr("vagram_tf.export.signatures._functions", lambda *_: (None, None))


def countdown(place, steps=60):
    """Collects random steps of programs:Countdown-v0, which terminates and has no known rule."""
    config = EnvConfig("programs:Countdown-v0")
    output = place / f"countdown_{steps}.npz"
    env = tasks.make(config)
    collecting.run(CollectOrder(None, config, False, steps, 0, output, env))
    return Dataset.load(output), env


def order(data, place, env=None, values=None, **settings):
    train, judged = command._split(data, 0.25, seed=0)
    config = Config().replace(**MODEL | settings)
    return command.Order("data.npz", train, judged, config, values, 3, place, env)


def test_collected_steps_are_what_the_environment_does(collected, run):
    data = Dataset.load(collected)
    assert data.environment == open_export(newest_of_run(run, "policy"), "policy").environment
    assert np.flatnonzero(data.last).tolist() == list(range(LENGTH - 1, STEPS, LENGTH))
    assert np.unique(data.episode).tolist() == list(range(STEPS // LENGTH))
    # Pendulum pays by angle, velocity and torque, before each step.
    cos, sin, velocity = data.observation.T
    paid = -(np.arctan2(sin, cos) ** 2 + 0.1 * velocity**2 + 0.001 * data.action[:, 0] ** 2)
    np.testing.assert_allclose(data.reward, paid, atol=1e-4)
    assert np.ptp(data.action) > 0 and (data.action_low, data.action_high) == ([-2.0], [2.0])


def test_random_actions_and_terminations_are_collected(place):
    data, _ = countdown(place)
    assert np.abs(data.action).max() > 1 and abs(data.action.mean()) < 1
    assert (data.terminated == (data.next_observation[:, 0] == 0)).all()
    assert (data.terminated == data.last)[:-1].all() and data.terminated.sum() > 8


def test_episodes_without_an_end_are_left_in_time():
    env = tasks.make(EnvConfig("programs:Countdown-v0"))
    environment = GymnasiumEnvironment(env, 0)
    recording = record(environment, random_actions(environment, 0), 12, longest=2)
    assert recording.last.tolist() == [False, True] * 6
    assert (recording.reward == [1.0, 2.0] * 6).all()


def test_program_says_what_it_has_written_and_writes_nothing_else(fitted):
    process, output = fitted
    assert programs.error_lines(process) == []
    assert sorted(path.name for path in output.iterdir()) == ["export", "fit.json"]
    found = json.loads((output / "fit.json").read_text())
    held_out = found["behaviours"]["held out"]
    assert (found["episodes"], held_out["episodes"]) == (6, 2)  # a fifth of 8, rounded
    assert (found["steps"], held_out["steps"]) == (150, 50)
    assert found["loss"] == "vagram" and found["fit"]["fit_steps"] == MODEL["max_fit_steps"]
    for name, value in found["shares"].items():
        (line,) = [
            line
            for line in process.stdout.splitlines()
            if line.startswith(name) and line.endswith(("of no change", "of always the mean"))
        ]
        assert f"{100 * value:.1f} %" in line
    assert set(found["shares"]) == {"task", "value", "reward"}
    assert f"judged on {held_out['steps']} steps of 2 other episodes" in process.stdout


def test_export_is_read_as_that_of_a_run(fitted, collected, run):
    model = newest_of_run(fitted[1], "dynamics")
    assert model == fitted[1] / "export" / "dynamics" / "0"
    metadata, data = open_export(model, "dynamics").metadata, Dataset.load(collected)
    of_run = open_export(newest_of_run(run, "dynamics"), "dynamics").metadata
    assert metadata.keys() == of_run.keys()
    fit_only = {"termination", "env_step", "mean_return", "config_hash"}
    assert {name for name in metadata if metadata[name] != of_run[name]} <= fit_only
    env = vagram_tf.LearnedEnv(model, horizon=5)
    start, _ = env.reset(seed=0)
    assert (data.observation[data.starts] == start).all(axis=1).any()
    assert env.step(env.action_space.sample())[0].shape == (3,)
    planner = plan.Planner(plan.exported(model, newest_of_run(run, "policy")), "cem", 3, 10, 1)
    assert planner.act(start).shape == (1,)


def test_numbers_are_those_of_the_episodes_that_were_left_out(fitted, collected):
    """Computed anew from the file, the export and the seed."""
    train, judged = command._split(Dataset.load(collected), 0.2, seed=0)
    module = open_export(newest_of_run(fitted[1], "dynamics"), "dynamics").module
    predicted = module(judged.observation, judged.action)
    error = predicted["next_observation"].numpy() - judged.next_observation
    change = judged.observation - judged.next_observation
    share = np.sqrt(np.mean(error**2, axis=0) / np.mean(change**2, axis=0))
    found = json.loads((fitted[1] / "fit.json").read_text())
    assert found["shares"]["task"] == pytest.approx(share.mean(), rel=1e-4)
    wrong = np.sqrt(np.mean((predicted["reward"].numpy() - judged.reward) ** 2))
    assert found["shares"]["reward"] == pytest.approx(wrong / judged.reward.std(), rel=1e-4)
    assert not np.isin(train.episode, judged.episode).any()
    assert len(train.reward) + len(judged.reward) == STEPS


def test_shares_leave_out_what_never_changes():
    found = {
        "dimensions": ["a", "b", "c", "d"],
        "distractors": 1,
        "open_loop": {"error": [[1.0, 3.0, 0.5, 6.0]], "no_change": [[2.0, 4.0, 0.0, 3.0]]},
        "reward": {"error": 1.0, "always_the_mean": 0.0},
        "value": {"error": [1.0, 9.0], "no_change": [4.0, 9.0]},
    }
    shares = fitting.shares(found)
    assert np.isnan(shares.pop("reward"))
    assert shares == {"task": 0.625, "distractors": 2.0, "value": 0.25}


def test_value_functions_are_the_exports_own(run):
    policy = open_export(newest_of_run(run, "policy"), "policy")
    observation = tf.constant(np.random.default_rng(0).normal(size=[5, 3]).astype(np.float32))
    expected = policy.module.value(observation)
    for which, critics in (("critics", (0, 1)), ("targets", (2, 3)), ("all", (0, 1, 2, 3))):
        functions = fitting._value_functions(policy, which)
        assert len(functions) == len(critics)
        for function, critic in zip(functions, critics, strict=True):
            with tf.GradientTape() as tape:
                tape.watch(observation)
                value = function(observation)
            np.testing.assert_array_equal(value, expected["value"][critic])
            gradient = tape.gradient(value, observation)
            np.testing.assert_allclose(gradient, expected["value_gradient"][critic], rtol=1e-4)


def test_losses_that_call_the_critics_at_every_step_are_fitted(quickly, collected, run, tmp_path):
    values = newest_of_run(run, "policy")
    of = order(Dataset.load(collected), tmp_path, values=values, loss="itervaml")
    module, kind, metrics = fitting.fit(of, open_export(values, "policy"))
    assert kind == "learned" and metrics["fit_steps"] == MODEL["max_fit_steps"]
    assert np.isfinite([variable.numpy().sum() for variable in module.variables]).all()


def test_ends_are_learned_where_no_rule_is_known(place, tmp_path):
    data, env = countdown(place, 400)
    of = order(data, tmp_path, env, loss="mse", name="programs:Countdown-v0", max_fit_steps=300)
    fitting.run(of)
    found = json.loads((tmp_path / "fit.json").read_text())
    ended = found["termination"]
    assert found["termination_rule"] == "learned"
    assert ended["true_positives"] > 10 * (ended["false_negatives"] + ended["false_positives"])


def test_known_rule_is_taken(quickly):
    env = tasks.make(EnvConfig("InvertedPendulum-v5"))
    environment = GymnasiumEnvironment(env, 0)
    recording = record(environment, random_actions(environment, 0), 40)
    columns = recording._asdict()
    last = columns.pop("last")
    bounds = {"action_low": env.action_space.low, "action_high": env.action_space.high}
    data = Dataset(**columns, **bounds, episode=np.cumsum(last) - last)
    of = order(data, None, env, loss="mse")
    _, kind, _ = fitting.fit(of, None)
    assert kind == "known"
    assert fitting.fit(of._replace(config=of.config.replace(termination="none")), None)[1] == "none"


def test_data_of_an_unknown_environment_give_a_model_that_says_so(collected, tmp_path):
    data = Dataset.load(collected)
    unknown = Dataset(**{name: getattr(data, name) for name in vars(data) if name != "environment"})
    fitting.run(order(unknown, tmp_path, loss="mle"))
    metadata = open_export(newest_of_run(tmp_path, "dynamics"), "dynamics").metadata
    assert metadata["environment"] is None
    assert metadata["dimension_names"] == ["observation[0]", "observation[1]", "observation[2]"]
    with pytest.raises(ValueError, match="no environment is known"):
        environment_of(metadata)


def test_fit_that_diverges_exports_nothing(quickly, collected, tmp_path):
    of = order(Dataset.load(collected), tmp_path, loss="mse", model_learning_rate=1e30)
    with pytest.raises(Diverged, match="not finite: .*weight_sum"):
        fitting.run(of)
    assert list(tmp_path.iterdir()) == []


def test_a_fit_is_a_function_of_its_seed(quickly, collected, tmp_path):
    data = Dataset.load(collected)

    def weights(seed):
        module, _, _ = fitting.fit(order(data, tmp_path, loss="mse", seed=seed), None)
        return [variable.numpy().tobytes() for variable in module.variables]

    assert weights(1) == weights(1) != weights(2)


def test_what_cannot_be_fitted_is_refused_in_one_line(collected, run, tmp_path):
    data, output = f"--dataset={collected}", f"--output={tmp_path}/out"
    for arguments, words in [
        ([data], "--output is needed"),
        ([data, f"--output={run}"], "exists already"),
        ([data, "--output=/dev/null/out"], "a file is in its way"),
        ([data, output], "--loss=vagram needs value functions: --values names"),
        ([data, output, "--members=0"], "members must be at least 1"),
        ([data, output, "--loss=mse", "--holdout_episodes=1"], "none is left to fit to"),
    ]:
        assert words in programs.refused("fit", arguments), arguments
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"format": 0}, "has export format 0"),
        ({"signatures": {}}, "without the signature 'value'"),
        ({"observation_size": 4}, "values 4 dimensions; the data have 3"),
        ({"environment": "Pendulum-v1"}, "values another environment"),
    ],
)
def test_critics_that_do_not_value_the_data_are_refused(collected, run, tmp_path, changes, words):
    policy = shutil.copytree(newest_of_run(run, "policy"), tmp_path / "policy")
    programs.rewrite_metadata(policy, **changes)
    with pytest.raises(ValueError, match=words):
        command._values(policy, Dataset.load(collected))


def test_critics_of_longer_evaluations_elsewhere_value_the_same_task(collected, run, tmp_path):
    policy = shutil.copytree(newest_of_run(run, "policy"), tmp_path / "policy")
    programs.rewrite_metadata(policy, instances="one", episode_steps=7)
    assert command._values(policy, Dataset.load(collected)) == policy


def test_episodes_are_left_out_by_the_seed(collected):
    data = Dataset.load(collected)
    chosen = [set(command._split(data, 0.25, seed)[1].episode) for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2] and len(chosen[0]) == 2
    assert len(set(command._split(data, 0.0, 0)[1].episode)) == 1  # one at least
    few = data.of_episodes(np.array([0, 1]))
    with pytest.raises(ValueError, match="2 of 2 episodes are to be held out"):
        command._split(few, 1.0, 0)


def test_data_that_are_not_of_their_environment_are_refused(collected, tmp_path):
    data = Dataset.load(collected)
    environment = EnvConfig("Pendulum-v1", distractors=1)
    arrays = {name: getattr(data, name) for name in vars(data) if name != "environment"}
    path = tmp_path / "data.npz"
    Dataset(**arrays, environment=environment).save(path)
    arguments = [f"--dataset={path}", "--loss=mse", f"--output={tmp_path}/out"]
    assert "an observation of the data has the size 3" in programs.refused("fit", arguments)
    assert list(tmp_path.iterdir()) == [path]


def test_value_aware_loss_of_ones_own_is_refused_without_values(collected, tmp_path):
    (tmp_path / "own.py").write_text(
        "import vagram_tf\n\n\n@vagram_tf.register_objective('mine')\n"
        "class Mine(vagram_tf.ValueAware):\n    pass\n"
    )
    process = programs.python(
        *("-m", "experiments.fit", f"--dataset={collected}"),
        *("--loss=own:mine", f"--output={tmp_path}/out"),
        environment={"PYTHONPATH": f"{programs.ROOT / 'tests'}:{tmp_path}"},
    )
    assert process.returncode == 2
    assert programs.error_lines(process) == [
        "error: --loss=own:mine needs value functions: --values names the run, or the exported "
        "policy, that they are taken from"
    ]
    assert not (tmp_path / "out").exists()


def test_minari_is_asked_for_a_local_data_set_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    line = programs.refused("fit", ["--dataset=minari:no/such-v0", f"--output={tmp_path}/out"])
    assert "no local Minari data set no/such-v0" in line or "missing packages: minari" in line
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_collected_is_refused_in_one_line(collected, run, tmp_path):
    output = f"--output={tmp_path}/data.npz"
    for arguments, words in [
        ([f"--output={collected}"], "exists already"),
        ([f"--output={tmp_path}/no/data.npz"], "there is no directory"),
        ([output, "--sample"], "--sample is for the policy of --export"),
        ([output, f"--export={run}", "--distractors=2"], "plays in its own environment"),
    ]:
        assert words in programs.refused("collect", arguments), arguments
    assert list(tmp_path.iterdir()) == []
