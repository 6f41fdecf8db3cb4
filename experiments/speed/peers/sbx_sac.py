"""Measures the SAC updates of Stable-Baselines-JAX on Hopper-v5, as its own training loop takes
them.

.peers/bin/python -m experiments.speed.peers.sbx_sac --units=256 --per_call=20
"""

import os

from experiments.speed.peers import measure

_TRANSITIONS = 5000  # random ones in the replay buffer


def main() -> None:
    parser = measure.Parser(description=(__doc__ or "").splitlines()[0])
    parser.add("threads", 2, "threads of JAX")
    parser.add_repetitions()
    parser.add("units", 256, "units of each of the two hidden layers of actor and critics")
    parser.add("batch", 256, "transitions per update")
    parser.add("per_call", 20, "updates per call of train(), which compiles them into one program")
    parser.add_argument("--normalized", action="store_true", help="the critics' hidden layers are")
    arguments = parser.parse_args()
    measure.need("sbx", "mujoco")
    # JAX reads its number of threads there, when it is imported.
    os.environ["PJRT_NPROC"] = str(arguments.threads)
    os.environ["JAX_PLATFORMS"] = "cpu"
    from sbx import SAC

    model = SAC(
        "MlpPolicy",
        "Hopper-v5",
        batch_size=arguments.batch,
        learning_starts=_TRANSITIONS,
        buffer_size=_TRANSITIONS,
        policy_kwargs={
            "net_arch": [arguments.units, arguments.units],
            "layer_norm": arguments.normalized,
        },
        seed=0,
    )
    model.learn(_TRANSITIONS)  # random actions, no updates
    rates = measure.rates(
        lambda: model.train(arguments.per_call, arguments.batch),
        arguments.per_call,
        arguments.seconds,
        arguments.repetitions,
    )
    measure.print_row(
        measure.rates_row(
            rates,
            peer="sbx",
            threads=arguments.threads,
            what="sac_updates_per_second",
            units=arguments.units,
            batch=arguments.batch,
            per_call=arguments.per_call,
            normalized=arguments.normalized,
        )
    )


if __name__ == "__main__":
    main()
