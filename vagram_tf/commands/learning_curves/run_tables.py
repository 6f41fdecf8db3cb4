"""What runs have left, of a sweep or not: the tables of their evaluations, and what they are
called.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vagram_tf import files
from vagram_tf.commands.learning_curves.sweep_table import SeedReturn, SettingPlan, plan, plans_of


class Evaluation(NamedTuple):
    """A row of `progress.csv`, as far as it is drawn."""

    env_step: int
    mean_return: float


def paths(directory: Path) -> dict[Path, Path]:
    """Returns the tables that `tables` reads, by their run."""
    found = {path.parent: path for path in sorted(directory.rglob("progress.csv"))}
    return found or {path.with_suffix(""): path for path in sorted(directory.glob("*.csv"))}


def tables(directory: Path, kind: type[files.Row]) -> dict[str, list[files.Row]]:
    """Returns the evaluations of a directory's runs, by their path in it: of every `progress.csv`
    below it, or else of every table in it, named after its run.

    Args:
      directory: of runs, or of tables.
      kind: of a row, see `files.read_csv`.

    Raises:
      ValueError: it holds no run, or a table of something else.
      OSError: a table cannot be read.
    """
    read = {
        name.relative_to(directory).as_posix(): files.read_csv(path, kind, "progress")
        for name, path in paths(directory).items()
    }
    read = {name: rows for name, rows in read.items() if rows}
    if not read:
        raise ValueError(f"{directory} holds no run that has been evaluated")
    return read


def read(directories: Sequence[Path]) -> tuple[list[SeedReturn], dict[str, SettingPlan]]:
    """Reads what is drawn of runs, as `sweep_table.read` does of sweeps.

    A run in `<env>/<loss>/<seed>`, as `mbpo` leaves it, has the setting `<loss>_<env>`; where a
    sweep has left it, that of the directory above. A table has that of its name,
    `<setting>_<seed>.csv`. Of several directories each is a study. Plans are those of a run's
    `config.json`, and of the sweep's settings in `<directory>.json`; the seeds that are there are
    all that are expected.

    Raises:
      ValueError: see `tables`; a run or a table is not called after its seed; two have one name.
      OSError: a table cannot be read.
    """
    evaluations: dict[tuple[str, int], list[SeedReturn]] = {}
    planned: dict[str, SettingPlan] = {}
    for directory in directories:
        study = f"{directory}/" if len(directories) > 1 else ""
        of_tables = plans_of(Path(f"{directory}.json"))
        for name, rows in tables(directory, Evaluation).items():
            own, seed = _setting_and_seed(directory, name)
            setting = f"{study}{own}"
            if (setting, seed) in evaluations:
                raise ValueError(f"{directory / name}: {setting!r}, seed {seed}, was read before")
            evaluations[setting, seed] = [SeedReturn(setting, seed, *row) for row in rows]
            found = of_tables.get(own) or _plan_of_run(directory / name)
            if found:
                planned[setting] = found
    seeds = {
        setting: sorted(seed for other, seed in evaluations if other == setting)
        for setting in planned
    }
    flat = [of for each in evaluations.values() for of in each]
    return flat, {name: of._replace(seeds=seeds[name]) for name, of in planned.items()}


def _setting_and_seed(directory: Path, name: str) -> tuple[str, int]:
    place = directory / name
    if place.is_dir():
        *above, last = Path(name).parts if "/" in name else place.resolve().parts[-2:]
        setting = "_".join(reversed(above)) if len(above) <= 2 else "/".join(above[:-2])
    else:
        setting, _, last = name.rpartition("_")
    if not setting or not last.isdecimal():
        raise ValueError(f"{place} is not called after a setting and a seed")
    return setting, int(last)


def _plan_of_run(directory: Path) -> SettingPlan | None:
    try:
        return plan(json.loads((directory / "config.json").read_text()), [])
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
