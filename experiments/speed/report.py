"""The benchmark's rows as lines, as JSON and as a table; ratios between them."""

import json
from pathlib import Path
from typing import Any

from experiments.speed.timing import BenchmarkRow, median_row
from vagram_tf import files

PEERS = {
    "sbx (20 per call)": "sbx, 20 per call",
    "sbx (200 per call)": "sbx, 200 per call",
    "mbrl-lib": "mbrl-lib",
}
"""What a peer's row has after the name of ours -> the head of its column."""

RUN_COLUMNS = {
    "collect": "s",
    "fit": "s",
    "imagine": "s",
    "improve": "s",
    "evaluate": "s",
    "other": "s",
    "outside fits and SAC updates": "%",
    "ensemble steps taken": "steps",
    "peak memory": "GB",
}
"""What is said of a whole run, and its unit."""

_EARLY, _LATE = (f"Hopper, {stored} stored: 250 training steps" for stored in ("10,000", "100,000"))
EQUAL, EQUAL_LONGER = "Hopper, equal epochs", "Hopper, equal epochs, longer"
"""Names of the loops that are compared with a peer's, of 1,000 training steps and of 5,000."""

_SHORT, _LONG = f"{EQUAL}: 1,000 training steps", f"{EQUAL_LONGER}: 5,000 training steps"


def line(row: BenchmarkRow) -> str:
    """Returns a row for the terminal."""
    share = "" if row.share is None else f"   {row.share:4.0%} of the limit"
    return f"{row.name:<62} {_number(row.value):>10} {row.unit}{share}"


def limit_row(limits: list[float]) -> BenchmarkRow:
    """Returns the row of the limit itself."""
    return median_row("limit: matrix product, 2,048 rows and columns", "GFLOP/s", limits)


def ratios(rows: list[BenchmarkRow]) -> list[BenchmarkRow]:
    """Returns how many times as fast as each peer this is, also without what comes once (what two
    lengths of a loop differ in), and what late rounds cost beside early ones.
    """
    values = {row.name: row for row in rows}
    compared = [
        (f"{row.name}: times as fast as {peer}", _times_as_fast(row, values[f"{row.name}, {peer}"]))
        for row in rows
        for peer in PEERS
        if f"{row.name}, {peer}" in values and row.unit != "steps"
    ]
    others = []
    if _LONG in values:
        ours, theirs = (
            values[f"{_LONG}{peer}"].value - values[f"{_SHORT}{peer}"].value
            for peer in ("", ", mbrl-lib")
        )
        name = "equal epochs, training steps 1,000 to 5,000, mbrl-lib by this"
        others.append((name, theirs / ours))
    if _EARLY in values and _LATE in values:
        quotient = values[_LATE].value / values[_EARLY].value
        others.append(("cost at 100,000 stored transitions by that at 10,000", quotient))
    return [
        BenchmarkRow(name, quotient, "×", None, [quotient]) for name, quotient in compared + others
    ]


def write(output: Path, machine: dict[str, Any], rows: list[BenchmarkRow]) -> None:
    """Writes `<output>.json` and `<output>.md`."""
    document = {"machine": machine, "rows": [row._asdict() for row in rows]}
    files.write(output.with_name(f"{output.name}.json"), json.dumps(document, indent=1) + "\n")
    files.write(output.with_name(f"{output.name}.md"), table(machine, rows))


def table(machine: dict[str, Any], rows: list[BenchmarkRow]) -> str:
    """Returns the rows as two Markdown tables, parts and whole runs, under a line that describes
    the machine.
    """
    values = {row.name: row for row in rows}
    of_peers = {f"{row.name}, {peer}" for row in rows for peer in PEERS}
    rows = [
        row
        for row in rows
        if not row.name.endswith("without holdout scores") and " as fast as " not in row.name
    ]
    runs = [row for row in rows if row.name.startswith("Hopper, ") and "training steps" in row.name]
    parts = [
        row for row in rows if row.name not in of_peers and not row.name.startswith("Hopper, ")
    ]
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads, Python "
        f"{machine['python']}.",
        "",
        *_head("what", "here", "of the limit", *PEERS.values()),
    ]
    for row in parts:
        share = "" if row.share is None else f"{row.share:.0%}"
        beside = (_beside(row, values.get(f"{row.name}, {peer}")) for peer in PEERS)
        lines.append(_cells(row.name, f"{_number(row.value)} {row.unit}", share, *beside))
    if runs:
        lines += ["", *_head("Hopper-v5", "steps", "seconds", *RUN_COLUMNS)]
    for row in runs:
        run, _, what = row.name.partition(": ")
        steps, _, peer = what.partition(" training steps")
        cells = (values.get(f"{run}: {column}{peer}") for column in RUN_COLUMNS)
        lines.append(
            _cells(
                run + peer,
                steps,
                _number(row.value),
                *("" if cell is None else _number(cell.value) for cell in cells),
            )
        )
    return "\n".join(lines) + "\n"


def _head(*names: str) -> list[str]:
    units = (f"{name}, {RUN_COLUMNS[name]}" if name in RUN_COLUMNS else name for name in names)
    return [_cells(*units), "|---|" + "---:|" * (len(names) - 1)]


def _cells(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _times_as_fast(row: BenchmarkRow, peer: BenchmarkRow) -> float:
    """Returns the quotient of two speeds, or of two durations the other way round."""
    return peer.value / row.value if row.unit == "s" else row.value / peer.value


def _beside(row: BenchmarkRow, peer: BenchmarkRow | None) -> str:
    return "" if peer is None else f"{_number(peer.value)} ({_times_as_fast(row, peer):.2f} ×)"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
