"""Draws a sweep: learning curves and final returns of every setting, from the sweep's CSV.

    python -m experiments.plot --csv=results/pendulum/pendulum.csv --output=results/pendulum/curves

Reads the columns study, setting, seed, env_step and return; several files are drawn together. Settings that differ in
nothing but the loss, with which their names begin, share a panel. Writes <output>.png and .svg with <output>.csv, and
<output>_final.png, .svg and .csv; where a loss is in several panels, the scores over all of them, too, as
<output>_all.csv.
"""

import csv
import math
from pathlib import Path
from typing import Any, NamedTuple

from absl import app
from absl import flags as absl_flags

from experiments import flags

COLUMNS = ("study", "setting", "seed", "env_step", "return")


class Evaluation(NamedTuple):
    """One row of a sweep's CSV. `setting` has the study in front where several are drawn."""

    setting: str
    seed: int
    env_step: int
    total: float


def define() -> None:
    """Defines the flags."""
    absl_flags.DEFINE_list("csv", None, "a sweep's CSV, or several separated by commas")
    absl_flags.DEFINE_string("output", None, "path of the files without suffix")
    absl_flags.DEFINE_float("last", 0.1, "share of the steps, at their end, that final returns are of; 1: all of them")


def main(argv: list[str]) -> None:
    del argv
    given = absl_flags.FLAGS
    try:
        flags.check_packages("matplotlib", "scipy")
        if not given.csv or not given.output:
            raise ValueError(f"--{'output' if given.csv else 'csv'} is needed, see --help")
        if not 0.0 < given.last <= 1.0:
            raise ValueError(f"--last must be within (0, 1], got {given.last:g}")
        flags.check_output(given.output)
        paths = [Path(path) for path in given.csv]
        _check_kept(paths, given.output)
        evaluations = read(paths)
    except (ValueError, OSError) as error:
        flags.fail(str(error), 2)
    from experiments.drawing import curves, learning

    try:
        curve, last = learning.curves(evaluations), given.last
        final, scores = learning.final(evaluations, last), learning.scores(evaluations, last)
        written = curves.draw(curve, final, scores, last, given.output)
    except OSError as error:
        flags.fail(str(error), 1)
    for line in missing(evaluations):
        print(line)
    for point in final:
        interval = "no interval" if math.isnan(point.low) else f"{point.low:.1f} to {point.high:.1f}"
        print(f"{point.setting:40}  {point.mean:10.1f}  {interval:>22}  {point.seeds} seeds")
    print("\n".join(f"written  {path}" for path in written))


def _check_kept(paths: list[Path], output: str) -> None:
    """Raises ValueError where a table of the figures would take the place of a CSV that they are drawn from."""
    tables = {Path(f"{output}{suffix}.csv").resolve() for suffix in ("", "_final", "_all")}
    for path in paths:
        if path.resolve() in tables:
            raise ValueError(f"--output={output} would overwrite {path}")


def read(paths: list[Path]) -> list[Evaluation]:
    """Reads sweeps' CSVs.

    Raises:
      ValueError: in one sentence, a file cannot be read, is empty, has no such column, holds what is no number, or two
        different returns for the same evaluation.
    """
    rows: dict[tuple[str, str, int, int], float] = {}
    for path in paths:
        for number, row in enumerate(_rows(path), start=2):
            key = (row["study"], row["setting"], _number(path, number, row, "seed", int),
                   _number(path, number, row, "env_step", int))
            total = _number(path, number, row, "return", float)
            if rows.setdefault(key, total) != total:
                raise ValueError(f"{path}, line {number}: another return of {key[1]!r}, seed {key[2]}, step {key[3]} "
                                 "was read before")
    several = len({study for study, *_ in rows}) > 1
    return [Evaluation(f"{study}/{setting}" if several else setting, seed, env_step, total)
            for (study, setting, seed, env_step), total in rows.items()]


def missing(evaluations: list[Evaluation]) -> list[str]:
    """Returns a line for each setting that lacks seeds which others have, and for each seed that stopped early."""
    from experiments.drawing.learning import panel_of

    seeds = {of.seed for of in evaluations}
    lasts: dict[str, dict[int, int]] = {}
    ends: dict[str, int] = {}
    for of in evaluations:
        last, panel = lasts.setdefault(of.setting, {}), panel_of(of.setting)[0]
        last[of.seed] = max(last.get(of.seed, 0), of.env_step)
        ends[panel] = max(ends.get(panel, 0), of.env_step)
    lines = []
    for setting, last in lasts.items():
        end = ends[panel_of(setting)[0]]
        if absent := sorted(seeds - set(last)):
            lines.append(f"missing  {setting}: {'seeds' if len(absent) > 1 else 'seed'} {', '.join(map(str, absent))}")
        lines += [f"missing  {setting}: seed {seed} after environment step {step} of {end}"
                  for seed, step in sorted(last.items()) if step < end]
        if len(last) == 1:
            lines.append(f"note     {setting}: one seed, so there is no interval")
    return lines


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with open(path, newline="") as file:
            reader = csv.DictReader(file)
            columns, rows = reader.fieldnames or [], list(reader)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no CSV: {error}") from None
    absent = [column for column in COLUMNS if column not in columns]
    if columns and absent:
        raise ValueError(f"{path} has no column {', '.join(absent)}")
    if not rows:
        raise ValueError(f"{path} is empty: it has no row of an evaluation")
    return rows


def _number(path: Path, number: int, row: dict[str, str], column: str, kind: Any) -> Any:
    try:
        value = kind(row[column])
        if math.isfinite(value):
            return value
    except (ValueError, TypeError):  # a short row has None
        pass
    raise ValueError(f"{path}, line {number}: {column} must be a number, got {row[column]!r}")


if __name__ == "__main__":
    define()
    app.run(main, flags_parser=flags.parse)
