"""What a sweep has left: its evaluations, what is missing of them, which panel a setting belongs
to.
"""

import csv
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vagram_tf.commands.report.palette import COLOURS

_NUMBERS = ("seed", "env_step", "return")
_COLUMNS = ("study", "setting", *_NUMBERS)
_DELIMITERS = ",;\t"


class SeedReturn(NamedTuple):
    """One row of a sweep's CSV. `setting` has the study in front where several are drawn."""

    setting: str
    seed: int
    env_step: int
    total: float


class SettingPlan(NamedTuple):
    """What a setting's runs will have been.

    Attributes:
      seeds: theirs.
      end: environment step of their last evaluation.
      settings: of their configuration by name, without those of the section `run`, which says what
        is measured.
    """

    seeds: list[int]
    end: int
    settings: Mapping[str, Any]


def read(paths: Sequence[Path]) -> tuple[list[SeedReturn], dict[str, SettingPlan]]:
    """Reads sweeps' CSVs, and the settings that a sweep writes beside its CSV, as .json, where they
    are there.

    Returns:
      The evaluations, and the plan of each setting that has one.

    Raises:
      ValueError: in one sentence, a file cannot be read, is empty, has no such column, holds what
        is no number, or two different returns for the same evaluation.
    """
    rows: dict[tuple[str, str, int, int], float] = {}
    planned: dict[tuple[str, str], SettingPlan] = {}
    for path in paths:
        for line, row in _rows(path):
            key = (
                row["study"],
                row["setting"],
                _whole_number(path, line, row, "seed"),
                _whole_number(path, line, row, "env_step"),
            )
            total = _number(path, line, row, "return")
            if rows.setdefault(key, total) != total:
                raise ValueError(
                    f"{path}, line {line}: another return of {key[1]!r}, seed {key[2]}, step "
                    f"{key[3]} "
                    "was read before"
                )
        study = row["study"]  # the only one: a sweep writes no more into a file
        planned |= {
            (study, setting): plan for setting, plan in plans_of(path.with_suffix(".json")).items()
        }
    several = len({study for study, *_ in rows}) > 1

    def name(study: str, setting: str) -> str:
        return f"{study}/{setting}" if several else setting

    evaluations = [
        SeedReturn(name(study, setting), seed, step, total)
        for (study, setting, seed, step), total in rows.items()
    ]
    return evaluations, {name(*key): plan for key, plan in planned.items()}


def missing(evaluations: Sequence[SeedReturn], plans: Mapping[str, SettingPlan]) -> list[str]:
    """Returns a line for each setting that lacks seeds, and for each seed that lacks evaluations.

    Where a setting has no plan, it is to have the seeds of its study and the last step of its
    panel.
    """
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
        expected = plans.get(setting) or SettingPlan(
            sorted(seeds[setting.rpartition("/")[0]]), ends[panel_of(setting)[0]], {}
        )
        everything = set().union(*by_seed.values())
        if absent := [seed for seed in expected.seeds if seed not in by_seed]:
            lines.append(f"missing  {setting}: {_listed('seed', absent)}")
        for seed, steps in sorted(by_seed.items()):
            last = max(steps)
            if gaps := sorted(step for step in everything - steps if step < last):
                lines.append(
                    f"missing  {setting}: seed {seed} at {_listed('environment step', gaps)}"
                )
            if last < expected.end:
                lines.append(
                    f"missing  {setting}: seed {seed} after environment step {last} of "
                    f"{expected.end}"
                )
        if len(by_seed) == 1:
            lines.append(f"note     {setting}: one seed, so there is no interval")
    return lines


def _listed(what: str, numbers: Sequence[int]) -> str:
    return f"{what}{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def plans_of(path: Path) -> dict[str, SettingPlan]:
    """Returns the plans of a sweep's settings; none without the file, or with one that no sweep has
    written.
    """
    try:
        content = json.loads(path.read_text())
        seeds = list(map(int, content["seeds"]))
        return {setting: plan(config, seeds) for setting, config in content["settings"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def plan(configuration: Mapping[str, Mapping[str, Any]], seeds: list[int]) -> SettingPlan:
    """Returns the plan of runs with a configuration, as its JSON has it, by section."""
    of = {
        name: value
        for section, values in configuration.items()
        if section != "run"
        for name, value in values.items()
    }
    return SettingPlan(seeds, of["random_steps"] + of["num_steps"], of)


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Returns the rows of a CSV, as a sweep has written it or as a spreadsheet has saved it, each
    with its line.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            delimiter = max(_DELIMITERS, key=file.readline().count)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter)
            columns = [name.strip() for name in next(reader, [])]
            lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no CSV in UTF-8; spreadsheets save as that, too") from None
    except csv.Error as error:
        raise ValueError(f"{path} is no CSV: {error}") from None
    absent = [column for column in _COLUMNS if column not in columns]
    if columns and absent:
        raise ValueError(f"{path} has no column {', '.join(absent)}")
    rows = [
        (line, dict(itertools.zip_longest(columns, cells[: len(columns)], fillvalue="")))
        for line, cells in lines
        if any(cells)
    ]
    if not rows:
        raise ValueError(f"{path} is empty: it has no row of an evaluation")
    if delimiter != ",":  # then the comma is the decimal point
        rows = [
            (line, row | {name: row[name].replace(",", ".") for name in _NUMBERS})
            for line, row in rows
        ]
    return rows


def _number(path: Path, line: int, row: dict[str, str], column: str) -> float:
    try:
        value = float(row[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{path}, line {line}: {column} must be a number, got {row[column]!r}")
    return value


def _whole_number(path: Path, line: int, row: dict[str, str], column: str) -> int:
    """Returns a number that may have been written as 0.0 or as 1e+02."""
    value = _number(path, line, row, column)
    if value != int(value):
        raise ValueError(
            f"{path}, line {line}: {column} must be a whole number, got {row[column]!r}"
        )
    return int(value)


def panel_of(setting: str) -> tuple[str, str]:
    """Returns the panel and the curve of a setting: `vagram_Hopper_2x64` is vagram in the panel
    Hopper_2x64.

    A setting whose name does not begin with a loss is a curve of its own name in the panel without
    a name, where those are, too, that are called after a loss alone. A study in front, as in
    `study/setting`, stays with the panel.
    """
    study, slash, own = setting.rpartition("/")
    losses = [loss for loss in COLOURS if own == loss or own.startswith(f"{loss}_")]
    curve = max(losses, key=len, default=own)
    rest = own[len(curve) :].removeprefix("_")
    return (f"{study}{slash}{rest}" if rest else study), curve
