"""What tests of pages read the committed results with."""

import csv

import programs

RESULTS = programs.ROOT / "results"


def rows_of(path):
    """Returns the rows of a CSV in results/, by column."""
    with (RESULTS / path).open() as file:
        return list(csv.DictReader(file))


def of_column(rows, column):
    """Returns the numbers of a column."""
    return [float(row[column]) for row in rows]
