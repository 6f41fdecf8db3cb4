"""An agent of another library in a run's model: what is refused, how it is judged, and a short
training where `.peers/` is installed.
"""

import json
import re
import subprocess

import programs
import pytest

from experiments import train_in_model

pytestmark = pytest.mark.slow

PEERS = programs.ROOT / ".peers" / "bin" / "python"


class Still:
    """An agent that does nothing."""

    def predict(self, observation, deterministic):
        assert deterministic and observation.dtype == "float32"
        return [0.0], None


@pytest.mark.parametrize("horizon, longest", [(100, 6), (3, 3)])
def test_returns_are_of_whole_episodes_or_of_the_horizon(horizon, longest):
    """Episodes that pay 1, 2, ... and end after 2 to 6 steps."""
    found = train_in_model.play(Still(), programs.Countdown(), horizon, episodes=40, seed=1)
    lengths = range(2, longest + 1)
    assert set(found["returns"]) == {n * (n + 1) / 2 for n in lengths}
    assert found["return"]["min"] == 3 and found["return"]["max"] == longest * (longest + 1) / 2
    again = train_in_model.play(Still(), programs.Countdown(), horizon, episodes=40, seed=1)
    assert found == again


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--output=/nowhere/out.json"], "/nowhere/out.json cannot be written"),
        (["--steps=0"], "argument --steps: must be at least 1"),
        ([], "stable_baselines3 .*cannot be imported .*experiments/speed/peers/install"),
    ],
)
def test_what_is_refused(flags, words):
    _, run = programs.finished_run()
    line = programs.refused("train_in_model", [f"--export={run}", *flags])
    assert re.search(words, line), line


@pytest.mark.skipif(not PEERS.exists(), reason="experiments/speed/peers/install has not been run")
def test_an_agent_is_trained_and_played(tmp_path):
    _, run = programs.finished_run()
    command = ["-m", "experiments.train_in_model", f"--export={run}", "--steps=110"]
    process = subprocess.run(
        [PEERS, *command, "--episodes=2", f"--output={tmp_path / 'out.json'}"],
        cwd=programs.ROOT,
        env=programs._environment(),
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["horizon"] == 25 and len(report["in_model"]["returns"]) == 2
    assert "real" in process.stdout and max(report["real"]["returns"]) < 0


@pytest.mark.skipif(not PEERS.exists(), reason="experiments/speed/peers/install has not been run")
def test_stable_baselines_accepts_the_environment():
    _, run = programs.finished_run()
    code = (
        "import sys, warnings, vagram_tf\n"
        "from stable_baselines3.common.env_checker import check_env\n"
        "warnings.simplefilter('error')\n"
        "warnings.filterwarnings('ignore', '.*symmetric and normalized')\n"
        "check_env(vagram_tf.LearnedEnv(sys.argv[1]))\n"
    )
    process = subprocess.run(
        [PEERS, "-c", code, run], cwd=programs.ROOT, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
