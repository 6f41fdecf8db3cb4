"""Measures how fast everything is on this machine, beside what the machine can do and beside other libraries.

    python -m experiments.benchmark --quick
    python -m experiments.benchmark --output=results/benchmark

Writes <output>.json and <output>.md. Every figure is a median; "of the limit" divides the floating-point operations of
the matrix products that the work needs by those of a large matrix product measured right beside it. The other
libraries live in an environment that `experiments/speed/peers/install` creates; without it they are left out.
"""

import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from absl import app
from absl import flags as absl_flags

from vagram_tf.commands import flags

if TYPE_CHECKING:
    from experiments.speed.timing import Row, Stopwatch

_QUICK = absl_flags.DEFINE_bool("quick", False, "a minute's worth: fewer repetitions, no whole runs")
_OUTPUT = absl_flags.DEFINE_string("output", "benchmark", "where to write the results, without .json and .md")
_PEERS = absl_flags.DEFINE_string("peers", ".peers", "environment with the other libraries")
_THREADS = absl_flags.DEFINE_integer("threads", 2, "threads of an operation", lower_bound=1)

_REPETITIONS, _QUICK_REPETITIONS = 7, 2


def main(argv: list[str]) -> None:
    del argv
    try:
        flags.check_packages()
        Path(_OUTPUT.value).parent.mkdir(parents=True, exist_ok=True)
        Path(f"{_OUTPUT.value}.json").touch()
    except (ValueError, OSError) as error:
        flags.fail(str(error), 2)
    python = Path(_PEERS.value) / "bin" / "python"
    if not python.exists():
        print("left out: Stable-Baselines-JAX and mbrl-lib; "
              f"experiments/speed/peers/install {_PEERS.value} installs them")
    from vagram_tf import quiet

    quiet.load_tensorflow(_THREADS.value)
    from experiments.speed import report
    from experiments.speed.timing import Stopwatch

    watch = Stopwatch(_QUICK_REPETITIONS if _QUICK.value else _REPETITIONS)
    rows = []
    try:
        for row in _measure(watch, python if python.exists() else None):
            print(report.line(row), flush=True)
            rows.append(row)
    except RuntimeError as error:
        flags.fail(str(error), 1)
    limit = report.limit_row(watch.limits)
    print(report.line(limit))
    machine = {"processor": _processor(), "cores": os.cpu_count(), "threads": _THREADS.value,
               "python": platform.python_version()}
    rows = [limit, *rows]
    for row in report.ratios(rows):
        print(report.line(row))
        rows.append(row)
    report.write(Path(_OUTPUT.value), machine, rows)
    print(f"\nwritten to {_OUTPUT.value}.json and {_OUTPUT.value}.md")


def _measure(watch: "Stopwatch", peers: Path | None) -> Iterator["Row"]:
    from experiments.speed import parts, programs
    from experiments.speed.peers import start as others

    quick = _QUICK.value
    compared = others.Peers(peers, _THREADS.value, quick)
    yield from parts.sac(watch, compared, quick)
    yield from parts.ensemble(watch, compared, quick)
    for part in parts.PARTS:
        yield from part(watch, quick)
    yield from programs.start_up(watch.repetitions)
    if not quick:
        yield from programs.whole_runs(_THREADS.value, peers)


def _processor() -> str:
    """Returns the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    app.run(main, flags_parser=flags.parse)
