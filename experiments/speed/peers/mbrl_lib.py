"""Measures mbrl-lib on Hopper-v5: SAC updates, ensemble steps, and its MBPO from the first model
fit on.

    .peers/bin/python -m experiments.speed.peers.mbrl_lib sac --units=256
    .peers/bin/python -m experiments.speed.peers.mbrl_lib ensemble --batch=1024
    .peers/bin/python -m experiments.speed.peers.mbrl_lib loop --steps=1000

All is mbrl-lib's own code, with its own settings for MBPO on Hopper but for those in `_settings`.
"""

import argparse
import contextlib
import functools
import pathlib
import sys
import tempfile
import time
from typing import Any

from experiments.speed.peers import measure

_ENV = "Hopper-v5"
_TRANSITIONS = 5000  # random ones in SAC's replay buffer
# Full ones in an epoch of the ensemble; MBPO holds out a share of 0.2.
_TRAIN_BATCHES = 20
_HOLDOUT_BATCHES = 5
_EPOCHS = 5  # of the ensemble in one call
_RETRAIN_EVERY = 250  # environment steps between fits, in MBPO
_PHASES = ("random", "collect", "fit", "imagine", "improve", "evaluate")


def main() -> None:
    arguments = _parse()
    measure.need("mbrl", "mujoco")
    import torch

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    with contextlib.redirect_stdout(sys.stderr):  # mbrl-lib prints what it logs
        rows = arguments.measurement(arguments)
    for row in rows:
        measure.print_row({"peer": "mbrl-lib", "threads": arguments.threads, **row})


def sac_updates(arguments: argparse.Namespace) -> list[measure.Row]:
    """Measures SAC's `update_parameters`, which draws its batch from a replay buffer itself."""
    import gymnasium
    import hydra
    import mbrl.planning

    env, settings = gymnasium.make(_ENV), _settings(_TRANSITIONS, sac_hidden_size=arguments.units)
    mbrl.planning.complete_agent_cfg(env, settings.algorithm.agent)
    agent = hydra.utils.instantiate(settings.algorithm.agent)
    buffer = _random_transitions(env, settings)
    rates = measure.rates(
        lambda: agent.update_parameters(buffer, arguments.batch, 0, reverse_mask=True),
        1,
        arguments.seconds,
        arguments.repetitions,
    )
    return [
        measure.rates_row(
            rates, what="sac_updates_per_second", units=arguments.units, batch=arguments.batch
        )
    ]


def ensemble_steps(arguments: argparse.Namespace) -> list[measure.Row]:
    """Measures `ModelTrainer.train` over full bootstrap batches, without and with its evaluations
    on the holdout.
    """
    import gymnasium
    import mbrl.models
    from mbrl.util import common

    batches = _TRAIN_BATCHES + _HOLDOUT_BATCHES
    env, settings = gymnasium.make(_ENV), _settings(batches * arguments.batch)
    buffer = _random_transitions(env, settings)
    model = common.create_one_dim_tr_model(
        settings, env.observation_space.shape, env.action_space.shape
    )
    model.update_normalizer(buffer.get_all())
    trainer = mbrl.models.ModelTrainer(
        model, settings.overrides.model_lr, settings.overrides.model_wd
    )
    train, holdout = common.get_basic_buffer_iterators(
        buffer, arguments.batch, _HOLDOUT_BATCHES / batches, ensemble_size=len(model)
    )

    rows = []
    for what, evaluate in (
        ("ensemble_steps_per_second", False),
        ("ensemble_steps_per_second_with_holdout", True),
    ):
        fit = functools.partial(
            trainer.train, train, holdout, num_epochs=_EPOCHS, evaluate=evaluate, silent=True
        )
        rates = measure.rates(fit, _EPOCHS * len(train), arguments.seconds, arguments.repetitions)
        rows.append(measure.rates_row(rates, what=what, batch=arguments.batch))
    return rows


def whole_loop(arguments: argparse.Namespace) -> list[measure.Row]:
    """Measures mbrl-lib's MBPO; `seconds` are all but those of random steps and evaluations.

    It makes its first fit after `_RETRAIN_EVERY` steps of the policy. They are taken out of the
    random ones: the first fit sees `random_steps` transitions, and `steps` steps with all their
    updates follow. Before it there are about a dozen updates, those that happen to draw real data;
    `sac_updates` counts them, too.
    """
    import gymnasium
    from mbrl.algorithms import mbpo
    from mbrl.env import termination_fns

    steps = _RETRAIN_EVERY - 1 + arguments.steps
    settings = _settings(
        arguments.random_steps + arguments.steps,
        sac_hidden_size=arguments.units,
        num_steps=steps,
        epoch_length=steps,
        num_sac_updates_per_step=arguments.updates_per_step,
        num_epochs_train_model=arguments.model_epochs,
        patience=0 if arguments.model_epochs else arguments.patience,
    )
    settings.algorithm.initial_exploration_steps = arguments.random_steps - _RETRAIN_EVERY
    clock = _clock()
    env, test_env = gymnasium.make(_ENV), gymnasium.make(_ENV)
    with tempfile.TemporaryDirectory() as directory:
        start = time.perf_counter()
        mbpo.train(env, test_env, termination_fns.hopper, settings, silent=True, work_dir=directory)
        total = time.perf_counter() - start
    phases = {phase: clock.seconds[phase] for phase in _PHASES}
    return [
        {
            "what": "loop_seconds",
            "seconds": total - phases["random"] - phases["evaluate"],
            "phases": phases,
            "fits": clock.calls["fit"],
            "model_steps": clock.calls["model step"],
            "sac_updates": clock.calls["improve"],
            "random_steps": arguments.random_steps,
            "steps": arguments.steps,
            "units": arguments.units,
            "updates_per_step": arguments.updates_per_step,
            "patience": arguments.patience,
            "model_epochs": arguments.model_epochs,
        }
    ]


