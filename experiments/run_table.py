"""Prints a table of runs: what each has earned, and whether its critics stayed sound.

    python -m experiments.run_table --runs=sweeps/model_limit/evening
    python -m experiments.run_table --runs=results/model_limit/evening

Reads `progress.csv` of every run below the directories, or else every table in them. Returns are
those of the greedy policy. `largest mean Q, by worth` is over the run's evaluations; the worth is
that of the best policy seen: what an episode earns, discounted, that gets in each step the mean
reward of the run's best evaluation, and is as long. Critics that diverge have many times that;
where it is not positive, nothing is said.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from absl import flags as absl_flags

from vagram_tf.commands import paths
from vagram_tf.commands.learning_curves.run_tables import tables
from vagram_tf.commands.program import Program

_LAST = 5  # evaluations
_COLUMNS = (
    "run",
    "steps",
    "return, the whole run",
    f"the last {_LAST} evaluations",
    "the best evaluation",
    "largest mean Q, by worth",
    "largest temperature",
)


class Evaluation(NamedTuple):
    """A row of `progress.csv`, as far as it is needed here."""

    env_step: int
    mean_return: float
    mean_length: float
    q_mean: float
    temperature: float


class Order(NamedTuple):
    """The evaluations of each run, with its name, and the discount of their agents."""

    runs: list[tuple[str, list[Evaluation]]]
    discount: float


def define() -> None:
    """Defines the flags."""
    paths.define_several("runs", "a directory of runs or of their tables; may be repeated")
    absl_flags.DEFINE_float("discount", 0.99, "of the runs' agents", 0.0, 0.9999)


def check() -> Order:
    """Returns what the flags ask for; raises ValueError or OSError."""
    given = absl_flags.FLAGS
    if not given.runs:
        raise ValueError("--runs is needed, see --help")
    of_several = len(given.runs) > 1
    runs = [
        (str(directory / name) if of_several else name, table)
        for directory in given.runs
        for name, table in tables(directory, Evaluation).items()
    ]
    return Order(runs, given.discount)


def row(name: str, evaluations: Sequence[Evaluation], discount: float) -> str:
    """Returns the line of a run."""
    returns = [of.mean_return for of in evaluations]
    best = max(evaluations, key=lambda of: of.mean_return)
    discounted_length = (1.0 - discount**best.mean_length) / (1.0 - discount)
    worth = best.mean_return / best.mean_length * discounted_length
    q = max(of.q_mean for of in evaluations)
    cells = (
        f"`{name}`",
        f"{evaluations[-1].env_step:,}",
        *(f"{x:,.0f}" for x in (np.mean(returns), np.mean(returns[-_LAST:]), best.mean_return)),
        f"{q / worth:.2f}" if worth > 0 else "-",
        f"{max(of.temperature for of in evaluations):.2f}",
    )
    return f"| {' | '.join(cells)} |"


def run(order: Order) -> None:
    """Prints the table."""
    print(f"| {' | '.join(_COLUMNS)} |")
    print("|---" + "|---:" * (len(_COLUMNS) - 1) + "|")
    for name, evaluations in order.runs:
        print(row(name, evaluations, order.discount))


if __name__ == "__main__":
    Program(define, check, "experiments.run_table", threads=None).main()
