"""Environments as people have them, from `worlds`: what a run makes of them, in a process where a
process is what fails.
"""

import re
import signal

import gymnasium
import numpy as np
import programs
import pytest
import worlds

from vagram_tf.commands.judging import environment
from vagram_tf.config import EnvConfig
from vagram_tf.dyna import Dyna
from vagram_tf.envs import rendering, tasks, trial
from vagram_tf.envs.adapter import EnvironmentFault, GymnasiumEnvironment
from vagram_tf.envs.episodes import Stopped
from vagram_tf.envs.run_environments import RunEnvironments
from vagram_tf.run.training import Training

pytestmark = pytest.mark.slow


def adapted(name, **settings):
    return GymnasiumEnvironment(tasks.make(EnvConfig(f"worlds:{name}-v0", **settings)), 0)


def test_bridge_to_a_simulator_from_preemption_to_its_end(tmp_path):
    """No time limit, a helper process, a thread that nobody ends, a reward from TensorFlow; SIGUSR1
    comes inside the second evaluation.
    """
    arguments = [
        *programs.flags(name="worlds:Bridge-v0", episode_steps=15),
        f"--workdir={tmp_path}",
    ]
    directory = programs.run_directory(tmp_path, name="worlds:Bridge-v0")
    # Two trials of 100 steps, 40 steps, an evaluation of 2 x 15, 10 steps, and 5 of the next one.
    stop = (signal.SIGUSR1, "vagram_tf.envs.adapter", "GymnasiumEnvironment._step", "", 285)
    process = programs.mbpo(arguments, stop)
    assert process.returncode == 0, process.stderr
    assert "saved at environment step 50" in process.stdout
    assert process.stderr.count("are left after 15 steps (--episode_steps)") == 1
    assert "intra" not in process.stderr and "threads" not in process.stderr
    assert [row["env_step"] for row in programs.progress(directory)] == ["40"]
    process = programs.mbpo(arguments)
    assert process.returncode == 0 and "continuing at environment step 50" in process.stdout
    rows = programs.progress(directory)
    assert [row["env_step"] for row in rows] == ["40", "50", "60", "70", "80", "90"]
    assert {row["mean_length"] for row in rows} == {"15"}
    # The helpers would sleep for ten minutes; whoever waited for them would have been killed.


@pytest.mark.parametrize("name", ["NOBODY", "KILL"])
def test_signal_that_cannot_be_waited_for_is_refused(name):
    line = programs.refused("mbpo", [f"--stop_signals={name}"])
    assert f"cannot wait for a signal '{name}'" in line


def test_greedy_episodes_without_an_end_are_left(tmp_path):
    dyna = Dyna(programs.tiny(name="worlds:Drift-v0", episode_steps=7))
    assert dyna.evaluate().lengths.tolist() == [7, 7]
    with pytest.raises(Stopped):
        dyna.evaluate(stop=lambda: True)
    dyna.close()


@pytest.mark.parametrize(
    "env, limit",
    [
        (lambda: gymnasium.make("Hopper-v5"), 1000),
        (lambda: gymnasium.wrappers.TimeLimit(worlds.Drift(), 30), 30),
        (worlds.Drift, None),
        (lambda: gymnasium.make("dm_control/cartpole-swingup-v0"), 1000),
    ],
)
def test_time_limit_is_found_where_the_task_has_one(env, limit):
    tasks.check_name("dm_control/cartpole-swingup-v0")  # registers it
    env = env()
    assert tasks.time_limit(env) == limit
    env.close()


def test_one_instance_serves_training_and_evaluation():
    config = programs.tiny(name="worlds:OnePort-v0")
    with pytest.raises(ValueError, match="port is taken; .* --instances=one plays evaluations"):
        RunEnvironments(config)
    assert not worlds.OnePort.is_open  # the first one was closed
    dyna = Dyna(config.replace(instances="one"))
    for _ in range(25):
        dyna.step()
    state, observation = dyna.environment.task.unwrapped.state.copy(), dyna.interaction.observe()
    first, second = dyna.evaluate(), dyna.evaluate()
    assert first.returns.tolist() == second.returns.tolist() and len(set(first.returns)) == 2
    # The open episode goes on where it was.
    np.testing.assert_array_equal(dyna.environment.task.unwrapped.state, state)
    np.testing.assert_array_equal(dyna.interaction.observe(), observation)
    dyna.close()
    assert not worlds.OnePort.is_open


