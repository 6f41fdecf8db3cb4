"""The work of `evaluate`: episodes of the real environment with an exported policy's actions."""

import itertools
import json
import sys
import time
from collections.abc import Sequence
from typing import Any, cast

import gymnasium
import numpy as np
import tensorflow as tf

from vagram_tf import files, seeding
from vagram_tf.commands.evaluate import Order, Planning
from vagram_tf.commands.report.intervals import summary
from vagram_tf.config import EnvConfig
from vagram_tf.envs import episodes, tasks, trial
from vagram_tf.envs.action_range import ActionRange
from vagram_tf.envs.adapter import GymnasiumEnvironment
from vagram_tf.envs.episodes import Evaluation
from vagram_tf.export.load import Export, open_export
from vagram_tf.plan import Planner, exported


def run(order: Order) -> None:
    """Judges a policy; raises ValueError, OSError or EnvironmentFault."""
    export = open_export(order.export, "policy")
    planner = _planner(order.planning, order) if order.planning else None
    act = greedy_or_sampled(export, order.sample, order.seed)
    report = evaluate(export, order.environments, order.episodes, act, order.seed)
    report["actions"] = "sampled" if order.sample else "greedy"
    if planner and order.planning:
        report["planner"] = _settings(order.planning) | play(planner, export, order)
    print(table(report))
    if order.output:
        files.write(order.output, json.dumps(report, indent=1) + "\n")
        print(f"numbers  {order.output}")
    if order.video:
        from vagram_tf.commands.judging.film import film  # imageio is an extra

        if planner:
            planner.reset()
        # Begins with the same random numbers as before.
        act = greedy_or_sampled(export, order.sample, order.seed)
        film(export.environment, planned(planner) if planner else act, order.seed, order.video)


def _planner(planning: Planning, order: Order) -> Planner:
    """Raises ValueError where the export is not one to plan in."""
    return Planner(
        exported(planning.dynamics, order.export if planning.terminal_value else None),
        planning.method,
        planning.horizon,
        planning.candidates,
        planning.iterations,
        spread=planning.spread,
        disagreement=planning.disagreement,
        seed=seeding.derive(order.seed, "policy"),
    )


def _settings(planning: Planning) -> dict[str, Any]:
    return planning._asdict() | {"dynamics": str(planning.dynamics)}


def planned(planner: Planner) -> Any:
    """Returns a planner as a policy, `[1, D] -> [1, A]`."""
    return lambda observation: tf.constant(planner.act(np.asarray(observation)[0])[np.newaxis])


def play(planner: Planner, export: Export, order: Order) -> dict[str, Any]:
    """Plays the episodes with a planner, one after another, and returns the numbers."""
    played, begin = [], time.monotonic()
    for i, environment in enumerate(_adapted(order.environments, order.episodes, order.seed)):
        planner.reset()
        played.append(_episodes([environment], planned(planner), export.environment))
        total = played[-1].returns[0]
        print(f"planner, episode {i + 1} of {order.episodes}: {total:.1f}", file=sys.stderr)
    returns, lengths = (np.concatenate(column) for column in zip(*played, strict=True))
    seconds = time.monotonic() - begin
    plans = {"plans_per_second": float(lengths.sum() / seconds)}
    return plans | _numbers(returns, lengths, order.seed)


def evaluate(
    export: Export, environments: Sequence[Any], count: int, act: Any, seed: int
) -> dict[str, Any]:
    """Plays `count` episodes, each in its environment or all in the only one, and returns the
    numbers.
    """
    config = export.environment
    if concern := trial.duration(config.name, tasks.time_limit(environments[0]), config):
        print(concern, end="\n\n")
    returns, lengths = _episodes(_adapted(environments, count, seed), act, config)
    metadata = export.metadata
    return {
        **{name: metadata[name] for name in ("environment", "distractors", "loss", "env_step")},
        "run_seed": metadata["seed"],
        "seed": seed,
        **_numbers(returns, lengths, seed),
    }


def _adapted(environments: Sequence[Any], count: int, seed: int) -> list[GymnasiumEnvironment]:
    return [
        GymnasiumEnvironment(
            environments[i % len(environments)], seeding.derive(seed, "evaluation", i)
        )
        for i in range(count)
    ]


def _episodes(
    environments: Sequence[GymnasiumEnvironment], act: Any, config: EnvConfig
) -> Evaluation:
    """Plays an episode in each; actions are in the environment's units."""
    task = environments[0].task
    action_range = ActionRange(cast(gymnasium.spaces.Box, task.action_space))
    longest = config.episode_steps if tasks.time_limit(task) is None else None
    return episodes.evaluate(
        environments, lambda observation: action_range.to_unit(act(observation)), longest
    )


def _numbers(returns: np.ndarray, lengths: np.ndarray, seed: int) -> dict[str, Any]:
    return {
        "return": summary(returns, seed),
        "length": summary(lengths, seed),
        "returns": returns.tolist(),
        "lengths": lengths.tolist(),
    }


def table(report: dict[str, Any]) -> str:
    """Returns the report for the terminal."""
    lines = [
        f"{report['environment']}, {report['loss']}, run seed {report['run_seed']}, environment "
        "step "
        f"{report['env_step']}, {report['distractors']} distractors",
        f"{len(report['returns'])} episodes, {report['actions']} actions, seed {report['seed']}",
        "",
    ]
    planner = report.get("planner")
    rows = {name: report[name] for name in ("return", "length")}
    if planner:
        rows |= {f"{name}, {planner['method']}": planner[name] for name in list(rows)}
    width = max(map(len, rows))
    head = f"{'mean':>10}  {'95 % interval':>22}  {'median':>10}  {'min':>10}  {'max':>10}"
    lines.append(f"{'':{width}}  {head}")
    for name, of in rows.items():
        interval = (
            "one episode has none"
            if of["interval"] is None
            else "{:.1f} to {:.1f}".format(*of["interval"])
        )
        lines.append(
            f"{name:{width}}  {of['mean']:10.1f}  {interval:>22}  {of['median']:10.1f}  "
            f"{of['min']:10.1f}  "
            f"{of['max']:10.1f}"
        )
    if planner:
        lines.append(f"\n{planner['plans_per_second']:.1f} plans per second")
    return "\n".join([*lines, ""])


def greedy_or_sampled(export: Export, sample: bool, seed: int) -> Any:
    """Returns observations `[B, D]` -> actions `[B, A]`; sampled ones begin with the same random
    numbers each time.
    """
    if not sample:
        return lambda observation: export.module(observation)["action"]
    sampling, calls = seeding.derive(seed, "policy"), itertools.count()
    return lambda observation: export.module.sample(observation, [sampling, next(calls)])["action"]
