"""The work of `value_drift`: numbers, figure, and the report for the terminal."""

import csv
import io
from pathlib import Path

from experiments.paper import drift, drift_figure
from experiments.paper.task import DriftOrder
from vagram_tf import files


def run(order: DriftOrder) -> None:
    """Draws the drift of a run's value functions; raises ValueError, OSError or
    EnvironmentFault.
    """
    rows = drift.measure(order)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerows(
        [drift.DriftRow._fields, *((*row[:4], f"{row[4]:.5g}", f"{row[5]:.5g}") for row in rows)]
    )
    written = [
        files.write(Path(f"{order.output}.csv"), text.getvalue().encode()),
        *drift_figure.draw(rows, order.output),
    ]
    print(drift.summary(rows))
    print("\n".join(f"written  {path}" for path in written))
