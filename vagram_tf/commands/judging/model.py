"""The work of `inspect_model`: what an exported model predicts, beside what the real environment
does.
"""

from pathlib import Path
from typing import Any, cast

import gymnasium
import numpy as np

from vagram_tf import plan, seeding
from vagram_tf.commands.inspect_model import Order
from vagram_tf.commands.judging import figure, measures, playing, signs
from vagram_tf.commands.judging.counting import counted
from vagram_tf.commands.judging.measures import Steps, as_arrays, value_of_critics
from vagram_tf.commands.judging.report import (
    closing_lines,
    dimension_lines,
    name_width,
    write_report,
)
from vagram_tf.commands.judging.steps import collect
from vagram_tf.commands.notice import notice
from vagram_tf.export.load import Export, open_export
from vagram_tf.replay import ReplayBuffer

_PASS_ROWS = 5_000  # states whose value gradients are taken at a time


def run(order: Order) -> None:
    """Judges a model; raises ValueError, OSError or EnvironmentFault."""
    dynamics, policy = open_export(order.export, "dynamics"), open_export(order.policy, "policy")
    report = inspect(order, dynamics, policy)
    if order.planner_episodes:
        report["planner"] = _planned(order, dynamics, policy)
    write_report(order.output / "inspect.json", report)
    print(table(report))
    print(f"\nnumbers   {order.output / 'inspect.json'}\nfigure    {order.output / 'inspect.png'}")


def inspect(order: Order, dynamics: Export, policy: Export) -> dict[str, Any]:
    """Plays the environment, draws `inspect.png` and `.pdf`, and returns the numbers."""
    assert order.environment is not None
    steps = collect(order.environment, order.config, policy, order.steps, order.seed)
    with counted("predictions", as_arrays(dynamics.module), order.horizon) as predict:
        comparison = measures.compare(steps, predict, value_of_critics(policy), order.horizon)
    metadata = dynamics.metadata
    report = {
        **{name: metadata[name] for name in ("environment", "distractors", "loss", "env_step")},
        "distractor_kind": dynamics.environment.distractor_kind,
        "run_seed": metadata["seed"],
        "seed": order.seed,
        "horizon": order.horizon,
        "dimensions": metadata["dimension_names"],
        **measures.summarise(steps, comparison),
        "signs": _signs(order.data, steps, policy, metadata.get("model_hidden_units")),
    }
    with notice("drawing"):
        figure.draw(report, steps, comparison, order.output / "inspect")
    return report


def _planned(order: Order, dynamics: Export, policy: Export) -> dict[str, Any]:
    """Returns what a planner in the model earns in the environment, and what the policy does."""
    world = plan.world(dynamics, policy)
    environments = [cast(gymnasium.Env, order.environment)]
    count, config, seed = order.planner_episodes, order.config, order.seed
    planner = plan.Planner(world, seed=seeding.derive(seed, "policy"))
    greedy = playing.exported(policy, sample=False, seed=seed)
    return {
        **playing.play_planner(environments, count, planner, config, seed),
        "policy": playing.play(environments, count, greedy, config, seed),
    }


def _signs(
    data: Path | None, played: Steps, policy: Export, layers: list[int] | None
) -> dict[str, Any]:
    """Returns the signs that value-aware weights pay, and what they came with in the nearest cell
    of a fit study: of the run's own steps where it has them, else of those that were played.
    """
    observation, action, after = _learned_from(data, played)
    of = signs.signs(observation, action, after - observation, _critics_gradient(policy, after))
    report = {
        **of._asdict(),
        "steps": len(after),
        "of_the_run": data is not None,
        "narrowest_layer": min(layers) if layers else None,
        "nearest": None,
    }
    if layers and (cells := signs.read(signs.MEASURED)):
        report["nearest"] = signs.nearest(of, min(layers), after.shape[-1], cells)._asdict()
    return report


def _learned_from(data: Path | None, played: Steps) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns observation `[N, D]`, action `[N, A]` and next observation `[N, D]`."""
    if data is None:
        return played.observation, played.action, played.next_observation
    sizes = played.observation.shape[-1], played.action.shape[-1]
    real = ReplayBuffer.read(data, *sizes).all()
    return real.observation.numpy(), real.action.numpy(), real.next_observation.numpy()


def _critics_gradient(policy: Export, observation: np.ndarray) -> np.ndarray:
    """Returns dV/ds `[C, N, D]` of the critics, without their targets."""
    value = value_of_critics(policy)
    count = -(-len(observation) // _PASS_ROWS)
    parts = [value(rows)["value_gradient"] for rows in np.array_split(observation, count)]
    return np.concatenate(parts, axis=1)


def table(report: dict[str, Any]) -> str:
    """Returns the report for the terminal."""
    width = name_width(report)
    lines = [
        f"{report['environment']}, {report['loss']}, run seed {report['run_seed']}, environment "
        "step "
        f"{report['env_step']}, {report['distractors']} distractors",
        "",
        f"{'actions':{width}}   steps  episodes   state error  value error  reward error",
        *(
            f"{name:{width}}  {of['steps']:6}  {of['episodes']:8}  {of['error']:12.4g}  "
            f"{of['value_error']:11.4g}  "
            f"{of['reward_error']:12.4g}"
            for name, of in report["behaviours"].items()
        ),
        "",
        *dimension_lines(report),
        "",
        *closing_lines(report),
        *_planner_lines(report.get("planner")),
        *_sign_lines(report["signs"], len(report["dimensions"])),
    ]
    return "\n".join(lines)


def _planner_lines(planned: dict[str, Any] | None) -> list[str]:
    if planned is None:
        return []
    count = len(planned["returns"])
    return [
        f"planner      return {planned['return']['mean']:.4g} over {count} "
        f"episode{'s' * (count > 1)}; of the policy {planned['policy']['return']['mean']:.4g}"
    ]


def _sign_lines(found: dict[str, Any], dimensions: int) -> list[str]:
    """Says whether value-aware weights may pay; see docs/when.md for what each of the numbers
    means.
    """
    units, near = found["narrowest_layer"], found["nearest"]
    of_units = f" for the {units} units of the narrowest layer" if units else ""
    whose = "from which the run has learned" if found["of_the_run"] else "played here"
    lines = [
        "",
        f"do value-aware weights pay? Of the {found['steps']:,} steps {whose}:",
        f"rank         {found['rank']:.1f} predictable directions that hardly matter{of_units}",
        f"agreement    {found['agreement']:.2f} between the critics' gradients",
        f"dimensions   {found['dimensions']:.1f} of {dimensions} that the value depends on",
    ]
    if near:
        lines.append(
            f"nearest      {near['width']} units and {near['task']} in our fits: "
            f"{near['rank']:.1f}, {near['agreement']:.2f}, {near['dimensions']:.1f} of "
            f"{near['of_dimensions']}; "
            f"there vagram had {near['of_mse']:.2f} of the value error of mse and "
            f"{near['of_mle']:.2f} of that of mle"
        )
    return lines
