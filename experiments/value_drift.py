"""Draws what happens to a model when the value function that it was trained for is replaced by a
later one.

    python -m experiments.mbpo --env=Pendulum-v1 --num_steps=3000 --export_every=200
    python -m experiments.value_drift --run=runs/Pendulum-v1/vagram/0
    python -m experiments.value_drift --csv=results/value_drift/value_drift.csv --output=again

Models are trained with each loss on one fixed set of real transitions. The value function in the
losses is that of the run's first export, after --steps gradient steps that of the next, and so on;
value error and state error are those on transitions of other episodes. Writes <output>.png, .pdf
and .csv; with --csv only draws what was measured before.
"""

from pathlib import Path

from absl import flags as absl_flags

from experiments.paper.task import (
    ENVIRONMENT,
    MEASUREMENTS,
    DriftOrder,
    check_policy,
    read_drift,
)
from vagram_tf.commands import inputs, paths
from vagram_tf.commands.program import Program

# What a table that is there already has decided.
_MEASURING = ("run", "seeds", "steps", "transitions", "units", "seed")


def define() -> None:
    """Defines the flags."""
    integer = absl_flags.DEFINE_integer
    paths.define(
        "run",
        None,
        f"directory of a run in {ENVIRONMENT} that left several exports: "
        "<workdir>/<env>/<loss>/<seed>",
    )
    integer(
        "seeds",
        8,
        "models per loss, each with initial weights and a bootstrap of the data of its own",
        lower_bound=2,
    )
    integer("steps", 500, "gradient steps with each value function", lower_bound=MEASUREMENTS)
    integer(
        "transitions",
        1000,
        "real steps to train on with each of greedy, sampled and random actions",
        lower_bound=2,
    )
    integer("units", 16, "units of each of a model's two hidden layers", lower_bound=1)
    integer("seed", 0, "seed of episodes, actions, weights and batches", lower_bound=0)
    paths.define("csv", None, "table of an earlier measurement, to be drawn anew instead of --run")
    paths.define("output", None, "path of the files without suffix; unset: <run>/value_drift")


def check() -> DriftOrder:
    """Returns what the flags ask for; raises ValueError."""
    given = absl_flags.FLAGS
    if given.csv:
        measuring = [f"--{name}" for name in _MEASURING if given[name].present]
        if measuring:
            raise ValueError(f"--csv has been measured; it does not go with {', '.join(measuring)}")
        if not given.output:
            raise ValueError("--csv needs --output")
        exports, measured = {}, read_drift(given.csv)
    else:
        exports, measured = _exports(given.run), []
    output = given.output or given.run / "value_drift"
    inputs.check_output(output)
    return DriftOrder(
        exports,
        str(output),
        given.seeds,
        given.steps,
        given.transitions,
        given.units,
        given.seed,
        measured,
    )


def _exports(run: Path | None) -> dict[int, Path]:
    """Returns the run's exports of policies by environment step, in order; raises ValueError."""
    if not run:
        raise ValueError("--run is needed: the directory of a run with exports")
    place = run / "export" / "policy"
    exports = {
        int(path.name): path
        for path in sorted(place.glob("*"), key=lambda path: path.name.zfill(12))
        if path.name.isdecimal()
    }
    for path in exports.values():
        check_policy(path)
    if len(exports) < 2:
        raise ValueError(
            f"{place} holds {len(exports)} exports; two or more are needed: train with "
            "--export_every"
        )
    return exports


if __name__ == "__main__":
    Program(define, check, "experiments.paper.drift_work", packages=("matplotlib", "scipy")).main()
