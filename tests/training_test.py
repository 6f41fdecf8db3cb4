"""The run around the loop: when it evaluates, saves, exports and stops. The loop's own work is
replaced by sums.
"""

import itertools
import json
import shutil

import numpy as np
import programs
import pytest

from vagram_tf import versions
from vagram_tf.dyna import Dyna
from vagram_tf.envs import rendering
from vagram_tf.envs.adapter import EnvironmentFault
from vagram_tf.guards import Diverged
from vagram_tf.run.directory import RunDirectory
from vagram_tf.run.training import Training

pytestmark = pytest.mark.slow

# 20 random steps, then 30 training steps: environment steps 21 to 50.
SETTINGS = {
    "random_steps": 20,
    "num_steps": 30,
    "eval_every": 10,
    "checkpoint_every": 15,
    "export_every": 20,
    "distractors": 2,
}


@pytest.fixture(autouse=True, scope="module")
def cheap_work():
    """No fit, no rollouts, no updates: nothing is compiled. Exports have no functions and are one
      file: `export_test` has the real ones.

    The video is one picture: `tensorboard_test` has a real one.
    """

    def save(module, directory, metadata):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "metadata.json").write_text(json.dumps(metadata))
        return directory

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dyna, "_fit", lambda self: {"model/holdout_mse": self.env_step / 8})
        patch.setattr(Dyna, "_imagine", lambda self: {"model/rollout_length": 1})
        patch.setattr(
            Dyna,
            "_improve",
            lambda self: {"train/critic_loss": self.env_step / 4, "train/q_mean": 1.0},
        )
        patch.setattr("vagram_tf.run.logbook._LOG_EVERY", 10)
        patch.setattr("vagram_tf.run.logbook._DRAW_EVERY", 20)
        patch.setattr("vagram_tf.export.signatures._functions", lambda *_: (None, None))
        patch.setattr("vagram_tf.run.exports.save", save)
        patch.setattr(
            rendering,
            "rollout_frames",
            lambda *_: rendering.Video(np.zeros([1, 4, 4, 3], np.uint8), 10),
        )
        yield