def _settings(dataset_size: int, **overrides: Any) -> Any:
    """Returns mbrl-lib's settings for MBPO on Hopper, made equal to those of this project's
    benchmark.

    Args:
      dataset_size: most real transitions kept.
      **overrides: further ones.
    """
    import mbrl
    from omegaconf import OmegaConf

    directory = pathlib.Path(mbrl.__file__).parent / "examples" / "conf"
    settings = OmegaConf.create(
        {
            "algorithm": OmegaConf.load(directory / "algorithm" / "mbpo.yaml"),
            "dynamics_model": OmegaConf.load(
                directory / "dynamics_model" / "gaussian_mlp_ensemble.yaml"
            ),
            "overrides": OmegaConf.load(directory / "overrides" / "mbpo_hopper.yaml"),
            "seed": 0,
            "device": "cpu",
            "log_frequency_agent": 1000,
        }
    )
    settings.algorithm.update(
        dataset_size=dataset_size,
        real_data_ratio=0.05,
        random_initial_explore=True,
        normalize_double_precision=False,
    )
    settings.overrides.update(
        sac_automatic_entropy_tuning=True,
        sac_target_entropy=-1,
        sac_target_update_interval=1,
        **overrides,
    )
    # What Hydra 1.3 needs: a class that exists, bounds that are no list, and an activation that the
    # model makes itself.
    settings.algorithm.agent.action_space.update(
        _target_="gymnasium.spaces.Box", low=-1.0, high=1.0
    )
    settings.dynamics_model._recursive_ = False
    return settings


def _random_transitions(env: Any, settings: Any) -> Any:
    """Returns a replay buffer full of random transitions."""
    import mbrl.planning
    from mbrl.util import common

    buffer = common.create_replay_buffer(
        settings, env.observation_space.shape, env.action_space.shape
    )
    common.rollout_agent_trajectories(
        env,
        settings.algorithm.dataset_size,
        mbrl.planning.RandomAgent(env),
        {},
        replay_buffer=buffer,
    )
    return buffer


def _clock() -> measure.PhaseClock:
    """Returns a clock on the phases of mbrl-lib's MBPO."""
    from mbrl.algorithms import mbpo
    from mbrl.models import OneDTransitionRewardModel
    from mbrl.third_party.pytorch_sac_pranz24 import SAC
    from mbrl.util import common

    clock = measure.PhaseClock()
    clock.watch(common, "rollout_agent_trajectories", "random")
    clock.watch(common, "step_env_and_add_to_buffer", "collect")
    clock.watch(common, "train_model_and_save_model_and_data", "fit")
    clock.watch(OneDTransitionRewardModel, "update", "model step")
    clock.watch(mbpo, "rollout_model_and_populate_sac_buffer", "imagine")
    clock.watch(SAC, "update_parameters", "improve")
    clock.watch(mbpo, "evaluate", "evaluate")
    return clock


def _parse() -> argparse.Namespace:
    parser = measure.Parser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="sac|ensemble|loop")
    sac = commands.add_parser("sac", help="SAC updates per second")
    ensemble = commands.add_parser(
        "ensemble", help="ensemble steps per second: 7 members, 4 x 200 units"
    )
    loop = commands.add_parser("loop", help="seconds of the whole loop, by phase")
    for command, measurement in (
        (sac, sac_updates),
        (ensemble, ensemble_steps),
        (loop, whole_loop),
    ):
        command.set_defaults(measurement=measurement)
        command.add("threads", 2, "threads of PyTorch")
    for command in (sac, ensemble):
        command.add("batch", 256, "transitions per update, or per member and step")
        command.add_repetitions()
    for command in (sac, loop):
        command.add("units", 256, "units of each of the two hidden layers of actor and critics")
    loop.add("random_steps", 5000, "environment steps before the first fit")
    loop.add("steps", 1000, "training steps")
    loop.add("updates_per_step", 20, "SAC updates per training step")
    loop.add("patience", 5, "epochs without improvement that end a fit")
    loop.add("model_epochs", None, "epochs of every fit, whatever the patience")
    arguments = parser.parse_args()
    if arguments.measurement is whole_loop and arguments.random_steps <= _RETRAIN_EVERY:
        parser.error(f"random_steps must be above {_RETRAIN_EVERY}, got {arguments.random_steps}")
    return arguments


if __name__ == "__main__":
    main()
