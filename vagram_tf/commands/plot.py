"""Draws learning curves and final returns of every setting, from a sweep's CSV or from runs.

    vagram-plot --csv=sweeps/pendulum/evening.csv --output=curves
    vagram-plot --csv=sweeps/mine/evening.csv --csv=sweeps/theirs/evening.csv --output=both
    vagram-plot --runs=runs --output=mine

Of a CSV the columns study, setting, seed, env_step and return are read; several files are drawn
together. A directory of runs may be that of other runs than a sweep's, or hold their tables.
Settings that differ in nothing but the loss, with which their names begin, share a panel. Writes
<output>.png and .pdf with <output>.csv, <output>_final.png, .pdf and .csv, and the losses over all
panels: <output>_all.png, .pdf and .csv, <output>_improvement.csv.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from absl import flags as absl_flags

from vagram_tf.commands import inputs, paths
from vagram_tf.commands.learning_curves import run_tables
from vagram_tf.commands.learning_curves.panels import Look, panels
from vagram_tf.commands.learning_curves.sweep_table import (
    SeedReturn,
    SettingPlan,
    panel_of,
    read,
)
from vagram_tf.commands.program import Program


class Order(NamedTuple):
    """What is drawn, and where to."""

    evaluations: list[SeedReturn]
    plans: dict[str, SettingPlan]
    look: Look
    output: str


def define() -> None:
    """Defines the flags."""
    paths.define_several("csv", "a sweep's CSV; may be repeated")
    paths.define_several(
        "runs", "instead, a directory of runs or of their tables <setting>_<seed>.csv; likewise"
    )
    paths.define("output", None, "path of the files without suffix")
    absl_flags.DEFINE_float(
        "last", 0.1, "share of the steps, at their end, that final returns are of; 1: all of them"
    )
    absl_flags.DEFINE_multi_string(
        "labels", [], "what a curve is called, as mle=MLE; may be repeated"
    )
    absl_flags.DEFINE_multi_string(
        "titles",
        [],
        "what a panel is called: a setting's name without the loss, =, its title; may be repeated",
    )
    absl_flags.DEFINE_bool("interquartile_mean", False, "show the interquartile mean, too")


def check() -> Order:
    """Returns what the flags ask for; raises ValueError or OSError."""
    given = absl_flags.FLAGS
    if bool(given.csv) == bool(given.runs):
        raise ValueError("either --csv or --runs is needed, see --help")
    if not given.output:
        raise ValueError("--output is needed, see --help")
    if not 0.0 < given.last <= 1.0:
        raise ValueError(f"--last must be within (0, 1], got {given.last:g}")
    inputs.check_output(given.output)
    tables = [path for directory in given.runs for path in run_tables.paths(directory).values()]
    _check_kept([*given.csv, *tables], given.output)
    evaluations, plans = run_tables.read(given.runs) if given.runs else read(given.csv)
    settings = dict.fromkeys(of.setting for of in evaluations)
    shown = panels(settings, plans)
    for name, title in _renamed("titles", given.titles, shown).items():
        shown[name] = shown[name]._replace(title=title)
    labels = {panel_of(setting)[1]: panel_of(setting)[1] for setting in settings}
    labels |= _renamed("labels", given.labels, labels)
    look = Look(shown, labels, given.last, given.interquartile_mean)
    return Order(evaluations, plans, look, str(given.output))


def _renamed(flag: str, given: Sequence[str], known: Mapping[str, object]) -> dict[str, str]:
    """Returns the new names from texts `name=new name`; raises ValueError."""
    found = {}
    for text in given:
        # A setting's own name may hold the sign, too.
        name = max((name for name in known if text.startswith(f"{name}=")), key=len, default=None)
        if name is None:
            there = ", ".join(f"'{name}='" for name in known)
            raise ValueError(f"--{flag} must begin with one of {there}; got {text!r}")
        found[name] = text.removeprefix(f"{name}=")
        _check_mathematics(flag, found[name])
    return found


def _check_mathematics(flag: str, text: str) -> None:
    """Raises ValueError where Matplotlib cannot set the formulas of a text."""
    if "$" not in text:
        return
    from matplotlib import cbook, mathtext  # only for this: refusals are to be quick

    if cbook.is_math_text(text):
        try:
            mathtext.MathTextParser("path").parse(text)
        except ValueError:
            raise ValueError(f"--{flag}: Matplotlib cannot set {text!r}") from None


def _check_kept(drawn: list[Path], output: Path) -> None:
    """Raises ValueError where a table of the figures would take the place of a CSV that they are
    drawn from.
    """
    tables = {
        Path(f"{output}{suffix}.csv").resolve() for suffix in ("", "_final", "_all", "_improvement")
    }
    for path in drawn:
        if path.resolve() in tables:
            raise ValueError(f"--output={output} would overwrite {path}")


def main() -> None:
    """Runs the program and ends the process."""
    Program(
        define, check, "vagram_tf.commands.learning_curves.work", None, ("matplotlib", "scipy")
    ).main()
