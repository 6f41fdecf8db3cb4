"""What a run exports: its policy, and the dynamics that were learned, each with what a reader must
know of it.
"""

from pathlib import Path
from typing import Any

from vagram_tf.dyna import Dyna
from vagram_tf.envs.action_range import ActionRange
from vagram_tf.export.dynamics import ExportedDynamics, start_states
from vagram_tf.export.load import FORMAT
from vagram_tf.export.policy import ExportedPolicy, TFAgentsPolicy
from vagram_tf.export.save import save
from vagram_tf.model.learned_termination import LearnedTermination
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
        kind: save(
            module, directory / kind / str(dyna.env_step), _metadata(dyna, kind, mean_return)
        )
        for kind, module in modules.items()
    }


def _modules(dyna: Dyna) -> dict[str, ExportedDynamics | ExportedPolicy | TFAgentsPolicy]:
    size, action_range = len(dyna.dimension_names), ActionRange(dyna.action_space)
    modules: dict[str, ExportedDynamics | ExportedPolicy | TFAgentsPolicy] = {}
    if dyna.has_model:
        starts = start_states(dyna.real.all().observation.numpy(), dyna.starts())
        termination = dyna.termination
        if isinstance(termination, LearnedTermination):
            termination = termination.frozen()
        modules["dynamics"] = ExportedDynamics(dyna.ensemble, termination, action_range, starts)
    modules["policy"] = ExportedPolicy(dyna.agent, size, action_range)
    modules["tf_agents_policy"] = TFAgentsPolicy(dyna.agent, size, action_range)
    return modules


def _metadata(dyna: Dyna, kind: str, mean_return: float | None) -> dict[str, Any]:
    config = dyna.config
    return {
        "format": FORMAT,
        "kind": kind,
        "environment": config.env.name,
        "distractors": config.env.distractors,
        "distractor_kind": config.env.distractor_kind,
        "distractor_seed": config.env.distractor_seed,
        "episode_steps": config.env.episode_steps,
        "horizon": dyna.environments.time_limit,
        "instances": config.env.instances,
        "observation_origin": config.env.observation_origin,
        "observation_size": len(dyna.dimension_names),
        "dimension_names": list(dyna.dimension_names),
        "action_low": dyna.action_space.low.tolist(),
        "action_high": dyna.action_space.high.tolist(),
        "units": "observations, actions and rewards as the environment gives them, float32",
        "discount": config.agent.discount,
        "termination": dyna.termination_kind,
        "loss": config.model.loss,
        "model_hidden_units": list(config.model.model_hidden_units),
        "env_step": dyna.env_step,
        "seed": config.run.seed,
        "mean_return": mean_return,
        "config_hash": config_hash(config),
        "versions": versions(),
    }
