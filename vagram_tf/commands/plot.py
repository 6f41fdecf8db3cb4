"""Draws a sweep: learning curves and final returns of every setting, from the sweep's CSV.

    vagram-plot --csv=sweeps/pendulum/evening.csv --output=curves
    vagram-plot --csv=sweeps/mine/evening.csv --csv=sweeps/theirs/evening.csv --output=both

Reads the columns study, setting, seed, env_step and return; several files are drawn together.
Settings that differ in nothing but the loss, with which their names begin, share a panel. Writes
<output>.png and .svg with <output>.csv, and <output>_final.png, .svg and .csv; where a loss is in
several panels, the scores over all of them, too, as <output>_all.csv.
"""

from pathlib import Path
from typing import NamedTuple

from absl import flags as absl_flags

from vagram_tf.commands import inputs, paths
from vagram_tf.commands.learning_curves.sweep_table import SeedReturn, SettingPlan, read
from vagram_tf.commands.program import Program


class Order(NamedTuple):
    """What is drawn, and where to."""

    evaluations: list[SeedReturn]
    plans: dict[str, SettingPlan]
    last: float
    output: str


def define() -> None:
    """Defines the flags."""
    paths.define_several("csv", "a sweep's CSV; may be repeated")
    paths.define("output", None, "path of the files without suffix")
    absl_flags.DEFINE_float(
        "last", 0.1, "share of the steps, at their end, that final returns are of; 1: all of them"
    )


def check() -> Order:
    """Returns what the flags ask for; raises ValueError."""
    given = absl_flags.FLAGS
    if not given.csv or not given.output:
        raise ValueError(f"--{'output' if given.csv else 'csv'} is needed, see --help")
    if not 0.0 < given.last <= 1.0:
        raise ValueError(f"--last must be within (0, 1], got {given.last:g}")
    inputs.check_output(given.output)
    _check_kept(given.csv, given.output)
    return Order(*read(given.csv), given.last, str(given.output))


def _check_kept(drawn: list[Path], output: Path) -> None:
    """Raises ValueError where a table of the figures would take the place of a CSV that they are
    drawn from.
    """
    tables = {Path(f"{output}{suffix}.csv").resolve() for suffix in ("", "_final", "_all")}
    for path in drawn:
        if path.resolve() in tables:
            raise ValueError(f"--output={output} would overwrite {path}")


def main() -> None:
    """Runs the program and ends the process."""
    Program(
        define, check, "vagram_tf.commands.learning_curves.work", None, ("matplotlib", "scipy")
    ).main()
