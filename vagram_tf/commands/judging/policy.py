"""The work of `evaluate`: episodes of the real environment with an exported policy's actions."""

import json
import time
from collections.abc import Sequence
from typing import Any

import gymnasium

from vagram_tf import files, seeding
from vagram_tf.commands.evaluate import Order
from vagram_tf.commands.judging import playing
from vagram_tf.commands.judging.playing import Policy
from vagram_tf.envs import tasks, trial
from vagram_tf.export.load import Export, open_export
from vagram_tf.plan import Planner, exported


def run(order: Order) -> None:
    """Judges a policy; raises ValueError, OSError or EnvironmentFault."""
    export = open_export(order.export, "policy")
    planner = _planner(order) if order.planning else None
    act = playing.exported(export, order.sample, order.seed)
    report = evaluate(export, order.environments, order.episodes, act, order.seed)
    report["actions"] = "sampled" if order.sample else "greedy"
    if planner:
        report["planner"] = _settings(order) | _play(planner, export, order)
    print(table(report))
    if order.output:
        files.write(order.output, json.dumps(report, indent=1) + "\n")
        print(f"numbers  {order.output}")
    if order.video or order.imagination:
        _show(order, export, planner)


def _show(order: Order, export: Export, planner: Planner | None) -> None:
    """Draws what is to be drawn of the first episode."""
    from vagram_tf.commands.judging import film, imagination  # imageio is an extra

    def begin() -> Policy:
        """Returns what acts, with the same random numbers each time and without an old plan."""
        if planner is None:
            return playing.exported(export, order.sample, order.seed)
        planner.reset()
        return playing.planned(planner)

    if order.video:
        film.film(export.environment, begin(), order.seed, order.video)
    if order.imagination:
        assert order.dynamics is not None
        imagination.film_beside(
            export, order.dynamics, order.environments[0], begin, order.seed, order.imagination
        )


def _planner(order: Order) -> Planner:
    """Raises ValueError where the export is not one to plan in."""
    planning = order.planning
    assert planning and order.dynamics
    return Planner(
        exported(order.dynamics, order.export if planning.terminal_value else None),
        planning.method,
        planning.horizon,
        planning.candidates,
        planning.iterations,
        spread=planning.spread,
        disagreement=planning.disagreement,
        seed=seeding.derive(order.seed, "policy"),
    )


def _play(planner: Planner, export: Export, order: Order) -> dict[str, Any]:
    """Plays the episodes with the planner, and returns the numbers and its speed."""
    begin = time.monotonic()
    numbers = playing.play_planner(
        order.environments, order.episodes, planner, export.environment, order.seed
    )
    plans = sum(numbers["lengths"])
    return {"plans_per_second": plans / (time.monotonic() - begin)} | numbers


def _settings(order: Order) -> dict[str, Any]:
    assert order.planning is not None
    return {"dynamics": str(order.dynamics)} | order.planning._asdict()


def evaluate(
    export: Export, environments: Sequence[gymnasium.Env], count: int, act: Policy, seed: int
) -> dict[str, Any]:
    """Plays `count` episodes, each in its environment or all in the only one, and returns the
    numbers.
    """
    config = export.environment
    if concern := trial.duration(config.name, tasks.time_limit(environments[0]), config):
        print(concern, end="\n\n")
    metadata = export.metadata
    return {
        **{name: metadata[name] for name in ("environment", "distractors", "loss", "env_step")},
        "run_seed": metadata["seed"],
        "seed": seed,
        **playing.play(environments, count, act, config, seed),
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