def test_evaluations_of_one_instance_are_those_of_many():
    config = programs.tiny()
    many, one = Dyna(config), Dyna(config.replace(instances="one"))
    np.testing.assert_allclose(one.evaluate().returns, many.evaluate().returns, rtol=1e-5)
    many.close()
    one.close()


@pytest.mark.parametrize("of", ["observation", "reward"])
def test_tensor_of_another_device_is_a_named_fault(of):
    environment = adapted(f"Tensors-{of}")
    with pytest.raises(EnvironmentFault, match=f"{of} is not an array: can't convert cuda:0"):
        environment.reset()
        environment.step(np.zeros(1, np.float32))


def test_environment_that_works_in_place_is_drawn_as_it_was_played():
    video = rendering.rollout_frames(
        EnvConfig("worlds:InPlace-v0"), lambda observation: np.ones(1, np.float32), 0, 4
    )
    assert [int((frame[0, :, 0] > 0).sum()) for frame in video.frames] == [0, 5, 10, 15, 20]


def test_environment_that_works_in_place_changes_nothing_that_is_kept():
    environment = adapted("InPlace")
    action = np.ones(1, np.float32)
    first = environment.reset().observation
    second = environment.step(action).observation
    environment.step(action)
    assert first.tolist() == [0.0, 0.0] and second.tolist() == [0.5, 0.0]
    assert action.tolist() == [1.0]


@pytest.mark.parametrize(
    "name, words",
    [
        ("NormalizeObservation", r"observation\[0\] at step 0 is .* and then "),
        ("NormalizeReward", r"the reward of step 1 is .* and then "),
    ],
)
def test_wrapper_that_remembers_is_found(name, words):
    environment = adapted(name)
    said = trial.repetition(environment, tasks.dimension_names(environment.task))
    assert re.search(f"does not repeat itself: with the same seed and actions, {words}", said)
    assert "--observation_normalization does inside of the run" in said


@pytest.mark.parametrize("name", ["worlds:Drift-v0", "programs:Short-v0", "Hopper-v5"])
def test_environment_that_repeats_itself_is_not_accused(name):
    environment = GymnasiumEnvironment(tasks.make(EnvConfig(name, distractors=3)), 0)
    assert trial.repetition(environment, tasks.dimension_names(environment.task)) is None


def test_start_that_differs_between_two_episodes_is_told_after_a_restart(tmp_path, caplog):
    config = programs.tiny(name="worlds:NormalizeObservation-v0")
    dyna = Dyna(config)
    for _ in range(25):  # an episode, to its end
        dyna.step()
    dyna.freeze()
    other = Dyna(config)
    other.environment.task.reset(seed=3)  # another process's past
    for name, module in dyna.state.items():
        for variable, saved in zip(other.state[name].variables, module.variables, strict=True):
            variable.assign(saved)
    other.thaw()
    (warning,) = [record.getMessage() for record in caplog.records if "repeat" in record.message]
    assert "episode 0 starts with another observation than before" in warning


def test_sizes_that_float32_or_networks_cannot_take_are_named():
    lowest = np.array([1.7e9, 2.0, 9e7, -4.0, 0.0])
    highest = np.array([1.7e9 + 3.0, 2.0, 1e8, 4.0, 2e4])
    names = ("clock", "constant", "pressure", "position", "distance")
    said = trial.sizes(lowest, highest, names, "", normalized=False)
    assert said == [
        "clock varies by 3 around 1.7e+09, where float32 knows multiples of 128 alone: "
        "--observation_origin=0:1700000001.5 subtracts that before",
        "pressure is as large as 1e+08, which critics and policy take as it is: "
        "--observation_normalization scales what they see",
        "distance is as large as 2e+04, which critics and policy take as it is: "
        "--observation_normalization scales what they see",
    ]
    (clock,) = trial.sizes(lowest, highest, names, "2:5", normalized=True)
    assert "--observation_origin=2:5,0:1700000001.5 " in clock
    (clock,) = trial.sizes(lowest, highest, names, "0:5,2:5", normalized=True)
    assert "--observation_origin=2:5,0:1700000006.5 " in clock  # from the origin on


