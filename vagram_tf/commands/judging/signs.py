"""Signs that value-aware weights pay: three numbers of data and critics, and what they came with in
a fit study.

Pure functions of NumPy arrays. `N` is the number of real steps, the other letters are those of
`vagram_tf.types`.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vagram_tf import files

_RESULTS = Path(__file__).parents[3] / "results"
MEASURED = tuple(
    _RESULTS / f"{study}_signs.csv"
    for study in ("fit_study/fit_study", "bottleneck_fits/discount_95", "bottleneck_fits/evening")
)
"""What the committed fit studies found."""


class Signs(NamedTuple):
    """What decides whether a model should be told what matters.

    Attributes:
      rank: how many directions of change can be predicted and hardly matter; `rank / width` is how
        often they would fill the narrowest layer of a model.
      agreement: of the critics' gradients, 1 if they are the same and 0 if they have nothing in
        common: how much of what the weights see is there.
      dimensions: how many of the D dimensions the value depends on: 1 if on one alone, D if on all
        alike.
    """

    rank: float
    agreement: float
    dimensions: float


class Measured(NamedTuple):
    """A cell of a fit study: its signs, and what `vagram` had there.

    Attributes:
      of_mse: the value error of `vagram` as a share of that of `mse`, which has equal weights: what
        the weights did, and what the signs are about.
      of_mle: as a share of that of `mle`: what the weights and a variance that is not part of the
        loss did.
    """

    task: str
    width: str
    rank: float
    agreement: float
    dimensions: float
    of_dimensions: int
    of_mse: float
    of_mle: float


def signs(
    observation: np.ndarray, action: np.ndarray, change: np.ndarray, value_gradient: np.ndarray
) -> Signs:
    """Returns the signs of a run.

    A dimension matters as much as the value changes where it changes by its spread, squared; one
    that matters less than the average hardly matters. What can be predicted is what a linear
    function of observation and action explains; it has a rank of `Σ min(λ, 1)` over the eigenvalues
    of its covariance, with changes in units of their spread: a direction counts for as much of it
    as can be predicted, and twice the same direction once.

    Args:
      observation: `[N, D]`.
      action: `[N, A]`.
      change: `[N, D]`, of the observation.
      value_gradient: `[C, N, D]`, dV/ds' of each critic.
    """
    spread = np.std(change, axis=0, dtype=np.float64)
    slope = value_gradient * spread
    matters = np.mean(slope**2, axis=(0, 1))
    share = matters / (np.sum(matters) or 1.0)
    idle = (share < 1.0 / len(share)) & (spread > 0)
    return Signs(
        _rank(observation, action, change[:, idle] / spread[idle]),
        _agreement(slope),
        float(1.0 / (np.sum(share**2) or 1.0)),
    )


def _rank(observation: np.ndarray, action: np.ndarray, change: np.ndarray) -> float:
    """Returns the rank of what is predictable in changes `[N, d]`."""
    if change.shape[1] == 0:
        return 0.0
    seen = np.concatenate([observation, action], axis=1).astype(np.float64)
    seen, change = seen - np.mean(seen, axis=0), change - np.mean(change, axis=0)
    explained = seen @ np.linalg.lstsq(seen, change, rcond=None)[0]
    eigenvalues = np.linalg.eigvalsh(explained.T @ explained / len(explained))
    return float(np.sum(np.clip(eigenvalues, 0.0, 1.0)))


def _agreement(slope: np.ndarray) -> float:
    """Returns the mean over pairs of critics of the cosine between their slopes, all `[N, D]` as
    one vector.
    """
    size = np.sqrt(np.sum(slope**2, axis=(1, 2)))
    cosines = [
        np.sum(slope[i] * slope[j]) / (size[i] * size[j] or 1.0)
        for i in range(len(slope))
        for j in range(i)
    ]
    return float(np.mean(cosines)) if cosines else math.nan


def narrowest(width: str) -> int:
    """Returns the units of the narrowest of the layers `64x64`."""
    return min(map(int, width.split("x")))


def read(paths: Iterable[Path]) -> list[Measured]:
    """Reads what a fit study wrote beside its table; nothing where there is no such file."""
    return [
        cell for path in paths if path.exists() for cell in files.read_csv(path, Measured, "signs")
    ]


def nearest(of: Signs, width: int, dimensions: int, cells: Sequence[Measured]) -> Measured:
    """Returns the cell whose signs are nearest: in powers of two of `rank / width`, and in fourths
    of the rest.
    """

    def distance(cell: Measured) -> float:
        crowding = (of.rank + 1) / width, (cell.rank + 1) / narrowest(cell.width)
        share = of.dimensions / dimensions, cell.dimensions / cell.of_dimensions
        return math.hypot(
            math.log2(crowding[0] / crowding[1]),
            4 * (of.agreement - cell.agreement),
            4 * (share[0] - share[1]),
        )

    return min(cells, key=distance)
