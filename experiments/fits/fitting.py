"""What a process of a fit study does: TensorFlow must be loaded."""

import functools
from collections.abc import Sequence
from pathlib import Path

from experiments.fits import data, judge
from experiments.fits.data import FitData
from experiments.fits.table import Cell, FitRow, Size, source_name
from vagram_tf.commands.judging import signs
from vagram_tf.model.value_gradients import values_and_gradients


def fit(cell: Cell, size: Size, seeds: Sequence[int]) -> list[FitRow]:
    """Fits and judges one cell with each of the seeds."""
    study = open_source(cell.source, size.states)
    of = judge.Judge(study)
    model = cell.model(size)
    return [
        FitRow(
            source_name(cell.source),
            study.task,
            cell.width,
            cell.objective,
            seed,
            *result.errors,
            of.value_spread,
            result.steps,
            result.seconds,
            size.members,
            size.steps,
            size.states,
        )
        for seed, result in zip(seeds, judge.fits(study, of, model, seeds), strict=True)
    ]


def signs_of(source: Path, states: int) -> tuple[signs.Signs, int]:
    """Returns the signs and D of a source."""
    study = open_source(source, states)
    observation, action, _, _, after = study.real
    _, gradient = values_and_gradients(study.agent.values_of("critics"), after)  # [N, C, D]
    of = signs.signs(
        observation.numpy(),
        action.numpy(),
        (after - observation).numpy(),
        gradient.numpy().transpose(1, 0, 2),
    )
    return of, observation.shape[-1]


@functools.cache  # a run's simulator is asked once per process, and not once per cell
def open_source(path: Path, states: int) -> FitData:
    """Returns the data and critics of a source; raises ValueError as `data.load` and
    `data.from_run` do.
    """
    return data.load(path) if path.is_file() else data.from_run(path, states)