def test_origin_keeps_what_float32_loses():
    environment = adapted("Instruments", observation_origin="0:1.75e9", distractors=2)
    observation = environment.reset().observation
    state = environment.task.unwrapped.state
    np.testing.assert_allclose(observation[0], state[0], rtol=1e-6)
    np.testing.assert_allclose(observation[1], 1e5 + 1e4 * state[1], rtol=1e-6)
    assert observation.shape == (4,) and environment.task.observation_space.shape == (4,)


class Halved(gymnasium.ObservationWrapper):
    """An InvertedPendulum whose observations are half as large as its rule of termination takes
    them to be.
    """

    def observation(self, observation):
        return observation / 2


def test_run_tells_of_a_rule_that_is_not_that_of_its_environment(tmp_path, caplog):
    config = programs.tiny(name="InvertedPendulum-v5", termination="auto", random_steps=200)
    make = lambda: Halved(gymnasium.make(config.env.name))  # noqa: E731
    for name, own in (("own", make), ("plain", None)):
        caplog.clear()
        with Training(config, tmp_path / name, env=own) as training:
            training.learn(200)
        said = "the rule of termination that is known for it says something else of"
        assert (said in caplog.text) == (own is not None)


@pytest.mark.parametrize(
    "origin, words",
    [
        ("0", "must be index:value,index:value, got '0'"),
        ("0:one", "must be index:value,index:value"),
        ("2:1.0", "'2:1.0' is no finite number of a dimension from 0 to 1"),
        ("0:inf", "'0:inf' is no finite number"),
        ("0:1,1:2,0:3", "names dimension 0 twice"),
    ],
)
def test_origin_that_cannot_be_is_refused(origin, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        adapted("Instruments", observation_origin=origin)


def test_run_tells_of_sizes_after_its_random_steps(tmp_path, caplog):
    """A run of instruments warns of both dimensions once, and with the remedies of none."""
    config = programs.tiny(name="worlds:Instruments-v0", observation_normalization=False)
    with Training(config, tmp_path) as training:
        training.learn(config.dyna.random_steps - 1)
        assert "observation[0]" not in caplog.text
        training.learn(1)
    assert caplog.text.count("observation[0] varies by") == 1
    assert caplog.text.count("observation[1] is as large as") == 1


def test_check_env_of_a_good_environment_finds_no_trouble():
    process = programs.program("check_env", ["--env=worlds:OnePort-v0", "--steps=50"])
    assert process.returncode == 0, process.stderr
    verdicts = re.findall(r"^(\w[\w ]*?)  +(ok|note|trouble) ", process.stdout, re.MULTILINE)
    assert dict(verdicts) == {
        "spaces": "ok",
        "repeats itself": "ok",
        "instances": "note",
        "time limit": "ok",
        "starts": "ok",
        "size": "ok",
        "rewards": "ok",
        "termination": "ok",
        "speed": "ok",
        "closing": "ok",
        "repeats elsewhere": "ok",
    }
    assert verdicts[-1][0] == "repeats elsewhere"  # when this process has closed its own
    assert process.stdout.endswith("no trouble found\n")


def test_check_env_finds_what_a_run_would_suffer_from():
    process = programs.program("check_env", ["--env=worlds:NormalizeObservation-v0", "--steps=50"])
    assert process.returncode == 1, process.stderr
    assert re.search(r"^repeats itself +trouble ", process.stdout, re.MULTILINE)
    process = programs.program("check_env", ["--env=worlds:Bridge-v0", "--steps=50"])
    assert process.returncode == 0, process.stderr
    assert "runs on after it was closed: forgotten" in " ".join(process.stdout.split())
    process = programs.program("check_env", ["--env=worlds:Tensors-reward-v0"])
    assert process.returncode == 1
    assert re.search(r"^faults +trouble .* reward is not an array", process.stdout, re.MULTILINE)


def test_check_env_does_not_wait_for_ever_for_another_process(monkeypatch):
    monkeypatch.setattr(environment, "_LONGEST", 0.01)
    *_, last = environment.look(EnvConfig("worlds:OnePort-v0"), 20)
    assert (last.what, last.verdict) == ("repeats elsewhere", "trouble")
    assert last.text == "it has not ended there after 0.01 s"


def test_check_env_refuses_what_a_run_refuses():
    assert "--env is needed" in programs.refused("check_env", [])
    assert "unknown environment" in programs.refused("check_env", ["--env=Hoper-v5"])
    assert "discrete" in programs.refused("check_env", ["--env=CartPole-v1"])
