"""What signs a fit study's cells had, and what value-aware weights brought there."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.fits.table import FitRow
from vagram_tf import files
from vagram_tf.commands.judging.signs import Measured, Signs


def measured(rows: Sequence[FitRow], of_source: dict[str, tuple[Signs, int]]) -> list[Measured]:
    """Returns the cells of a fit study that have `vagram`, `mse` and `mle`.

    Args:
      rows: of the study.
      of_source: the signs of its sources, by the name that the rows have, and D.
    """
    found = []
    for source, width in dict.fromkeys((row.source, row.width) for row in rows):
        cell = [row for row in rows if (row.source, row.width) == (source, width)]
        error = {
            objective: np.mean([row.value_error for row in cell if row.objective == objective])
            for objective in {row.objective for row in cell}
        }
        if {"vagram", "mse", "mle"} <= error.keys() and source in of_source:
            of, dimensions = of_source[source]
            shares = (float(error["vagram"] / error[other]) for other in ("mse", "mle"))
            found.append(Measured(cell[0].task, width, *of, dimensions, *shares))
    return found


def save(path: Path, cells: Sequence[Measured]) -> None:
    """Writes them as CSV."""
    files.write(path, files.csv_text([Measured._fields, *cells], digits=4))
