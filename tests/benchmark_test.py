"""The benchmark runs and leaves nothing out; its counts of operations and its ratios are right."""

import json
import math
import os
from pathlib import Path

import programs
import pytest
import tensorflow as tf

from experiments.speed import flop, growth, measuring, profiling, report, timing, unfinished
from experiments.speed import programs as whole_programs
from experiments.speed.timing import BenchmarkRow
from vagram_tf.commands import inputs
from vagram_tf.errors import Fault

QUICK_ROWS = [
    "limit: matrix product, 2,048 rows and columns",
    "SAC updates, 2×256",
    "matrix products of SAC updates, 2×256",
    "SAC updates, 2×256, critics normalised",
    "ensemble steps, mle, batch 256",
    "ensemble steps, vagram, batch 256",
    "matrix products of ensemble steps, mle, batch 256",
    "time of a vagram fit by an mle fit, batch 256",
    "value gradients of 10,000 transitions",
    "imagined transitions, horizon 1",
    "environment steps with the policy",
    "checkpoint: size",
    "checkpoint: write",
    "checkpoint: restore",
    "mbpo --help",
    "mbpo with an error in a flag",
    "from the command to the first training step",
    "from the command to the next one of a run that continues",
]
OF_THE_LIMIT = ("matrix products", "SAC updates", "ensemble steps", "value gradients", "imagined")


# Runs the program with small matrices, and once what it repeats.
_SMALL = """
import runpy
from vagram_tf import quiet
quiet.load_tensorflow(2)
from experiments.speed import measuring, parts, timing
parts.HOPPER = parts.HOPPER.replace(agent_batch_size=8, model_hidden_units=(8,))
parts._CALLS, parts._FIT_EPOCHS, measuring._QUICK_REPETITIONS = 1, 4, 1
timing._LIMIT_SIZE = 64
runpy.run_module("experiments.benchmark", run_name="__main__", alter_sys=True)
"""


@pytest.mark.slow
def test_quick_benchmark_is_complete(tmp_path):
    """And goes on from what one that was stopped has left: here a checkpoint's rows, all 1."""
    output = tmp_path / "speed"
    kept = [BenchmarkRow(name, 1.0, "s", None, [1.0]) for name in QUICK_ROWS[11:14]]
    unfinished.Unfinished.at(output, measuring.machine(threads=2)).keep("checkpoint", kept, [7.0])
    process = programs.python("-c", _SMALL, "--quick", f"--output={output}", f"--peers={tmp_path}")
    assert process.returncode == 0, process.stderr
    assert programs.error_lines(process) == []
    document = json.loads(output.with_name("speed.json").read_text())
    rows = [BenchmarkRow(**row) for row in document["rows"]]
    assert [row.name for row in rows] == QUICK_ROWS
    assert rows[11:14] == kept
    assert 7.0 in rows[0].repetitions
    assert not list(tmp_path.glob("*unfinished*"))
    for row in rows:
        assert math.isfinite(row.value) and row.value > 0
        assert min(row.repetitions) <= row.value <= max(row.repetitions)
        assert (row.share is not None) == row.name.startswith(OF_THE_LIMIT)
        assert row.share is None or row.share > 0
        assert report.line(row) in process.stdout
    assert document["machine"]["processor"] and document["machine"]["threads"] == 2
    assert output.with_name("speed.md").read_text() == report.table(document["machine"], rows)
    assert "left out: Stable-Baselines-JAX and mbrl-lib" in process.stdout


def test_what_a_stopped_benchmark_has_left_is_of_one_machine(tmp_path):
    machine, other = {"processor": "one"}, {"processor": "another"}
    rows = [BenchmarkRow("a", 2.0, "s", None, [1.0, 2.0, 3.0])]
    unfinished.Unfinished.at(tmp_path / "speed", machine).keep("section", rows, [5.0])
    found = unfinished.Unfinished.at(tmp_path / "speed", machine)
    assert found.sections == {"section": rows} and found.limits == [5.0]
    found.keep("another", rows, [5.0, 6.0])
    assert list(unfinished.Unfinished.at(tmp_path / "speed", machine).sections) == [
        "section",
        "another",
    ]
    found = unfinished.Unfinished.at(tmp_path / "speed", other)
    assert found.sections == {} and found.limits == []


