"""The work of `fit`: a model, fitted to data alone and exported, and what it gets wrong."""

import math
import time
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf

from vagram_tf import seeding
from vagram_tf.agent.sac import VALUE_FUNCTIONS
from vagram_tf.assembly import make_ensemble, make_termination, termination_kind
from vagram_tf.commands.fit import Order
from vagram_tf.commands.judging import measures
from vagram_tf.commands.judging.measures import Steps, as_arrays, value_of_critics
from vagram_tf.commands.judging.report import write_report
from vagram_tf.commands.offline.table import table
from vagram_tf.dataset import Dataset
from vagram_tf.envs import tasks
from vagram_tf.envs.action_range import ActionRange
from vagram_tf.export.dynamics import ExportedDynamics, start_states
from vagram_tf.export.load import Export, environment_metadata, open_export
from vagram_tf.export.save import save
from vagram_tf.guards import Diverged
from vagram_tf.model.learned_termination import LearnedTermination, frozen
from vagram_tf.model.objectives import make_objective
from vagram_tf.model.trainer import ModelTrainer
from vagram_tf.run.exports import metadata
from vagram_tf.types import Transition, ValueFunction


def run(order: Order) -> None:
    """Fits, exports and judges a model; raises ValueError, OSError or Diverged."""
    policy = open_export(order.values, "policy") if order.values else None
    print(_heading(order), flush=True)
    start = time.perf_counter()
    module, kind, fitted = fit(order, policy)
    fitted["seconds"] = time.perf_counter() - start
    export = save(
        module, order.output / "export" / "dynamics" / "0", _metadata(order, kind, policy)
    )
    found = judge(open_export(export, "dynamics"), policy, order, fitted)
    write_report(order.output / "fit.json", found)
    print(table(found))
    print(f"\nexport    {export}\nnumbers   {order.output / 'fit.json'}")


def _heading(order: Order) -> str:
    data = order.train
    where = f"{data.environment.name}, " if data.environment else ""
    return (
        f"{order.name}: {where}{len(data.reward)} steps of {int(np.sum(data.last))} episodes to "
        f"fit to; {order.config.model.loss}, seed {order.config.run.seed}"
    )


def fit(order: Order, policy: Export | None) -> tuple[ExportedDynamics, str, dict[str, float]]:
    """Returns the model, which kind of rule ends its episodes, and the fit's metrics."""
    config, data = order.config, order.train
    seed, action_range = config.run.seed, ActionRange(_action_space(data))
    transitions = _transitions(data, action_range)
    tf.keras.utils.set_random_seed(seeding.derive(seed, "networks"))
    ensemble = make_ensemble(config.model, data.observation.shape[1], data.action.shape[1])
    values = _value_functions(policy, config.model.value_functions) if policy else []
    trainer = ModelTrainer(
        ensemble, make_objective(config.model), values, config.model, seeding.derive(seed, "model")
    )
    termination = make_termination(config, order.environment, data.observation.shape[1])
    metrics = trainer.fit(transitions)
    if isinstance(termination, LearnedTermination):
        metrics |= termination.fit(transitions, trainer.held_out(len(data.reward)))
    if wrong := [name for name, value in metrics.items() if not math.isfinite(value)]:
        raise Diverged(f"the fit has ended in what is not finite: {', '.join(wrong)}")
    starts = start_states(data.observation, data.starts)
    module = ExportedDynamics(ensemble, frozen(termination), action_range, starts)
    return module, termination_kind(config, termination), metrics


