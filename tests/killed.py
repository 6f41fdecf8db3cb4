"""A pendulum that kills a process in the middle of the first run that gets there, for tests of
sweeps.

The environment variable KILL says whom and where that is noted: `self /tmp/.../killed` or `parent
/tmp/.../killed`.
"""

import contextlib
import os
import signal

import gymnasium
import programs
from gymnasium.envs.classic_control import PendulumEnv

# Of the tiny run's process: 55 steps of training and the two evaluations before them, ten steps
# after a checkpoint.
STEPS = 55 + 2 * 2 * 25


class Killed(PendulumEnv):
    steps = 0

    def step(self, action):
        Killed.steps += 1
        if Killed.steps == STEPS and "KILL" in os.environ:
            whom, note = os.environ["KILL"].split()
            with contextlib.suppress(FileExistsError):
                os.close(os.open(note, os.O_CREAT | os.O_EXCL))
                os.kill(os.getpid() if whom == "self" else os.getppid(), signal.SIGKILL)
        return super().step(action)


gymnasium.register("Killed-v0", Killed, max_episode_steps=25)

COMMON = {name: value for name, value in programs.TINY.items() if name != "threads"} | {
    "name": "killed:Killed-v0",
    "video_steps": 0,
    "rollout_model": "none",  # `resume_test` has runs with one
}
EQUAL = {"one": {}, "two": {"environment_timeout": 61.0}}  # a setting that changes nothing in a run
SEED = 3


def start(tmp_path, *arguments, more=None, whom=None):
    """Runs a study of two equal runs to its end.

    Args:
      tmp_path: where it lives.
      arguments: of `experiments.sweep`.
      more: further settings.
      whom: is killed in the middle of one run: `self` or `parent`.

    Returns:
      `subprocess.CompletedProcess`, and the directories of the two runs.
    """
    (tmp_path / "pair.py").write_text(
        "from vagram_tf.study import Study\n"
        f"TINY = Study(common={COMMON}, settings={EQUAL | (more or {})}, seeds=[{SEED}])\n"
    )
    environment = {"KILL": f"{whom} {tmp_path / 'killed'}"} if whom else {}
    process = programs.python(
        *("-m", "experiments.sweep", f"--study={tmp_path / 'pair.py'}", "--size=tiny"),
        *(f"--workdir={tmp_path}", *arguments),
        environment=environment,
    )
    return process, [run_directory(tmp_path, name) for name in EQUAL]


def run_directory(tmp_path, setting):
    return tmp_path / "pair" / "tiny" / setting / "killed-Killed-v0" / "vagram" / str(SEED)


def check_one_was_killed_and_continued(tmp_path, runs):
    """Checks that one run was continued from a checkpoint, the other not, and that both are the
    same to the byte.
    """
    assert (tmp_path / "killed").exists()
    logs = [(run.parents[2] / f"seed_{SEED}.log").read_text() for run in runs]
    assert sorted(log.count("continuing at environment step 45") for log in logs) == [0, 1]
    assert [row["env_step"] for row in programs.progress(runs[0])] == [
        "40",
        "50",
        "60",
        "70",
        "80",
        "90",
    ]
    one, two = ((run / "progress.csv").read_bytes() for run in runs)
    assert one == two
    one, two = (programs.saved_state(run / "checkpoints" / "90") for run in runs)
    assert one == two


def occupy(tmp_path, setting):
    """Leaves a run of another configuration where that of a setting is to live."""
    directory = run_directory(tmp_path, setting)
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(
        programs.tiny(name=COMMON["name"], seed=SEED, members=5).to_json()
    )
    (directory / "progress.csv").write_text("env_step,mean_return,mean_length\n40,-3.5,25\n")
