"""Fits models without an agent: every objective, on fixed data with fixed critics, judged by the
simulator.

    python -m experiments.fit_study --quick  # a small part, in a minute or two
    python -m experiments.fit_study --source=runs/Hopper-v5/vagram/0  # a run of your own

A source is a finished run's directory, or data that --keep took from one; without any, those that
come with the repository: Hopper with 0, 15 nonlinear and 30 rotation distractors, InvertedPendulum
with 10 of rotation. Fresh models of every width are fitted with every objective and seed, and
predict what follows in held-out states on the policy's own actions. Writes <output>.csv,
<output>_signs.csv, what told of it beforehand, and <output>.png and .pdf: value error and own loss
of vagram as a share of those of the others. Started again, it continues.
"""

import os
from pathlib import Path
from typing import Any

from absl import flags as absl_flags

from experiments.fits import table
from vagram_tf.commands import inputs, paths
from vagram_tf.commands.program import Program

_QUICK: dict[str, Any] = {
    "seeds": 2,
    "steps": 200,
    "widths": ["16", "32x32"],
    "objectives": ["mle", "mse", "vagram"],
}


def define() -> None:
    """Defines the flags."""
    integer = absl_flags.DEFINE_integer
    names = absl_flags.DEFINE_list
    paths.define_several(
        "source", "a run's directory or an .npz that --keep wrote; may be repeated"
    )
    names(
        "objectives",
        [
            "mle",
            "mle_fixed",
            "mse",
            "itervaml",
            "taylor",
            "vagram",
            "vagram_agreement",
            "vagram_example",
        ],
        "what is minimised: a --loss, mle_fixed, or vagram with other weights",
    )
    names(
        "widths",
        ["16", "32x32", "64x64", "128x128x128"],
        "hidden units of the models, layer by layer",
    )
    integer("seeds", 5, "fresh ensembles per source, width and objective", lower_bound=1)
    integer("members", 3, "networks in an ensemble, of which all but one are elites", lower_bound=2)
    integer(
        "steps",
        2000,
        "gradient steps of a fit; the weights that were best on the holdout are kept",
        lower_bound=1,
    )
    integer(
        "states",
        1000,
        "held-out states of a run's directory that its simulator is asked about",
        lower_bound=2,
    )
    integer("jobs", min(2, os.cpu_count() or 1), "processes side by side", lower_bound=1)
    absl_flags.DEFINE_bool(
        "quick", False, "two small widths, three objectives, two seeds, 200 steps"
    )
    paths.define(
        "keep", None, "write the data and critics of the one --source to this .npz, and fit nothing"
    )
    paths.define("output", "fit_study", "path of the files without suffix")


def check() -> table.Order:
    """Returns what the flags ask for; raises ValueError."""
    given = absl_flags.FLAGS
    inputs.check_output(given.output)
    sources = _sources(given.source)
    if given.keep:
        inputs.check_file(given.keep)
        if len(sources) != 1:
            raise ValueError(f"--keep takes one --source, got {len(sources)}")
    chosen = [f"--{name}" for name in _QUICK if given[name].present]
    if given.quick and chosen:
        raise ValueError(
            f"--quick chooses {', '.join(_QUICK)} itself; leave out {' '.join(chosen)}"
        )
    options = given.flag_values_dict() | (_QUICK if given.quick else {})
    cells = table.cells(sources, options["objectives"], options["widths"])
    size = table.Size(options["seeds"], options["members"], options["steps"], given.states)
    done = table.read(Path(f"{given.output}.csv"), size)
    return table.Order(
        sources,
        cells,
        size,
        given.jobs,
        done,
        str(given.output),
        given.keep,
    )


def _sources(named: list[Path]) -> list[Path]:
    """Returns the sources that were named, or those that come with the repository; raises
    ValueError.
    """
    for path in named:
        if not path.is_file() and not (path / "config.json").is_file():
            raise ValueError(
                f"--source={path} is neither a run's directory, which holds a config.json, nor "
                "an .npz"
            )
    return named or sorted(table.SHIPPED.glob("*.npz"))


if __name__ == "__main__":
    Program(define, check, "experiments.fits.study", None, ("matplotlib", "scipy")).main()
