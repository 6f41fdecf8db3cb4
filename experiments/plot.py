"""Draws a sweep: learning curves and final returns of every setting, from the sweep's CSV.

    python -m experiments.plot --csv=results/pendulum/pendulum.csv --output=results/pendulum/curves

Reads the columns study, setting, seed, env_step and return; several files are drawn together. Settings that differ in
nothing but the loss, with which their names begin, share a panel. Writes <output>.png and .svg with <output>.csv, and
<output>_final.png, .svg and .csv; where a loss is in several panels, the scores over all of them, too, as
<output>_all.csv.
"""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import app
from absl import flags as absl_flags

from vagram_tf.commands import flags

COLUMNS = ("study", "setting", "seed", "env_step", "return")


class Evaluation(NamedTuple):
    """One row of a sweep's CSV. `setting` has the study in front where several are drawn."""

    setting: str
    seed: int
    env_step: int
    total: float


class Plan(NamedTuple):
    """What a setting's runs will have been: their seeds, and the environment step of their last evaluation."""

    seeds: list[int]
    end: int


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
        evaluations, plans = read(paths)
    except (ValueError, OSError) as error:
        flags.fail(str(error), 2)
    from vagram_tf.commands.learning_curves import figure, statistics

    try:
        curve, last = statistics.curves(evaluations), given.last
        final, scores = statistics.final(evaluations, last), statistics.scores(evaluations, last)
        written = figure.draw(curve, final, scores, last, given.output)
    except OSError as error:
        flags.fail(str(error), 1)
    for line in missing(evaluations, plans):
        print(line)
    ended = {point.setting for point in final}
    for setting in dict.fromkeys(point.setting for point in curve if point.setting not in ended):
        print(f"note     {setting}: not in the last {100 * last:g} % of its panel's steps, so without a final return")
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


def read(paths: Sequence[Path]) -> tuple[list[Evaluation], dict[str, Plan]]:
    """Reads sweeps' CSVs, and the settings that a sweep writes beside its CSV, as .json, where they are there.

    Returns:
      The evaluations, and the plan of each setting that has one.

    Raises:
      ValueError: in one sentence, a file cannot be read, is empty, has no such column, holds what is no number, or two
        different returns for the same evaluation.
    """
    rows: dict[tuple[str, str, int, int], float] = {}
    planned: dict[tuple[str, str], Plan] = {}
    for path in paths:
        for number, row in enumerate(_rows(path), start=2):
            key = (row["study"], row["setting"], _number(path, number, row, "seed", int),
                   _number(path, number, row, "env_step", int))
            total = _number(path, number, row, "return", float)
            if rows.setdefault(key, total) != total:
                raise ValueError(f"{path}, line {number}: another return of {key[1]!r}, seed {key[2]}, step {key[3]} "
                                 "was read before")
        study = row["study"]  # the only one: a sweep writes no more into a file
        planned |= {(study, setting): plan for setting, plan in _plans(path.with_suffix(".json")).items()}
    several = len({study for study, *_ in rows}) > 1

    def name(study: str, setting: str) -> str:
        return f"{study}/{setting}" if several else setting

    evaluations = [Evaluation(name(study, setting), seed, step, total)
                   for (study, setting, seed, step), total in rows.items()]
    return evaluations, {name(*key): plan for key, plan in planned.items()}


def missing(evaluations: Sequence[Evaluation], plans: Mapping[str, Plan]) -> list[str]:
    """Returns a line for each setting that lacks seeds, and for each seed that lacks evaluations.

    Where a setting has no plan, it is to have the seeds of its study and the last step of its panel.
    """
    from vagram_tf.commands.learning_curves.statistics import panel_of

    found: dict[str, dict[int, set[int]]] = {setting: {} for setting in plans}
    seeds: dict[str, set[int]] = {}
    ends: dict[str, int] = {}
    for of in evaluations:
        study, panel = of.setting.rpartition("/")[0], panel_of(of.setting)[0]
        found.setdefault(of.setting, {}).setdefault(of.seed, set()).add(of.env_step)
        seeds.setdefault(study, set()).add(of.seed)
        ends[panel] = max(ends.get(panel, 0), of.env_step)
    lines = []
    for setting, by_seed in found.items():
        if not by_seed:
            lines.append(f"missing  {setting}")
            continue
        expected = plans.get(setting) or Plan(
            sorted(seeds[setting.rpartition("/")[0]]), ends[panel_of(setting)[0]])
        everything = set().union(*by_seed.values())
        if absent := [seed for seed in expected.seeds if seed not in by_seed]:
            lines.append(f"missing  {setting}: {_listed('seed', absent)}")
        for seed, steps in sorted(by_seed.items()):
            last = max(steps)
            if gaps := sorted(step for step in everything - steps if step < last):
                lines.append(f"missing  {setting}: seed {seed} at {_listed('environment step', gaps)}")
            if last < expected.end:
                lines.append(f"missing  {setting}: seed {seed} after environment step {last} of {expected.end}")
        if len(by_seed) == 1:
            lines.append(f"note     {setting}: one seed, so there is no interval")
    return lines


def _listed(what: str, numbers: Sequence[int]) -> str:
    return f"{what}{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _plans(path: Path) -> dict[str, Plan]:
    """Returns the plans of a sweep's settings; none without the file, or with one that no sweep has written."""
    try:
        content = json.loads(path.read_text())
        steps = {setting: config["dyna"] for setting, config in content["settings"].items()}
        return {setting: Plan(list(map(int, content["seeds"])), of["random_steps"] + of["num_steps"])
                for setting, of in steps.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


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
