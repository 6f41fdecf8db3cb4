"""The work of `benchmark`: every part, whole programs and whole runs, in lines, JSON and a
table.
"""

import functools
import os
import platform
from pathlib import Path
from typing import Any

from experiments.speed import growth, parts, programs, report
from experiments.speed.order import Order
from experiments.speed.peers.start import Peers
from experiments.speed.timing import Measurement, Stopwatch, pooled
from experiments.speed.unfinished import Unfinished

_REPETITIONS, _QUICK_REPETITIONS = 7, 2


def run(order: Order) -> None:
    """Measures everything and writes it; raises OSError, or Fault where a peer's program fails or
    what an interrupted benchmark has left cannot be read.
    """
    peers = order.peers / "bin" / "python"
    python = peers if peers.exists() else None
    if python is None:
        print(
            "left out: Stable-Baselines-JAX and mbrl-lib; "
            f"experiments/speed/peers/install {order.peers} installs them"
        )
    described = machine(order.threads)
    watch = Stopwatch(_QUICK_REPETITIONS if order.quick else _REPETITIONS)
    unfinished = Unfinished.at(order.output, described)
    watch.limits += unfinished.limits
    rows = []
    for name, measure in _sections(watch, python, order).items():
        section = unfinished.sections.get(name)
        if section is None:
            section = measure()
            unfinished.keep(name, section, watch.limits)
        rows += section
        for row in section:
            print(report.line(row), flush=True)
    limit = report.limit_row(watch.limits)
    rows = [limit, *pooled(rows)]
    ratios = report.ratios(rows)
    print("\n".join(report.line(row) for row in (limit, *ratios)))
    report.write(order.output, described, [*rows, *ratios])
    unfinished.remove()
    written = [f"{order.output}.json", f"{order.output}.md", *growth.draw(rows, str(order.output))]
    print("\nwritten to", ", ".join(map(str, written)))


def _sections(watch: Stopwatch, python: Path | None, order: Order) -> dict[str, Measurement]:
    """What is measured at a time, by name: an interrupted benchmark loses no more than one."""
    peers = Peers(python, order.threads, order.quick)
    sections: dict[str, Measurement] = {}
    for units in (256,) if order.quick else (128, 256, 1024):
        sections[f"SAC, 2×{units}"] = functools.partial(parts.sac, watch, peers, units, False)
    sections["SAC, critics normalised"] = functools.partial(parts.sac, watch, peers, 256, True)
    for batch in (256,) if order.quick else (256, 1024):
        sections[f"ensemble, batch {batch}"] = functools.partial(
            parts.ensemble, watch, peers, batch
        )
    for name, part in parts.PARTS.items():
        sections[name] = functools.partial(part, watch, order.quick)
    sections["start-up"] = functools.partial(programs.start_up, watch.repetitions)
    if not order.quick:
        sections |= programs.whole_runs(order.threads, python)
    return sections


def machine(threads: int) -> dict[str, Any]:
    """Describes this machine, and how many of its threads are used."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "python": platform.python_version(),
    }


def _processor() -> str:
    """Returns the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
