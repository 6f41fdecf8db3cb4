"""The work of `benchmark`: every part, whole programs and whole runs, in lines, JSON and a
table.
"""

import os
import platform
from collections.abc import Iterator
from pathlib import Path

from experiments.speed import growth, parts, programs, report
from experiments.speed.order import Order
from experiments.speed.peers.start import Peers
from experiments.speed.timing import BenchmarkRow, Stopwatch

_REPETITIONS, _QUICK_REPETITIONS = 7, 2


def run(order: Order) -> None:
    """Measures everything and writes it; raises OSError, or Fault where a peer's program fails."""
    python = order.peers / "bin" / "python"
    if not python.exists():
        print(
            "left out: Stable-Baselines-JAX and mbrl-lib; "
            f"experiments/speed/peers/install {order.peers} installs them"
        )
    watch = Stopwatch(_QUICK_REPETITIONS if order.quick else _REPETITIONS)
    measured = []
    for row in _measure(watch, python if python.exists() else None, order):
        print(report.line(row), flush=True)
        measured.append(row)
    limit = report.limit_row(watch.limits)
    rows = [limit, *measured]
    ratios = report.ratios(rows)
    print("\n".join(report.line(row) for row in (limit, *ratios)))
    machine = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": order.threads,
        "python": platform.python_version(),
    }
    report.write(order.output, machine, [*rows, *ratios])
    written = [f"{order.output}.json", f"{order.output}.md", *growth.draw(rows, str(order.output))]
    print("\nwritten to", ", ".join(map(str, written)))


def _measure(watch: Stopwatch, peers: Path | None, order: Order) -> Iterator[BenchmarkRow]:
    compared = Peers(peers, order.threads, order.quick)
    yield from parts.sac(watch, compared, order.quick)
    yield from parts.ensemble(watch, compared, order.quick)
    for part in parts.PARTS:
        yield from part(watch, order.quick)
    yield from programs.start_up(watch.repetitions)
    if not order.quick:
        yield from programs.whole_runs(order.threads, peers)


def _processor() -> str:
    """Returns the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