class Run:
    """One process's share of a run: builds it, takes its steps, and ends."""

    def __init__(self, workdir, **changes):
        self.config = programs.tiny(**SETTINGS | changes)
        directory = RunDirectory(workdir, self.config)
        self.path = directory.path
        self.training = Training(self.config, directory)
        self.steps = []

    def go(self, stop_at=None):
        def note(training):
            self.steps.append(training.env_step)
            return training.env_step == stop_at

        with self.training as training:
            return training.learn(callback=note)

    def abandon(self):
        """Ends without a word, as a killed process does."""
        self.training.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run."""
    run = Run(tmp_path_factory.mktemp("whole"))
    run.go()
    return run


def checkpoints(path):
    return sorted(int(p.name) for p in (path / "checkpoints").iterdir() if p.is_dir())


def exports(path):
    return {
        kind: sorted(int(p.name) for p in (path / "export" / kind).iterdir())
        for kind in ("dynamics", "policy")
    }


def evaluated(path):
    return [int(row["env_step"]) for row in programs.progress(path)]


def test_cadence(whole):
    run = whole
    assert run.steps == list(range(1, 51))
    assert run.training.done
    assert evaluated(run.path) == [30, 40, 50]
    assert checkpoints(run.path) == [45, 50]
    assert exports(run.path) == {"dynamics": [40, 50], "policy": [40, 50]}
    assert run.training.exports == {
        kind: run.path / "export" / kind / "50"
        for kind in ("dynamics", "policy", "tf_agents_policy")
    }


def test_last_step_is_evaluated_saved_and_exported_whatever_the_cadence(tmp_path):
    run = Run(tmp_path, eval_every=1000, checkpoint_every=0, export_every=0, num_steps=7)
    run.go()
    assert evaluated(run.path) == checkpoints(run.path) == [27]
    assert exports(run.path) == {"dynamics": [27], "policy": [27]}
    assert run.training.evaluation.returns.shape == (2,)


def test_without_a_model_the_policy_alone_is_exported_and_no_model_is_drawn(tmp_path):
    run = Run(tmp_path, rollout_model="none", num_steps=20, video_steps=0)
    assert sorted(run.go().exports) == ["policy", "tf_agents_policy"]
    assert not (run.path / "export" / "dynamics").exists()
    assert {row["model_holdout_mse"] for row in programs.progress(run.path)} == {""}
    assert not any(
        tag.startswith(("model/", "value_gradient/")) for _, tag, *_ in programs.summaries(run.path)
    )


def test_saves_while_exploring_but_does_not_evaluate(tmp_path):
    run = Run(tmp_path, checkpoint_every=4, eval_every=4)
    stopped = run.go(stop_at=9)
    assert not stopped.done and stopped.exports == {} and stopped.evaluation is None
    assert checkpoints(run.path) == [8, 9]
    assert evaluated(run.path) == []


def test_progress_repeats_the_evaluation_and_the_latest_metrics(whole):
    run = whole
    row = programs.progress(run.path)[-1]
    returns, lengths = run.training.evaluation
    assert float(row["mean_return"]) == pytest.approx(returns.mean(), rel=1e-5)
    assert float(row["stddev_return"]) == pytest.approx(returns.std(), rel=1e-5)
    assert float(row["mean_length"]) == lengths.mean() == 25
    assert float(row["critic_loss"]) == 50 / 4
    assert float(row["model_holdout_mse"]) == 40 / 8  # the fit before step 41
    assert row["temperature"] == ""
    logged = {(step, tag): value for step, tag, value in programs.scalars(run.path)}
    assert logged[50, "eval/mean_reward"] == pytest.approx(returns.mean(), rel=1e-5)
    assert logged[50, "eval/mean_ep_length"] == 25


def test_scalars_against_environment_steps(whole):
    steps = {}
    for step, tag, _ in programs.scalars(whole.path):
        steps.setdefault(tag, []).append(step)
    assert steps["train/critic_loss"] == [30, 40, 50]
    assert steps["time/fps"] == [10, 20, 30, 40, 50]
    assert steps["model/holdout_mse"] == [21, 41]
    # From the first episode's end.
    assert steps["rollout/ep_rew_mean"] == steps["rollout/ep_len_mean"] == [30, 40, 50]
    assert steps["eval/mean_reward"] == steps["eval/std_reward"] == [30, 40, 50]


def test_pictures_and_distributions_against_environment_steps(whole):
    steps = {}
    for step, tag, plugin, _ in programs.summaries(whole.path):
        if plugin in ("images", "histograms"):
            steps.setdefault(tag, []).append(step)
    fits, drawn = [21, 41], [40, 50]  # every 20 steps, and at the end
    assert steps == {
        "train/value": fits,
        "value_gradient/norms": fits,
        "model/member_errors": fits,
        "value_gradient/sensitivity": drawn,
        "model/open_loop": drawn,
        "video/policy": [50],
    }
    rows = (whole.path / "value_sensitivity.csv").read_text().splitlines()
    assert rows[0] == "env_step," + ",".join(whole.training.dyna.dimension_names)
    assert [int(row.split(",")[0]) for row in rows[1:]] == fits


def test_video_that_cannot_be_drawn_costs_one_line(tmp_path, monkeypatch, caplog):
    def fail(*_):
        raise rendering.RenderingUnavailable("there is no OpenGL")

    monkeypatch.setattr(rendering, "rollout_frames", fail)
    run = Run(tmp_path)
    assert run.go().done
    said = [record.getMessage() for record in caplog.records]
    assert [line for line in said if "threads" not in line] == [
        "no video of the policy: there is no OpenGL"
    ]
    shown = {tag for _, tag, plugin, _ in programs.summaries(run.path) if plugin == "images"}
    assert shown == {"value_gradient/sensitivity", "model/open_loop"}


def test_stopped_and_continued_equals_uninterrupted(whole, tmp_path):
    for stop_at in (7, 33, 40, 50):
        part = Run(tmp_path)
        assert part.go(stop_at).done == (stop_at == 50)
        assert checkpoints(part.path)[-1] == stop_at
        if stop_at == 33:  # asked to stop while it starts again
            part = Run(tmp_path)
            with part.training as training:
                assert training.learn(stop=lambda: True).env_step == 33
            assert checkpoints(part.path)[-1] == 33
    check_equal(part.path, whole.path)


def test_killed_and_continued_equals_uninterrupted(whole, tmp_path):
    resumed = []
    for killed_at in (13, 44, 46):
        part = Run(tmp_path)
        resumed.append(part.training.resumed_step)

        def killed(training, step=killed_at):
            if training.env_step == step:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            part.training.learn(callback=killed)
        part.abandon()
    assert resumed == [0, 0, 30]
    part = Run(tmp_path)
    assert part.training.resumed_step == 45
    assert part.go().done and part.steps == [46, 47, 48, 49, 50]
    check_equal(part.path, whole.path)


def check_equal(path, expected):
    assert programs.different_logs(path, expected) == []
    state = programs.variables(path / "checkpoints" / "50" / "state")
    assert state == programs.variables(expected / "checkpoints" / "50" / "state")
    assert exports(path) == exports(expected)


def test_complete_run_started_again_changes_nothing_but_evaluates(whole, tmp_path):
    first = whole.training
    shutil.copytree(whole.path.parents[2], tmp_path, dirs_exist_ok=True)
    run = Run(tmp_path)
    before, logged = (run.path / "progress.csv").read_bytes(), programs.scalars(run.path)
    outcome = run.go()
    assert outcome.done and run.steps == []
    assert outcome.evaluation.returns.tolist() == first.evaluation.returns.tolist()
    assert exports(run.path) == exports(whole.path)
    assert (run.path / "progress.csv").read_bytes() == before and programs.scalars(
        run.path
    ) == logged


def test_learns_in_parts_as_in_one(whole, tmp_path):
    """In one process: each part goes on where the one before has ended, and leaves a checkpoint."""
    run = Run(tmp_path)
    with run.training as training:
        for steps, end in ((7, 7), (0, 7), (26, 33)):
            assert training.learn(steps).env_step == end and not training.done
            assert checkpoints(run.path)[-1] == end
        before = training.evaluate()
        assert training.evaluate().returns.tolist() == before.returns.tolist()
        assert training.learn().done
    check_equal(run.path, whole.path)


def third_time_at(training, env_step):
    """Returns what is true when it is asked a third time at a step: inside of its evaluation."""
    asked = itertools.count()
    return lambda: training.env_step == env_step and next(asked) >= 2


def test_what_a_step_owes_is_done_when_it_is_continued(whole, tmp_path):
    """Killed inside the evaluation of step 30, stopped inside that of 40 and that of the end."""
    run = Run(tmp_path)
    with run.training as training:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("vagram_tf.envs.run_environments.evaluate", programs.raise_(SystemExit))
            with pytest.raises(SystemExit):
                training.learn()
    assert checkpoints(run.path)[-1] == 30 and evaluated(run.path) == []
    for stopped_at, before in ((40, [30]), (50, [30, 40])):
        run = Run(tmp_path)
        with run.training as training:
            training.learn(stop=third_time_at(training, stopped_at))
            assert training.env_step == stopped_at and not training.complete
        assert checkpoints(run.path)[-1] == stopped_at and evaluated(run.path) == before
        assert (run.path / "export" / "policy" / "40").exists() == (stopped_at == 50)
    run = Run(tmp_path)
    assert run.go().complete and run.steps == []
    check_equal(run.path, whole.path)


def test_a_callback_ends_it(tmp_path):
    with Run(tmp_path).training as training:
        seen = []
        training.learn(40, callback=lambda run: seen.append(run.env_step) or run.env_step == 23)
        assert seen == list(range(1, 24)) and training.env_step == 23
        training.learn(2, callback=lambda run: None)
        assert training.env_step == 25


def test_more_steps_than_are_left_raise_the_configuration(whole, tmp_path):
    run = Run(tmp_path, num_steps=10)
    with run.training as training:
        training.learn(25)
        assert training.learn(25).done and training.last_step == 50
        with pytest.raises(ValueError, match="steps must be at least 0, got -1"):
            training.learn(-1)
    assert json.loads((run.path / "config.json").read_text())["dyna"]["num_steps"] == 30
    state = programs.variables(run.path / "checkpoints" / "50" / "state")
    assert state == programs.variables(whole.path / "checkpoints" / "50" / "state")


def test_a_run_that_cannot_be_built_leaves_its_directory_to_one_that_can(tmp_path):
    with pytest.raises(ValueError, match="observation_origin: '9:1' is no finite number") as kept:
        Training(programs.tiny(observation_origin="9:1"), tmp_path)
    assert kept.value.__traceback__ is not None  # which holds whatever was built
    with Training(programs.tiny(observation_origin="0:1"), tmp_path) as run:
        assert "0:1" in (run.directory / "config.json").read_text()


def test_everything_is_closed_and_the_directory_is_free(tmp_path):
    run = Run(tmp_path)
    closed = []
    with run.training as training:
        training.evaluate()
        made = [training.dyna.environment, *training.dyna.environments.evaluation]
        for environment in made:
            environment.task.close = lambda env=environment: closed.append(env)
        with pytest.raises(ValueError, match="another process is using"):
            Training(run.config, tmp_path)
    assert len(made) == 3 and closed == made
    Training(run.config, tmp_path).close()


def test_more_steps_continue_a_complete_run(whole, tmp_path):
    Run(tmp_path, num_steps=10).go()
    run = Run(tmp_path, num_steps=30)
    assert run.training.resumed_step == 30
    run.go()
    states = [
        programs.variables(path / "checkpoints" / "50" / "state") for path in (run.path, whole.path)
    ]
    assert states[0] == states[1]
    assert (run.path / "progress.csv").read_bytes() == (whole.path / "progress.csv").read_bytes()


def fault(number):
    """Makes the loop's improvement fail at an environment step."""

    def improve(self):
        if self.env_step == number:
            raise Diverged(f"q_max is inf at environment step {number}")
        return {}

    return improve


