"""Does the work of a fit study: its cells in processes side by side, its rows on the disk as they
come.
"""

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tqdm import tqdm

from experiments.fits.table import Cell, FitRow, Size, save, source_name
from vagram_tf.commands.judging.signs import Signs
from vagram_tf.commands.program import with_tensorflow
from vagram_tf.commands.sweeps.child import end_with

_FITTING = "experiments.fits.fitting"


def keep(source: Path, states: int, path: Path) -> Path:
    """Writes the data and critics of a source to an `.npz`; see `fitting.open_source` for the
    errors.
    """
    with_tensorflow(_FITTING, 1).open_source(source, states).save(path)
    return path


def run(
    cells: Sequence[Cell],
    size: Size,
    pool: ProcessPoolExecutor,
    done: Sequence[FitRow],
    path: Path,
) -> list[FitRow]:
    """Fits and judges what is not done yet, and writes the table after every cell.

    Args:
      cells: to be fitted.
      size: of the study.
      pool: of `workers`.
      done: rows that an earlier start has left.
      path: of the table.

    Returns:
      All rows, in the order of the cells; before them those of other cells that an earlier start
      has left.

    Raises:
      ValueError: a source does not fit.
    """
    order = {_key(cell): i for i, cell in enumerate(cells)}
    rows = list(done)
    known = {(row.source, row.width, row.objective, row.seed) for row in rows}
    missing = {
        cell: [seed for seed in range(size.seeds) if (*_key(cell), seed) not in known]
        for cell in cells
    }
    total = sum(map(len, missing.values()))
    bar = tqdm(total=total, unit="fit", dynamic_ncols=True, mininterval=0.5)
    with bar:
        futures = [pool.submit(fit, cell, size, seeds) for cell, seeds in missing.items() if seeds]
        try:
            for future in as_completed(futures):
                fitted = future.result()
                rows += fitted
                rows.sort(
                    key=lambda row: (
                        order.get((row.source, row.width, row.objective), -1),
                        row.seed,
                    )
                )
                save(path, rows)
                bar.update(len(fitted))
                bar.set_postfix_str(f"{fitted[0].objective} {fitted[0].width}; {fitted[0].task}")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return rows


def workers(jobs: int) -> ProcessPoolExecutor:
    """Returns processes that do not outlive this one."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(
        jobs, mp_context=context, initializer=end_with, initargs=(os.getpid(),)
    )


def fit(cell: Cell, size: Size, seeds: Sequence[int]) -> list[FitRow]:
    """Fits and judges one cell with each of the seeds, in a process that is given nothing else to
    do.
    """
    return with_tensorflow(_FITTING, 1).fit(cell, size, seeds)


def signs_of(
    sources: Sequence[Path], states: int, pool: ProcessPoolExecutor
) -> dict[str, tuple[Signs, int]]:
    """Returns the signs and D of every source, by the name that its rows have."""
    signs = pool.map(_signs, sources, [states] * len(sources))
    return dict(zip(map(source_name, sources), signs, strict=True))


def _signs(source: Path, states: int) -> tuple[Signs, int]:
    return with_tensorflow(_FITTING, 1).signs_of(source, states)


def _key(cell: Cell) -> tuple[str, str, str]:
    return source_name(cell.source), cell.width, cell.objective
