"""The cells of a fit study, its rows, and its table in words. Nothing here imports TensorFlow."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vagram_tf import files
from vagram_tf.config import LOSSES, ModelConfig

SHIPPED = Path(__file__).parent / "shipped"
"""Data that come with the repository; their rows are named after the file, others after its path.
"""

OBJECTIVES: dict[str, dict[str, Any]] = {
    **{loss: {"loss": loss} for loss in LOSSES},
    "mle_fixed": {"loss": "mle", "variance_bounds": "fixed"},
    "vagram_agreement": {"loss": "vagram", "value_gradient_weights": "agreement"},
    "vagram_dimension": {"loss": "vagram", "value_gradient_weights": "dimension"},
    "vagram_example": {"loss": "vagram", "value_gradient_weights": "example"},
    "vagram_state": {"loss": "vagram", "model_target": "state"},
}
"""What may be compared, and the model's settings that it differs in. `vagram` has the weights that
are the default.
"""


class Size(NamedTuple):
    """How much a study does: seeds, networks per ensemble, steps of every fit, judged states."""

    seeds: int
    members: int
    steps: int
    states: int


class Cell(NamedTuple):
    """One model on one source: what is fitted once per seed."""

    source: Path
    objective: str
    hidden_units: tuple[int, ...]

    @property
    def width(self) -> str:
        return "x".join(map(str, self.hidden_units))

    def model(self, size: Size) -> ModelConfig:
        """Returns the settings of its fits: the defaults but for the cell and the size, whatever
          the run had.

        No patience ends a fit before its steps are over, so that all objectives get the same
        number.
        """
        return ModelConfig(
            **OBJECTIVES[self.objective],
            model_hidden_units=self.hidden_units,
            members=size.members,
            elites=size.members - 1,
            max_fit_steps=size.steps,
            patience_steps=size.steps,
        )


class Order(NamedTuple):
    """What a study is asked for.

    Attributes:
      sources: runs' directories or data that were kept.
      cells: to be fitted.
      size: of the study.
      jobs: processes side by side.
      done: rows that an earlier start has left.
      output: path of the files without suffix.
      keep: where the data of the one source are written instead of a study, if they are.
    """

    sources: list[Path]
    cells: list[Cell]
    size: Size
    jobs: int
    done: list["FitRow"]
    output: str
    keep: Path | None


class FitRow(NamedTuple):
    """One fit. Errors are those of `judge.FitErrors`; `value_spread` is the standard deviation of
    V in the judged states.

    Attributes:
      source: the run's directory or the data's file, by name.
      task: its environment, with the number and kind of its distractors if there are any.
    """

    source: str
    task: str
    width: str
    objective: str
    seed: int
    value_error: float
    target_error: float
    own_loss: float
    task_error: float
    distractor_error: float
    reward_error: float
    value_spread: float
    fit_steps: int
    seconds: float
    members: int
    most_steps: int
    most_states: int


def source_name(source: Path) -> str:
    """Returns what the rows of a source are called after."""
    return source.stem if source.resolve().parent == SHIPPED.resolve() else str(source)


def cells(sources: Sequence[Path], objectives: Sequence[str], widths: Sequence[str]) -> list[Cell]:
    """Returns every combination.

    Raises:
      ValueError: an objective or a width is none.
    """
    for objective in objectives:
        if objective not in OBJECTIVES:
            raise ValueError(
                f"there is no objective {objective!r}; there are {', '.join(OBJECTIVES)}"
            )
    try:
        layers = [tuple(int(units) for units in width.split("x")) for width in widths]
    except ValueError:
        layers = [()]
    if not layers or any(not units or min(units) < 1 for units in layers):
        raise ValueError(
            f"--widths must be units joined by x, as in 16,32x32; got {','.join(widths)!r}"
        )
    return [
        Cell(source, objective, units)
        for source in sources
        for units in layers
        for objective in objectives
    ]


def read(path: Path, size: Size) -> list[FitRow]:
    """Returns the rows of a study that was begun, none if there is none.

    Raises:
      ValueError: the file holds something else, or a study of another size.
    """
    if not path.exists():
        return []
    rows = files.read_csv(path, FitRow, "a fit study")
    asked = size.members, size.steps, size.states
    if any((row.members, row.most_steps, row.most_states) != asked for row in rows):
        raise ValueError(
            f"{path} holds a study of another size; choose another --output, or its --members, "
            "--steps and --states"
        )
    return rows


def save(path: Path, rows: Sequence[FitRow]) -> None:
    """Writes the rows as CSV."""
    files.write(path, files.csv_text([FitRow._fields, *rows], digits=5))


def summary(rows: Sequence[FitRow]) -> str:
    """Returns means over seeds, and the standard errors of value error and own loss, in a table per
    source.
    """
    lines = []
    for source in dict.fromkeys(row.source for row in rows):
        mine = [row for row in rows if row.source == source]
        lines += [
            "",
            f"{source}: {mine[0].task}; standard deviation of V {mine[0].value_spread:.3g}",
            "",
            f"{'width':12} {'objective':17} {'value error':>16} {'own loss':>18} {'target':>8} "
            f"{'task':>7} {'distractors':>11} {'reward':>8} {'steps':>6}",
        ]
        for width, objective in dict.fromkeys((row.width, row.objective) for row in mine):
            cell = [row for row in mine if (row.width, row.objective) == (width, objective)]
            columns = (
                f"{width:12}",
                f"{objective:17}",
                f"{_mean(cell, 'value_error'):8.3g} ± {_error(cell, 'value_error'):<5.2g}",
                f"{_mean(cell, 'own_loss'):10.3g} ± {_error(cell, 'own_loss'):<5.2g}",
                f"{_mean(cell, 'target_error'):8.3g}",
                f"{_mean(cell, 'task_error'):7.3f}",
                f"{_mean(cell, 'distractor_error'):11.3f}",
                f"{_mean(cell, 'reward_error'):8.3g}",
                f"{_mean(cell, 'fit_steps'):6.0f}",
            )
            lines.append(" ".join(columns))
    return "\n".join([*lines, ""])


def _mean(cell: Sequence[FitRow], field: str) -> float:
    """Returns the mean of a field over the rows of a cell."""
    return float(np.mean([getattr(row, field) for row in cell]))


def _error(cell: Sequence[FitRow], field: str) -> float:
    """Returns the standard error of that mean; not a number of one row."""
    values = [getattr(row, field) for row in cell]
    if len(values) == 1:
        return float("nan")
    return float(np.std(values, ddof=1) / len(values) ** 0.5)