def test_divergence_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(Dyna, "_improve", fault(37))
    run = Run(tmp_path)
    assert "no checkpoint" in run.training.last_checkpoint_text
    with pytest.raises(Diverged, match="at environment step 37"):
        run.go()
    assert run.steps[-1] == 36
    assert checkpoints(run.path) == [15, 30]  # nothing is saved after the fault
    assert run.training.last_checkpoint_text.endswith(str(run.path / "checkpoints" / "30"))
    assert evaluated(run.path) == [30]


def test_environment_fault_leaves_the_last_checkpoint(tmp_path):
    run = Run(tmp_path)
    inner = run.training.dyna.environment.task
    calls = iter(range(1, 100))
    step = inner.step
    inner.step = lambda action: (
        (*step(action)[:1], np.nan, False, False, {}) if next(calls) == 41 else step(action)
    )
    with pytest.raises(EnvironmentFault, match="environment step 40: .*reward is nan"):
        run.go()
    assert checkpoints(run.path) == [15, 30]


def test_checkpoint_that_fails_stops_the_run(tmp_path, monkeypatch):
    run = Run(tmp_path)
    write = run.training._checkpoints._checkpoint.write

    def full(path):
        if "writing-45" in path:
            raise OSError(28, "No space left on device")
        return write(path)

    monkeypatch.setattr(run.training._checkpoints._checkpoint, "write", full)
    with pytest.raises(OSError, match="cannot write the checkpoint .*/45: .*No space left"):
        run.go()
    assert checkpoints(run.path) == [15, 30]
    assert run.training.last_checkpoint_text.endswith(str(run.path / "checkpoints" / "30"))


