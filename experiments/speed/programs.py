"""Rows of whole runs and whole programs."""

import functools
import tempfile
from pathlib import Path
from typing import Any

from experiments.speed import report, runs
from experiments.speed.hopper import REFERENCE
from experiments.speed.peers import start as peers
from experiments.speed.timing import BenchmarkRow, Measurement, median_row

_STORED = (5_000, 10_000, 30_000, 60_000, 100_000, 125_000)
_STORED_ALONE = 30_000  # in a run of one thread
_ROUND = 250  # training steps from one model fit to the next
# The loops that are compared with mbrl-lib's: training steps, and how often.
_EQUAL = {report.EQUAL: (1_000, 3), report.EQUAL_LONGER: (5_000, 3)}
_EQUAL_EPOCHS = 20  # of every fit in them
_SIDE_BY_SIDE = (1, 2, 4)  # single-threaded processes


def start_up(repetitions: int) -> list[BenchmarkRow]:
    """What a user waits for before anything is learned."""
    rows = [
        median_row(name, "s", [runs.seconds_of_program(*arguments) for _ in range(repetitions)])
        for name, arguments in (
            ("mbpo --help", ["--help"]),
            ("mbpo with an error in a flag", ["--los=vagram"]),
        )
    ]
    first, continued = [], []
    for _ in range(min(repetitions, 3)):
        with tempfile.TemporaryDirectory() as workdir:
            first.append(runs.seconds_to_training_step(workdir))
            continued.append(runs.seconds_to_training_step(workdir))
    return [
        *rows,
        median_row("from the command to the first training step", "s", first),
        median_row("from the command to the next one of a run that continues", "s", continued),
    ]


def whole_runs(threads: int, python: Path | None) -> dict[str, Measurement]:
    """Hopper: 1,000 training steps from the start, then 250, from one model fit to the next, late
    in a run; beside mbrl-lib; and several processes at a time.
    """
    settings = {**REFERENCE, "threads": threads}
    # Every fit takes as many steps: rounds differ in what is stored alone.
    late = {**settings, "loss": "vagram", "num_steps": _ROUND, "patience": 10**6}
    measurements: dict[str, Measurement] = {}
    for loss in ("vagram", "mle"):
        whole = {**settings, "loss": loss}
        name = f"Hopper, {loss}"
        measurements[name] = functools.partial(_run_rows, name, whole, 0)
    for stored in _STORED:
        name = f"Hopper, {stored:,} stored"
        measurements[name] = functools.partial(_run_rows, name, late, stored)
    # As the runs of a sweep are.
    alone = {**late, "threads": 1}
    name = f"Hopper, {_STORED_ALONE:,} stored, one thread"
    measurements[name] = functools.partial(_run_rows, name, alone, _STORED_ALONE)
    for name, (steps, repetitions) in _EQUAL.items():
        if python:
            # mbrl-lib's critics have no normalised layers.
            equal = {**settings, "num_steps": steps, "layer_normalization": False}
            turn = functools.partial(_equal_epochs, name, equal, python)
            measurements |= {f"{name}, repetition {i + 1}": turn for i in range(repetitions)}
    measurements["processes side by side"] = _side_by_side
    return measurements


def _side_by_side() -> list[BenchmarkRow]:
    """Work and memory of single-threaded processes, in turns."""
    turns = [{count: runs.side_by_side(count, 1000) for count in _SIDE_BY_SIDE} for _ in range(3)]
    rows = []
    for count in _SIDE_BY_SIDE:
        name = f"{count} single-threaded processes"
        work = [turn[count].rate / turn[1].rate for turn in turns]
        rows.append(median_row(f"{name} by one", "×", work))
        memory = [turn[count].memory_gb for turn in turns]
        rows.append(median_row(f"{name}: memory", "GB", memory))
    return rows


def _run_rows(name: str, settings: dict[str, Any], stored: int) -> list[BenchmarkRow]:
    """One run, in a fresh process."""
    run, steps = runs.in_process(runs.whole_run, settings, stored), settings["num_steps"]
    learning = run["phases"]["fit"] + run["phases"]["improve"]
    figures = [
        (f"{steps:,} training steps", run["seconds"], "s"),
        *((phase, spent, "s") for phase, spent in run["phases"].items()),
        ("outside fits and SAC updates", 100 * (1 - learning / run["seconds"]), "%"),
        ("ensemble steps taken", run["fit_steps"], "steps"),
        ("peak memory", run["peak_memory_gb"], "GB"),
    ]
    return [
        BenchmarkRow(f"{name}: {what}", value, unit, None, [value]) for what, value, unit in figures
    ]


def _equal_epochs(name: str, settings: dict[str, Any], python: Path) -> list[BenchmarkRow]:
    """The whole loop with as many ensemble steps as mbrl-lib takes, without its evaluations and
    ours, once each.
    """
    training_steps = settings["num_steps"]
    other = peers.whole_loop(python, settings["threads"], training_steps, _EQUAL_EPOCHS)
    steps = round(other["model_steps"] / other["fits"])
    equal = {**settings, "loss": "mle", "patience": 10**6, "max_fit_steps": steps}
    run = runs.in_process(runs.whole_run, equal)
    sides = {
        "": (run["seconds"] - run["phases"]["evaluate"], run["fit_steps"]),
        ", mbrl-lib": (other["seconds"], other["model_steps"]),
    }
    return [
        row
        for side, (seconds, taken) in sides.items()
        for row in (
            median_row(f"{name}: {training_steps:,} training steps{side}", "s", [seconds]),
            median_row(f"{name}: ensemble steps taken{side}", "steps", [taken]),
        )
    ]
