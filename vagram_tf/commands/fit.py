"""Fits a dynamics model to a data set, exports it and judges it on episodes it has not seen.

    vagram-fit --dataset=hopper.npz --loss=mle --output=models/mle
    vagram-fit --dataset=hopper.npz --values=runs/Hopper-v5/vagram/0 --output=models/vagram
    vagram-fit --dataset=minari:mujoco/hopper/medium-v0 --loss=mse --output=models/mse

The data set is an .npz, from collect or of your own (docs/offline.md), or one of Minari's that is
on this machine. Value-aware losses take their critics from the policy that --values exports.
Prints a table and writes fit.json, all the numbers, beside the export.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from absl import flags as absl_flags

from vagram_tf import files, seeding
from vagram_tf.commands import flags, inputs, paths
from vagram_tf.commands.program import Program, with_tensorflow
from vagram_tf.config import FIELDS, VALUE_AWARE, Config
from vagram_tf.dataset import Dataset
from vagram_tf.export.load import check_export, environment_of

if TYPE_CHECKING:
    import gymnasium

_MINARI = "minari:"
_FEWEST = 10  # steps to fit to
# The critics of an export mean something from the start.
_MODEL = [
    name for name, field in FIELDS.items() if field.section == "model" and name != "warm_up_epochs"
]


class Order(NamedTuple):
    """What the flags say, the data to fit to and to judge by; and the environment, if it is known,
    from `hold`.
    """

    name: str
    train: Dataset
    judged: Dataset
    config: Config
    values: Path | None
    horizon: int
    output: Path
    environment: "gymnasium.Env | None" = None


def define() -> None:
    """Defines the flags."""
    absl_flags.DEFINE_string("dataset", None, "an .npz, or minari:ID of a local data set")
    paths.define("values", None, "run, or export of a policy in it, whose critics value states")
    absl_flags.DEFINE_float(
        "holdout_episodes",
        0.2,
        "share of the episodes that are left out, to judge by",
        lower_bound=0.0,
        upper_bound=1.0,
    )
    absl_flags.DEFINE_integer(
        "horizon", 20, "steps that the model is left alone for", lower_bound=1
    )
    paths.define("output", None, "directory to write to, which must not be there yet")
    flags.define(("termination", *_MODEL, "seed", "threads"))


def check() -> Order:
    """Returns what the flags ask for; raises ValueError."""
    given = absl_flags.FLAGS
    if not given.dataset:
        raise ValueError("--dataset is needed: an .npz, or minari:ID")
    if given.output is None:
        raise ValueError("--output is needed: the directory to write to")
    inputs.check_new(given.output)
    files.check_tensorflow_reads(given.output.absolute())
    flags.config()  # refuses before the data are read
    data = _dataset(given.dataset)
    config = _config(data)
    inputs.check_loss(config.model.loss)
    if config.model.loss in VALUE_AWARE and given.values is None:
        raise ValueError(_needs_values(config))
    values = _values(given.values, data) if given.values else None
    train, judged = _split(data, given.holdout_episodes, config.run.seed)
    return Order(given.dataset, train, judged, config, values, given.horizon, given.output)


@contextlib.contextmanager
def hold(order: Order) -> Iterator[Order]:
    """Opens the environment and makes the directory to write to; raises ValueError or OSError."""
    if ":" in order.config.model.loss:
        _check_own_loss(order)
    with contextlib.ExitStack() as held:
        environment = None
        if order.train.environment:
            (environment,) = held.enter_context(inputs.environments(order.config.env, 1))
            _check_sizes(order.train, environment)
        if order.values:
            inputs.tell(order.values, absl_flags.FLAGS.values)
        order.output.mkdir(parents=True)
        try:
            yield order._replace(environment=environment)
        finally:
            with contextlib.suppress(OSError):  # it is not empty
                order.output.rmdir()


def _dataset(name: str) -> Dataset:
    """Raises ValueError where there is no such data set, or it cannot be used."""
    if not name.startswith(_MINARI):
        return Dataset.load(name)
    flags.check_packages("minari")
    from vagram_tf.commands.offline import minari_dataset  # Minari is an extra

    return minari_dataset.read(name.removeprefix(_MINARI))


def _config(data: Dataset) -> Config:
    """Returns the settings: those of the data's environment, and of the flags."""
    if data.environment is None:
        return flags.config()
    known = dataclasses.asdict(data.environment)
    del known["termination"]  # a setting of the fit
    return flags.config(**known)


def _values(path: Path, data: Dataset) -> Path:
    """Returns the policy's export; raises ValueError where it does not value these observations."""
    export = inputs.export(path, "policy")
    metadata = check_export(export, "policy", "value")
    size = data.observation.shape[1]
    if metadata["observation_size"] != size:
        raise ValueError(
            f"{export} values {metadata['observation_size']} dimensions; the data have {size}"
        )
    valued = environment_of(metadata)
    if data.environment and valued.world != data.environment.world:
        raise ValueError(
            f"{export} values another environment: {valued} instead of {data.environment}"
        )
    return export


def _split(data: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset]:
    """Returns the episodes to fit to and those to judge by; raises ValueError where there are too
    few.
    """
    episodes = data.episode[data.starts]
    count = max(1, round(share * len(episodes)))
    if count >= len(episodes):
        raise ValueError(
            f"{count} of {len(episodes)} episodes are to be held out: none is left to fit to"
        )
    chosen = np.random.default_rng(seeding.derive(seed, "holdout")).permutation(episodes)
    train, judged = data.of_episodes(chosen[count:]), data.of_episodes(chosen[:count])
    if len(train.reward) < _FEWEST:
        raise ValueError(
            f"{len(train.reward)} steps are left to fit to; at least {_FEWEST} are needed"
        )
    return train, judged


def _check_own_loss(order: Order) -> None:
    """Imports a loss of one's own: only then it is known whether its module registers it, and what
    it needs. Raises ValueError.
    """
    objectives = with_tensorflow("vagram_tf.model.objectives", order.config.run.threads)
    objective = objectives.make_objective(order.config.model)
    if isinstance(objective, objectives.ValueAware) and order.values is None:
        raise ValueError(_needs_values(order.config))


def _needs_values(config: Config) -> str:
    return (
        f"--loss={config.model.loss} needs value functions: --values names the run, or the "
        "exported policy, that they are taken from"
    )


def _check_sizes(data: Dataset, environment: "gymnasium.Env") -> None:
    for name, of, space in (
        ("observation", data.observation, environment.observation_space),
        ("action", data.action, environment.action_space),
    ):
        if of.shape[1:] != space.shape:
            raise ValueError(
                f"an {name} of the data has the size {of.shape[1]}, one of their environment "
                f"{data.environment} {space.shape}"
            )


def main() -> None:
    """Runs the program and ends the process."""
    Program(
        define,
        check,
        "vagram_tf.commands.offline.fitting",
        lambda order: order.config.run.threads,
        ("scipy",),
        hold,
    ).main()
