"""What a run exports: its policy, and the dynamics that were learned, each with what a reader must
know of it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium

from vagram_tf.config import Config
from vagram_tf.dyna import Dyna
from vagram_tf.envs.action_range import ActionRange
from vagram_tf.export.dynamics import ExportedDynamics, start_states
from vagram_tf.export.load import FORMAT, environment_metadata
from vagram_tf.export.policy import ExportedPolicy, TFAgentsPolicy
from vagram_tf.export.save import save
from vagram_tf.model.learned_termination import frozen
from vagram_tf.run.directory import config_hash
from vagram_tf.versions import versions


def export(dyna: Dyna, directory: Path, mean_return: float | None) -> dict[str, Path]:
    """Writes `<directory>/<kind>/<environment step>` for each kind of export.

    Args:
      dyna: the loop, as it is now.
      directory: where the kinds' directories are.
      mean_return: of the last evaluation.

    Returns:
      The exports by kind: `dynamics` if a model is learned, `policy`, `tf_agents_policy`.

    Raises:
      OSError: one cannot be written; those before it are whole.
    """
    modules = _modules(dyna)
    return {
        kind: save(module, directory / kind / str(dyna.env_step), _of_run(dyna, kind, mean_return))
        for kind, module in modules.items()
    }


def _modules(dyna: Dyna) -> dict[str, ExportedDynamics | ExportedPolicy | TFAgentsPolicy]:
    size, action_range = len(dyna.dimension_names), ActionRange(dyna.action_space)
    modules: dict[str, ExportedDynamics | ExportedPolicy | TFAgentsPolicy] = {}
    if dyna.has_model:
        starts = start_states(dyna.real.all().observation.numpy(), dyna.starts())
        rule = frozen(dyna.termination)
        modules["dynamics"] = ExportedDynamics(dyna.ensemble, rule, action_range, starts)
    modules["policy"] = ExportedPolicy(dyna.agent, size, action_range)
    modules["tf_agents_policy"] = TFAgentsPolicy(dyna.agent, size, action_range)
    return modules


def _of_run(dyna: Dyna, kind: str, mean_return: float | None) -> dict[str, Any]:
    described = {
        **environment_metadata(dyna.config.env),
        "horizon": dyna.environments.time_limit,
    }
    if not dyna.environment_is_named:  # it may be anything, whatever the configuration calls it
        described["environment"] = None
    return metadata(
        kind,
        dyna.config,
        described,
        dyna.dimension_names,
        dyna.action_space,
        dyna.termination_kind,
        dyna.env_step,
        mean_return,
    )


def metadata(
    kind: str,
    config: Config,
    environment: Mapping[str, Any],
    dimension_names: Sequence[str],
    action_space: gymnasium.spaces.Box,
    termination: str,
    env_step: int = 0,
    mean_return: float | None = None,
) -> dict[str, Any]:
    """Returns what a reader must know of an export.

    Args:
      kind: of export.
      config: what it was trained with; the environment's part is not read.
      environment: what is said of it: `environment_metadata`, and the `horizon` of its episodes.
      dimension_names: D names.
      action_space: its bounds are those of the actions.
      termination: the rule's kind, `known`, `learned` or `none`.
      env_step: how many steps its run had taken.
      mean_return: of the last evaluation, if there was one.
    """
    return {
        "format": FORMAT,
        "kind": kind,
        **environment,
        "observation_size": len(dimension_names),
        "dimension_names": list(dimension_names),
        "action_low": action_space.low.tolist(),
        "action_high": action_space.high.tolist(),
        "units": "observations, actions and rewards as the environment gives them, float32",
        "discount": config.agent.discount,
        "termination": termination,
        "loss": config.model.loss,
        "model_hidden_units": list(config.model.model_hidden_units),
        "env_step": env_step,
        "seed": config.run.seed,
        "mean_return": mean_return,
        "config_hash": config_hash(config),
        "versions": versions(),
    }