def judge(
    dynamics: Export, policy: Export | None, order: Order, fitted: dict[str, float]
) -> dict[str, Any]:
    """Returns the numbers of a fitted model on the episodes that were left out."""
    data, model = order.judged, order.config.model
    steps = Steps(
        data.observation,
        data.action,
        data.reward,
        data.next_observation,
        data.terminated,
        data.last,
        np.full(len(data.reward), "held out"),
    )
    value = value_of_critics(policy) if policy else None
    comparison = measures.compare(steps, as_arrays(dynamics.module), value, order.horizon)
    found = {
        "dataset": order.name,
        "environment": dynamics.metadata["environment"],
        "distractors": dynamics.metadata["distractors"],
        "loss": model.loss,
        "values": str(order.values) if order.values else None,
        "seed": order.config.run.seed,
        "episodes": int(np.sum(order.train.last)),
        "steps": len(order.train.reward),
        "fit": fitted,
        "termination_rule": dynamics.metadata["termination"],
        "horizon": order.horizon,
        "dimensions": dynamics.metadata["dimension_names"],
        **measures.summarise(steps, comparison),
    }
    return found | {"shares": shares(found)}


def shares(found: dict[str, Any]) -> dict[str, float]:
    """Returns the errors of the first step as shares of those of predicting no change, and the
    reward's of always predicting the mean; a mean over dimensions is over those that change.

    Args:
      found: the numbers of `measures.summarise`, with `dimensions` and how many `distractors`.
    """
    loop, reward, value = found["open_loop"], found["reward"], found.get("value")
    own = len(found["dimensions"]) - found["distractors"]
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.divide(loop["error"][0], loop["no_change"][0])
    each = np.where(np.array(loop["no_change"][0]) > 0, each, np.nan)
    of = {"task": _mean(each[:own])}
    if found["distractors"]:
        of["distractors"] = _mean(each[own:])
    if value:
        of["value"] = _over(value["error"][0], value["no_change"][0])
    return of | {"reward": _over(reward["error"], reward["always_the_mean"])}


def _mean(each: np.ndarray) -> float:
    """Returns the mean of what is a number; NaN where nothing is."""
    known = each[~np.isnan(each)]
    return float(known.mean()) if len(known) else float("nan")


def _over(error: float, of: float) -> float:
    return error / of if of > 0 else float("nan")


def _transitions(data: Dataset, action_range: ActionRange) -> Transition:
    return Transition(
        tf.constant(data.observation),
        action_range.to_unit(tf.constant(data.action)),
        tf.constant(data.reward),
        tf.constant(np.where(data.terminated, 0.0, 1.0), tf.float32),
        tf.constant(data.next_observation),
    )


def _value_functions(policy: Export, which: str) -> Sequence[ValueFunction]:
    """Returns the value functions of an export that a setting names, `[B, D] -> [B]` each.

    Their gradients are those that the export gives: a tape through it would differentiate these
    gradients, too, which takes XLA minutes to compile.
    """

    def value_function(critic: int) -> ValueFunction:
        def value(observation: tf.Tensor) -> tf.Tensor:
            fixed = tf.stop_gradient(observation)
            of = {name: each[critic] for name, each in policy.module.value(fixed).items()}
            zero = tf.reduce_sum((observation - fixed) * of["value_gradient"], axis=-1)
            return tf.stop_gradient(of["value"]) + zero

        return value

    count = policy.metadata["sizes"]["C"]
    return [value_function(critic) for critic in range(count)[VALUE_FUNCTIONS[which]]]


def _action_space(data: Dataset) -> gymnasium.spaces.Box:
    return gymnasium.spaces.Box(data.action_low, data.action_high, dtype=np.float32)


def _metadata(order: Order, kind: str, policy: Export | None) -> dict[str, Any]:
    config = order.config.replace(discount=policy.metadata["discount"]) if policy else order.config
    if order.environment:
        limit = tasks.time_limit(order.environment)
        described = {**environment_metadata(config.env), "horizon": limit}
        names = tasks.dimension_names(order.environment)
    else:
        described = {"environment": None, "distractors": 0, "horizon": None}
        names = tuple(f"observation[{d}]" for d in range(order.train.observation.shape[1]))
    return metadata("dynamics", config, described, names, _action_space(order.train), kind)
