"""Does the work of a fit study: its cells in processes side by side, its rows on the disk as they come."""

import functools
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from experiments.fits.table import SHIPPED, Cell, Row, Size, save
from vagram_tf.commands.judging import signs
from vagram_tf.commands.sweeps.child import end_with

if TYPE_CHECKING:
    from experiments.fits.data import FitData


def keep(source: Path, states: int, path: Path) -> Path:
    """Writes the data and critics of a source to an `.npz`; see `data.from_run` for the errors."""
    _source(source, states).save(path)
    return path


def run(cells: Sequence[Cell], size: Size, jobs: int, done: Sequence[Row], path: Path) -> list[Row]:
    """Fits and judges what is not done yet, and writes the table after every cell.

    Args:
      cells: to be fitted.
      size: of the study.
      jobs: processes.
      done: rows that an earlier start has left.
      path: of the table.

    Returns:
      All rows, in the order of the cells; before them those of other cells that an earlier start has left.

    Raises:
      ValueError: a source does not fit.
    """
    order = {_key(cell): i for i, cell in enumerate(cells)}
    rows = list(done)
    known = {(row.source, row.width, row.objective, row.seed) for row in rows}
    missing = {cell: [seed for seed in range(size.seeds) if (*_key(cell), seed) not in known] for cell in cells}
    total = sum(map(len, missing.values()))
    bar = tqdm(total=total, unit="fit", dynamic_ncols=True, mininterval=0.5)
    with bar, workers(jobs) as pool:
        futures = [pool.submit(fit, cell, size, seeds) for cell, seeds in missing.items() if seeds]
        try:
            for future in as_completed(futures):
                fitted = future.result()
                rows += fitted
                rows.sort(key=lambda row: (order.get((row.source, row.width, row.objective), -1), row.seed))
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
    return ProcessPoolExecutor(jobs, mp_context=context, initializer=end_with, initargs=(os.getpid(),))


def fit(cell: Cell, size: Size, seeds: Sequence[int]) -> list[Row]:
    """Fits and judges one cell with each of the seeds; what a process is given to do."""
    study = _source(cell.source, size.states)
    from experiments.fits import judge

    of = judge.Judge(study)
    model = cell.model(size)
    return [
        Row(_name(cell.source), study.task, cell.width, cell.objective, seed, *result.errors, of.value_spread,
            result.steps, result.seconds, size.members, size.steps)
        for seed, result in zip(seeds, judge.fits(study, of, model, seeds), strict=True)]


def signs_of(sources: Sequence[Path], states: int, jobs: int) -> dict[str, tuple[signs.Signs, int]]:
    """Returns the signs and D of every source, by the name that its rows have."""
    with workers(jobs) as pool:
        return dict(zip(map(_name, sources), pool.map(_signs, sources, [states] * len(sources)), strict=True))


def _signs(source: Path, states: int) -> tuple[signs.Signs, int]:
    study = _source(source, states)
    from vagram_tf.model.value_gradients import values_and_gradients

    observation, action, _, _, after = study.real
    _, gradient = values_and_gradients(study.agent.values_of("critics"), after)  # [N, C, D]
    of = signs.signs(observation.numpy(), action.numpy(), (after - observation).numpy(),
                     gradient.numpy().transpose(1, 0, 2))
    return of, observation.shape[-1]


@functools.cache  # a run's simulator is asked once per process, and not once per cell
def _source(path: Path, states: int) -> "FitData":
    from vagram_tf import quiet

    quiet.load_tensorflow(1)
    from experiments.fits import data

    return data.load(path) if path.is_file() else data.from_run(path, states)


def _name(source: Path) -> str:
    return source.stem if source.resolve().parent == SHIPPED.resolve() else str(source)


def _key(cell: Cell) -> tuple[str, str, str]:
    return _name(cell.source), cell.width, cell.objective
