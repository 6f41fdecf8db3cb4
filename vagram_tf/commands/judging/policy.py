"""The work of `evaluate`: episodes of the real environment with an exported policy's actions."""

import contextlib
import itertools
import json
from collections.abc import Sequence
from typing import Any

from vagram_tf import files, seeding
from vagram_tf.commands.evaluate import Order
from vagram_tf.commands.report.intervals import summary
from vagram_tf.envs import episodes, tasks, trial
from vagram_tf.envs.action_range import ActionRange
from vagram_tf.envs.adapter import GymnasiumEnvironment
from vagram_tf.export.load import Export, open_export


def run(order: Order) -> None:
    """Judges a policy; raises ValueError, OSError or EnvironmentFault."""
    export = open_export(order.export, "policy")
    with contextlib.ExitStack() as opened:
        for environment in order.environments:
            opened.callback(environment.close)
        report = evaluate(export, order.environments, order.episodes, order.sample, order.seed)
    print(table(report))
    if order.output:
        files.write(order.output, json.dumps(report, indent=1) + "\n")
        print(f"numbers  {order.output}")
    if order.video:
        from vagram_tf.commands.judging.film import film  # imageio is an extra

        film(
            export.environment,
            greedy_or_sampled(export, order.sample, order.seed),
            order.seed,
            order.video,
        )


def evaluate(
    export: Export, environments: Sequence[Any], count: int, sample: bool, seed: int
) -> dict[str, Any]:
    """Plays `count` episodes, each in its environment or all in the only one, and returns the
    numbers.
    """
    action_range = ActionRange(environments[0].action_space)
    act = greedy_or_sampled(export, sample, seed)
    config, limit = export.environment, tasks.time_limit(environments[0])
    adapted = [
        GymnasiumEnvironment(
            environments[i % len(environments)], seeding.derive(seed, "evaluation", i)
        )
        for i in range(count)
    ]
    if concern := trial.duration(config.name, limit, config):
        print(concern, end="\n\n")
    returns, lengths = episodes.evaluate(
        adapted,
        lambda observation: action_range.to_unit(act(observation)),
        config.episode_steps if limit is None else None,
    )
    metadata = export.metadata
    return {
        **{name: metadata[name] for name in ("environment", "distractors", "loss", "env_step")},
        "run_seed": metadata["seed"],
        "seed": seed,
        "actions": "sampled" if sample else "greedy",
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
        f"{'':6}  {'mean':>10}  {'95 % interval':>22}  {'median':>10}  {'min':>10}  {'max':>10}",
    ]
    for name in ("return", "length"):
        of = report[name]
        interval = (
            "one episode has none"
            if of["interval"] is None
            else "{:.1f} to {:.1f}".format(*of["interval"])
        )
        lines.append(
            f"{name:6}  {of['mean']:10.1f}  {interval:>22}  {of['median']:10.1f}  "
            f"{of['min']:10.1f}  "
            f"{of['max']:10.1f}"
        )
    return "\n".join([*lines, ""])


def greedy_or_sampled(export: Export, sample: bool, seed: int) -> Any:
    """Returns observations `[B, D]` -> actions `[B, A]`; sampled ones begin with the same random
    numbers each time.
    """
    if not sample:
        return lambda observation: export.module(observation)["action"]
    sampling, calls = seeding.derive(seed, "policy"), itertools.count()
    return lambda observation: export.module.sample(observation, [sampling, next(calls)])["action"]
