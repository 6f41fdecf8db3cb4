"""The benchmark's rows as lines, as JSON and as a table; ratios between them."""

import json
from pathlib import Path
from typing import Any

from experiments.speed.timing import Row, median_row

# Ours, the other's, and how to name the quotient of the two.
_RATIOS = [
    *((f"SAC updates, 2×{units}", f"SAC updates, 2×{units}, {other}") for units in (128, 256, 1024)
      for other in ("sbx (20 per call)", "sbx (200 per call)", "mbrl-lib")),
    *((f"ensemble steps, mle, batch {b}", f"ensemble steps, mle, batch {b}, mbrl-lib") for b in (256, 1024)),
    ("Hopper, equal epochs: mbrl-lib", "Hopper, equal epochs: mle"),  # seconds: the slower is the larger
    ("Hopper, 100,000 stored: 250 training steps", "Hopper, 10,000 stored: 250 training steps"),
]


def line(row: Row) -> str:
    """Returns a row for the terminal."""
    share = "" if row.share is None else f"   {row.share:4.0%} of the limit"
    return f"{row.name:<62} {_number(row.value):>10} {row.unit}{share}"


def limit_row(limits: list[float]) -> Row:
    """Returns the row of the limit itself."""
    return median_row("limit: matrix product, 2,048 rows and columns", "GFLOP/s", limits)


def ratios(rows: list[Row]) -> list[Row]:
    """Returns the quotients of rows that are to be compared, where both are there."""
    values = {row.name: row.value for row in rows}
    found = []
    for name, other in _RATIOS:
        if name in values and other in values:
            quotient = values[name] / values[other]
            found.append(Row(f"{name} / {other}", quotient, "×", None, [quotient]))
    return found


def write(output: Path, machine: dict[str, Any], rows: list[Row]) -> None:
    """Writes `<output>.json` and `<output>.md`."""
    document = {"machine": machine, "rows": [row._asdict() for row in rows]}
    output.with_name(f"{output.name}.json").write_text(json.dumps(document, indent=1) + "\n")
    output.with_name(f"{output.name}.md").write_text(table(machine, rows))


def table(machine: dict[str, Any], rows: list[Row]) -> str:
    """Returns the rows as a Markdown table, under a line that describes the machine."""
    described = f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads"
    lines = [described, "", "| what | median | of the limit |", "|---|---:|---:|"]
    for row in rows:
        share = "" if row.share is None else f"{row.share:.0%}"
        lines.append(f"| {row.name} | {_number(row.value)} {row.unit} | {share} |")
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