def test_metadata_of_an_export(whole):
    run, outcome = whole, whole.training
    metadata = json.loads((outcome.exports["dynamics"] / "metadata.json").read_text())
    assert metadata["environment"] == "programs:Short-v0" and metadata["loss"] == "vagram"
    assert metadata["termination"] == "none"
    assert metadata["env_step"] == 50 and metadata["seed"] == 0 and metadata["distractors"] == 2
    assert metadata["observation_size"] == 5 and len(metadata["dimension_names"]) == 5
    assert metadata["dimension_names"][-1] == "distractor[1]"
    assert metadata["action_low"] == [-2.0] and metadata["action_high"] == [2.0]
    assert metadata["mean_return"] == outcome.evaluation.returns.mean()
    assert set(metadata["versions"]) >= {"vagram_tf", "tensorflow", "gymnasium", "numpy"}
    earlier = json.loads((run.path / "export" / "policy" / "40" / "metadata.json").read_text())
    assert earlier["env_step"] == 40 and earlier["mean_return"] != metadata["mean_return"]
    manifest = json.loads((run.path / "checkpoints" / "50" / "manifest.json").read_text())
    assert manifest["versions"] == metadata["versions"]


def test_a_run_that_goes_on_with_other_packages_warns(tmp_path, monkeypatch, caplog):
    Run(tmp_path).go(stop_at=25)
    warning = "the checkpoint was written with other packages: "
    Run(tmp_path).abandon()
    assert warning not in caplog.text
    installed = versions.versions()
    monkeypatch.setattr(versions, "versions", lambda: installed | {"mujoco": "9.9"})
    Run(tmp_path).abandon()
    assert f"{warning}mujoco 9.9 instead of {installed['mujoco']} now; from here" in caplog.text
