"""Trains an agent of another library in a run's model, and plays it there and in the real
environment: Stable-Baselines3's SAC, with its own settings but for those that are flags.

    .peers/bin/python -m experiments.train_in_model --export=runs/InvertedPendulum-v5/vagram/0

It needs Stable-Baselines3 and TensorFlow, which `experiments/speed/peers/install` puts in an
environment of their own, in .peers/. Returns are undiscounted sums of rewards.
"""

import json
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

import vagram_tf
from experiments.speed.peers import measure
from vagram_tf import files, seeding
from vagram_tf.commands import inputs
from vagram_tf.commands.report.intervals import summary
from vagram_tf.envs import tasks
from vagram_tf.export.load import check_export, environment_of

if TYPE_CHECKING:
    from stable_baselines3 import SAC

_VERSIONS = ("stable_baselines3", "torch", "tensorflow", "gymnasium", "mujoco", "numpy")


def main() -> None:
    parser = measure.Parser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument(
        "--export", type=files.path, required=True, help="a run's directory, or one export in it"
    )
    parser.add_argument("--output", type=files.path, help="JSON file to write the numbers to")
    parser.add("steps", 12000, "that the agent trains for, in the model")
    parser.add_argument("--learning_rate", type=float, default=1e-3, help="of all that it learns")
    parser.add("units", 64, "units of each of the two hidden layers of actor and critics")
    parser.add("horizon", None, "steps of an episode; the task's own limit by default")
    parser.add("episodes", 10, "to play in the model and in the real environment, each")
    parser.add("seed", 1, "of the agent, of the model's noise and of the episodes played")
    parser.add("threads", 1, "threads of PyTorch")
    order = parser.parse_args()
    try:
        if order.output:
            inputs.check_file(order.output)
        export = inputs.export(order.export, "dynamics")
        metadata = check_export(export, "dynamics")
        measure.need("stable_baselines3", "tensorflow", "mujoco")
        real = tasks.make(environment_of(metadata))
        import torch
        from stable_baselines3 import SAC

        model = vagram_tf.LearnedEnv(export, order.horizon)
    except ValueError as error:
        measure.fail(str(error))
    torch.set_num_threads(order.threads)
    agent = SAC(
        "MlpPolicy",
        model,
        order.learning_rate,
        policy_kwargs={"net_arch": [order.units, order.units]},
        seed=order.seed,
        device="cpu",
    )
    agent.learn(order.steps, progress_bar=sys.stdout.isatty())
    horizon = order.horizon or metadata["horizon"]
    report = {
        **{name: metadata[name] for name in ("environment", "loss", "env_step")},
        "run_seed": metadata["seed"],
        **{name: getattr(order, name) for name in ("steps", "learning_rate", "units", "seed")},
        "horizon": horizon,
        "in_model": play(agent, model, horizon, order.episodes, order.seed),
        "real": play(agent, real, horizon, order.episodes, order.seed),
        "versions": {package: version(package) for package in _VERSIONS},
    }
    print(table(report))
    if order.output:
        files.write(order.output, json.dumps(report, indent=1) + "\n")


def play(
    agent: "SAC", env: gymnasium.Env, horizon: int, episodes: int, seed: int
) -> dict[str, Any]:
    """Plays greedy episodes of at most `horizon` steps and returns the numbers."""
    returns = []
    for i in range(episodes):
        observation, _ = env.reset(seed=seeding.derive(seed, "evaluation", i))
        returns.append(0.0)
        for _ in range(horizon):
            action, _ = agent.predict(np.asarray(observation, np.float32), deterministic=True)
            observation, reward, terminated, truncated, _ = env.step(action)
            returns[-1] += float(reward)
            if terminated or truncated:
                break
    return {"return": summary(np.array(returns), seed), "returns": returns}


def table(report: dict[str, Any]) -> str:
    """Returns the report for the terminal."""
    lines = [
        f"{report['environment']}, {report['loss']}, run seed {report['run_seed']}, environment "
        f"step {report['env_step']}; {report['steps']} steps in its model, seed {report['seed']}",
        f"{'':12}{'mean return':>12}  {'95 % interval':>18}  {'min':>8}  {'max':>8}",
    ]
    for name in ("in_model", "real"):
        of = report[name]["return"]
        interval = "{:.1f} to {:.1f}".format(*of["interval"]) if of["interval"] else ""
        lines.append(
            f"{name.replace('_', ' '):12}{of['mean']:12.1f}  {interval:>18}  {of['min']:8.1f}  "
            f"{of['max']:8.1f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
