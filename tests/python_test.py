"""A run that is asked from Python: its live policy, value and model are those that it exports."""

import gymnasium
import numpy as np
import programs
import pytest
import tensorflow as tf

from vagram_tf import Training, plan
from vagram_tf.export.load import check_export, environment_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The finished tiny run, opened once more, and its exports."""
    directory = programs.copied_run(tmp_path_factory.mktemp("runs"))
    exports = [
        tf.saved_model.load(str(directory / "export" / kind / "90"))
        for kind in ("dynamics", "policy")
    ]
    with Training(programs.tiny(), directory.parents[2]) as run:
        yield run, *exports


OBSERVATIONS = np.array([[0.5, -0.5, 1.0], [1.0, 0.0, -2.0]])
ACTIONS = np.array([[1.5], [-3.0]])  # the second is out of bounds


def test_live_policy_and_value(finished):
    run, _, policy = finished
    batch = tf.constant(OBSERVATIONS, tf.float32)
    expected = policy(batch)["action"].numpy()
    np.testing.assert_allclose(run.policy(OBSERVATIONS), expected, rtol=1e-5)
    np.testing.assert_allclose(run.policy(OBSERVATIONS[1].tolist()), expected[1], rtol=1e-5)
    value = policy.value(batch)["value"].numpy()[:2].mean(axis=0)  # both critics, no targets
    np.testing.assert_allclose(run.value(OBSERVATIONS), value, rtol=1e-5)
    assert run.value(OBSERVATIONS[0]).shape == ()


def test_live_model(finished):
    run, dynamics, _ = finished
    expected = dynamics(*(tf.constant(array, tf.float32) for array in (OBSERVATIONS, ACTIONS)))
    found = run.dynamics(OBSERVATIONS, ACTIONS)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6)
    one = run.dynamics(OBSERVATIONS[1], ACTIONS[1])
    np.testing.assert_allclose(one["next_observation"], found["next_observation"][1], rtol=1e-5)
    assert one["terminated"].shape == one["reward"].shape == ()


@pytest.mark.parametrize(
    "method, arguments, words",
    [
        ("policy", ([0.5],), r"observation must be \[3\] or \[B, 3\], got \[1\]"),
        ("value", ([[0.5] * 4],), r"observation must be \[3\] or \[B, 3\], got \[1, 4\]"),
        ("policy", (0.5,), r"observation must be \[3\] or \[B, 3\], got \[\]"),
        ("policy", ([np.nan, 0.0, 0.0],), "observation must be finite"),
        ("dynamics", ([0.0] * 3, [0.0] * 2), r"action must be \[1\] or \[B, 1\], got \[2\]"),
        ("dynamics", (OBSERVATIONS, ACTIONS[0]), "there are 2 observations and 1 actions"),
    ],
)
def test_questions_of_another_shape_are_refused(finished, method, arguments, words):
    with pytest.raises(ValueError, match=words):
        getattr(finished[0], method)(*arguments)


def test_a_run_without_a_model_is_not_asked_for_one(tmp_path):
    with Training(programs.tiny(rollout_model="none"), tmp_path) as run:
        for ask in (lambda: run.dynamics(OBSERVATIONS, ACTIONS), lambda: plan.live(run.dyna)):
            with pytest.raises(ValueError, match="learns no model, with rollout_model='none'"):
                ask()


def test_the_model_is_asked_as_it_is_now(finished):
    run, *_ = finished
    before = run.dynamics(OBSERVATIONS, ACTIONS)["reward"]
    shift = run.dyna.ensemble._target_mean
    shift.assign_add(np.eye(4, dtype=np.float32)[3])  # of the reward, the last of the targets
    after = run.dynamics(OBSERVATIONS, ACTIONS)["reward"]
    shift.assign_sub(np.eye(4, dtype=np.float32)[3])
    np.testing.assert_allclose(after - before, 1.0, rtol=1e-5)


def test_exports_go_where_they_are_told(finished, tmp_path):
    run, dynamics, _ = finished
    exports = run.export(tmp_path / "here")
    assert exports["dynamics"] == tmp_path / "here" / "dynamics" / "90"
    batch = [tf.constant(array, tf.float32) for array in (OBSERVATIONS, ACTIONS)]
    again = tf.saved_model.load(str(exports["dynamics"]))(*batch)
    for name, value in dynamics(*batch).items():
        np.testing.assert_array_equal(again[name], value)


def test_an_environment_of_ones_own_gets_the_distractors_of_the_configuration(tmp_path):
    made = []

    def make():
        made.append(gymnasium.make("programs:Short-v0"))
        return made[-1]

    config = programs.tiny(name="Mine", distractors=2, num_steps=30)
    with Training(config, tmp_path, env=make) as run:
        run.learn(10)
        assert len(run.evaluate().returns) == config.run.eval_episodes
        assert len(made) == 1 + config.run.eval_episodes
        assert run.policy(np.zeros(5)).shape == (1,)
        policy = run.export()["policy"]
    # It may be anything: no program takes another for it.
    with pytest.raises(ValueError, match="no environment is known: .* or of a program's own"):
        environment_of(check_export(policy, "policy"))
    assert run.directory == tmp_path / "Mine" / "vagram" / "0"
