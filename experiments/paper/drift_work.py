"""The work of `value_drift`: numbers, figure, and the report for the terminal."""

from pathlib import Path

from experiments.paper import drift, drift_figure
from experiments.paper.task import DriftOrder, DriftRow
from vagram_tf import files


def run(order: DriftOrder) -> None:
    """Draws the drift of a run's value functions, measured now or before; raises OSError,
    ValueError or EnvironmentFault.
    """
    written = []
    rows = order.measured
    if not rows:
        rows = drift.measure(order)
        table = files.csv_text([DriftRow._fields, *rows], digits=5)
        written.append(files.write(Path(f"{order.output}.csv"), table))
    written += drift_figure.draw(rows, order.output)
    print(drift.summary(rows))
    print("\n".join(f"written  {path}" for path in written))
