"""The work of `fit_study`: its fits, what told of them beforehand, and its figure."""

from pathlib import Path

from experiments.fits import figure, measured_signs, table, work


def run(order: table.Order) -> None:
    """Runs a study, or keeps the data of its source; raises ValueError or OSError."""
    if order.keep:
        print(f"written  {work.keep(order.sources[0], order.size.states, order.keep)}")
        return
    path, signs_path = Path(f"{order.output}.csv"), Path(f"{order.output}_signs.csv")
    with work.workers(order.jobs) as pool:
        rows = work.run(order.cells, order.size, pool, order.done, path)
        print(table.summary(rows))
        signs = work.signs_of(order.sources, order.size.states, pool)
    measured_signs.save(signs_path, measured_signs.measured(rows, signs))
    written = [path, signs_path, *figure.draw(rows, order.output)]
    print("\n".join(f"written  {path}" for path in written))
