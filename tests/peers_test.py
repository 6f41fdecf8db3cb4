"""The peers' programs: what can be said of them without the peers, and their rows where `.peers/`
is installed.
"""

import json
import subprocess
import sys
import time

import programs
import pytest

from experiments.speed.peers import measure

PEERS = programs.ROOT / ".peers" / "bin" / "python"
SHORT = ["--repetitions=2", "--seconds=1", "--units=16"]


def run(*arguments, python=sys.executable):
    return subprocess.run(
        [python, "-m", *arguments], cwd=programs.ROOT, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["experiments.speed.peers.sbx_sac", "--units=0"],
            "error: argument --units: must be at least 1, got 0\n",
        ),
        (
            ["experiments.speed.peers.sbx_sac", "--threads=x"],
            "error: argument --threads: invalid whole_number value: 'x'\n",
        ),
        (
            ["experiments.speed.peers.mbrl_lib", "loop", "--random_steps=250"],
            "error: random_steps must be above 250, got 250\n",
        ),
    ],
)
def test_a_wrong_argument_is_one_line(arguments, message):
    result = run(*arguments)
    assert (result.returncode, result.stdout, result.stderr) == (2, "", message)


@pytest.mark.parametrize(
    "arguments, package",
    [
        (["experiments.speed.peers.sbx_sac"], "sbx"),
        (["experiments.speed.peers.mbrl_lib", "sac"], "mbrl"),
    ],
)
def test_outside_of_its_environment_a_program_names_what_is_missing(arguments, package):
    result = run(*arguments)
    assert result.returncode == 2
    assert (
        result.stderr.startswith(f"error: {package} ")
        and "experiments/speed/peers/install" in result.stderr
    )
    assert result.stderr.count("\n") == 1


def test_rates_count_what_happens_in_each_repetition_but_not_the_warm_up():
    calls = []

    def work():
        calls.append(None)
        time.sleep(0.01)

    rates = measure.rates(work, count=3, seconds=0.05, repetitions=4)
    assert len(rates) == 4
    assert all(0.0 < rate <= 300.0 for rate in rates)  # 3 things per call of at least 0.01 s
    assert measure.rates_row([1.0, 5.0, 2.0], what="x") == {
        "what": "x",
        "median": 2.0,
        "repetitions": [1.0, 5.0, 2.0],
    }
    assert 5 <= len(calls) <= 1 + 4 * 6


def test_a_clock_counts_every_call_and_times_the_outermost():
    class Trainer:
        def fit(self, steps):
            return [self.step() for _ in range(steps)]

        def step(self):
            time.sleep(0.01)
            return "done"

    clock = measure.PhaseClock()
    clock.watch(Trainer, "fit", "fit")
    clock.watch(Trainer, "step", "step")
    assert Trainer().fit(3) == ["done"] * 3
    assert dict(clock.calls) == {"fit": 1, "step": 3}
    assert list(clock.seconds) == ["fit"] and clock.seconds["fit"] >= 0.03


@pytest.mark.skipif(not PEERS.exists(), reason="experiments/speed/peers/install has not been run")
@pytest.mark.parametrize(
    "arguments",
    [
        ["experiments.speed.peers.sbx_sac", *SHORT],
        ["experiments.speed.peers.sbx_sac", "--normalized", *SHORT],
        ["experiments.speed.peers.mbrl_lib", "sac", *SHORT],
    ],
)
def test_rows_are_complete(arguments):
    result = run(*arguments, python=PEERS)
    assert result.returncode == 0, result.stderr
    row = json.loads(result.stdout)
    assert {"peer", "what", "units", "batch", "threads", "median", "repetitions"} <= set(row)
    assert len(row["repetitions"]) == 2 and min(row["repetitions"]) > 0