@pytest.mark.parametrize(
    "text", ["", "{}", '{"machine": {}, "limits": [], "sections": {"a": [1]}}']
)
def test_damage_to_it_is_one_sentence(tmp_path, text):
    (tmp_path / "speed.unfinished.json").write_text(text)
    with pytest.raises(Fault, match="speed.unfinished.json is damaged"):
        unfinished.Unfinished.at(tmp_path / "speed", {})


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    line = programs.refused("benchmark", [f"--output={tmp_path / 'file' / 'speed'}"])
    assert str(tmp_path / "file") in line
    line = programs.refused("benchmark", [f"--output={tmp_path / 'missing' / 'speed'}"])
    assert line.endswith(f"there is no directory {tmp_path / 'missing'}")


@pytest.mark.parametrize("check", [inputs.check_output, inputs.check_new])
def test_a_directory_that_cannot_be_written_to_is_named(check, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # root may
    with pytest.raises(ValueError, match=f"nothing may be written to {tmp_path}"):
        check(tmp_path / "speed")


def test_repetitions_are_spread_around_what_they_are_compared_with(monkeypatch):
    done = []
    watch = timing.Stopwatch(5)
    monkeypatch.setattr(watch, "limit", lambda: 1.0)

    def other(name, *values):
        values = iter(values)

        def measure():
            done.append(name)
            return [row(name, next(values))]

        return measure

    ours, *others = watch.rate(
        "ours",
        "calls/s",
        lambda: done.append("ours"),
        1,
        None,
        [other("a", 1.0, 3.0), other("b", 7.0, 5.0)],
    )
    # The first one warms up.
    assert done == ["ours", "ours", "a", "ours", "b", "ours", "a", "ours", "b", "ours"]
    assert len(ours.repetitions) == 5
    assert others == [
        BenchmarkRow("a", 2.0, "updates/s", None, [1.0, 3.0]),
        BenchmarkRow("b", 6.0, "updates/s", None, [7.0, 5.0]),
    ]


def test_operations_of_a_dense_network():
    assert flop.dense(2, [3, 4, 5]) == 2 * 2 * (12 + 20)


def test_operations_of_a_sac_update():
    # D = 2, A = 1, one hidden layer of 4: critic 3-4-1, actor 2-4-2; per example 2·16 and 2·16,
    # without the first layer 2·4 and 2·8. Critics: 5 forward or kernel passes and one to the hidden
    # layer each; actor 3 and one.
    assert flop.sac_update(1, 2, 1, (4,)) == 2 * (5 * 32 + 8) + 3 * 32 + 16


def test_a_hopper_update_is_what_the_design_counts():
    # 605 MFLOP are for 17 equal passes of 2×256; the temperature's own pass of the actor is not
    # needed.
    assert flop.sac_update(256, 11, 3, (256, 256)) == pytest.approx(605e6 * 16 / 17, rel=0.02)
    assert flop.ensemble_step(7, 256, 11, 3, (200,) * 4, likelihood=True) == pytest.approx(
        1.37e9, rel=0.02
    )


def test_a_variance_that_is_only_read_out_costs_no_backward_product():
    with_likelihood, without = (
        flop.ensemble_step(1, 1, 2, 1, (4,), likelihood) for likelihood in (True, False)
    )
    assert with_likelihood - without == flop.dense(1, [4, 3])


def row(name, value, unit="updates/s", share=None):
    return BenchmarkRow(name, value, unit, share, [value])


ROWS = [
    row("SAC updates, 2×256", 210.0, share=0.7),
    row("SAC updates, 2×256, mbrl-lib", 70.0),
    row("Hopper, equal epochs: 1,000 training steps", 50.0, "s"),
    row("Hopper, equal epochs: ensemble steps taken", 320, "steps"),
    row("Hopper, equal epochs: 1,000 training steps, mbrl-lib", 200.0, "s"),
    row("Hopper, equal epochs: ensemble steps taken, mbrl-lib", 321, "steps"),
    row("Hopper, 10,000 stored: 250 training steps", 40.0, "s"),
    row("Hopper, 100,000 stored: 250 training steps", 60.0, "s"),
    row("Hopper, 100,000 stored: fit", 30.0, "s"),
    row("Hopper, 100,000 stored: peak memory", 1.5, "GB"),
]


def test_ratios_of_what_is_there():
    assert [(r.name, r.value) for r in report.ratios(ROWS)] == [
        ("SAC updates, 2×256: times as fast as mbrl-lib", 3.0),
        ("Hopper, equal epochs: 1,000 training steps: times as fast as mbrl-lib", 4.0),
        ("cost at 100,000 stored transitions by that at 10,000", 1.5),
    ]


def test_table_puts_peers_and_phases_beside_ours():
    machine = {"processor": "P", "cores": 2, "threads": 2, "python": "3.11"}
    lines = report.table(machine, [*ROWS, *report.ratios(ROWS)]).splitlines()
    assert lines[0] == "P, 2 cores, 2 threads, Python 3.11."
    assert "| SAC updates, 2×256 | 210 updates/s | 70% |  |  | 70 (3.00 ×) |" in lines
    assert "| cost at 100,000 stored transitions by that at 10,000 | 1.5 × |  |  |  |  |" in lines
    assert "| Hopper, 100,000 stored | 250 | 60 |  | 30 |  |  |  |  |  |  | 1.5 |" in lines
    assert "| Hopper, equal epochs, mbrl-lib | 1,000 | 200 |  |  |  |  |  |  |  | 321 |  |" in lines
    assert len(lines) == 2 + 2 + 2 + 1 + 2 + 4


def test_further_steps_are_those_that_two_lengths_differ_in():
    longer = [
        row("Hopper, equal epochs, longer: 5,000 training steps", 90.0, "s"),
        row("Hopper, equal epochs, longer: 5,000 training steps, mbrl-lib", 400.0, "s"),
    ]
    values = {r.name: r.value for r in report.ratios([*ROWS, *longer])}
    assert values["equal epochs, training steps 1,000 to 5,000, mbrl-lib by this"] == 5.0


def test_growth_is_drawn_of_the_rounds(tmp_path):
    processes = [
        row(f"{count} single-threaded processes{what}", value, unit)
        for count, work in ((1, 1.0), (2, 1.9))
        for what, value, unit in ((" by one", work, "×"), (": memory", 1.1 * count, "GB"))
    ]
    rows = [*ROWS, row("Hopper, 10,000 stored: peak memory", 1.0, "GB"), *processes]
    assert growth.seconds_by_stored(rows) == {10_000: 0.16, 100_000: 0.24}
    files = growth.draw(rows, str(tmp_path / "growth"))
    assert files and all(file.stat().st_size > 1000 for file in files)
    assert growth.draw(ROWS[:2], str(tmp_path / "none")) == []


def test_repetitions_of_separate_sections_become_one_row():
    other = row("steps", 3.0)
    turns = [row("loop", seconds, "s") for seconds in (4.0, 1.0, 2.0)]
    loop, steps = timing.pooled([turns[0], other, *turns[1:]])
    assert (loop.value, loop.repetitions) == (2.0, [4.0, 1.0, 2.0])
    assert steps == other


def test_every_repetition_of_an_equal_loop_is_a_section():
    sections = whole_programs.whole_runs(threads=2, python=Path("python"))
    assert [name for name in sections if name.startswith(report.EQUAL_LONGER)] == [
        f"{report.EQUAL_LONGER}, repetition {i}" for i in (1, 2, 3)
    ]


def test_the_committed_table_is_that_of_the_committed_rows():
    document = json.loads((programs.ROOT / "results" / "benchmark.json").read_text())
    rows = [BenchmarkRow(**row) for row in document["rows"]]
    table = report.table(document["machine"], rows)
    assert (programs.ROOT / "results" / "benchmark.md").read_text() == table
    assert {
        "limit: matrix product, 2,048 rows and columns",
        "SAC updates, 2×1024, mbrl-lib",
        "Hopper, equal epochs: 1,000 training steps, mbrl-lib",
    } <= {row.name for row in rows}


def test_profile_tells_products_from_other_loops():
    matrix = tf.random.normal([256, 256])

    @tf.function(jit_compile=True, autograph=False)
    def three_products():
        def step(i, product):
            return i + 1, tf.nn.softmax(tf.matmul(product, matrix))

        return tf.while_loop(lambda i, _: i < 3, step, [tf.constant(0), matrix])[1]

    profile = profiling.measure("product", lambda: three_products().numpy(), units=3)
    assert profile.product_count == 1
    assert profile.loop_count >= 1
    assert profile.products > 0 and profile.loops > 0


def test_table_of_profiles():
    lines = profiling.table([profiling.Profile("SAC update", 2.0, 1.5, 0.25, 33.0, 166.5)])
    assert lines[-1] == "| SAC update | 2.00 | 1.50 ms, 75% (33) | 0.25 ms, 12% (166) | 12% |"
