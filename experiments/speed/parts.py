"""The parts of a run, each measured alone: agent, ensemble, value gradients, imagination,
environment, checkpoint.

Shapes are Hopper's; batch 256, as in MBPO. TensorFlow must be loaded.
"""

import functools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from experiments.speed import floor, flop
from experiments.speed.hopper import HOPPER, A, D, make_trainer, random_transitions, transitions
from experiments.speed.peers.start import Peers
from experiments.speed.timing import BenchmarkRow, Measurement, Stopwatch, median_row, seconds
from vagram_tf.agent.sac import SoftActorCritic
from vagram_tf.dyna import Dyna
from vagram_tf.model.ensemble import DynamicsEnsemble
from vagram_tf.model.rollouts import DataRange, Imagination
from vagram_tf.run.checkpoint import Checkpoints

_UPDATES = 20  # SAC updates of one call, those of one environment step
_CALLS = 5
_FIT_EPOCHS = 10
_ROLLOUTS = 20_000


def sac(watch: Stopwatch, peers: Peers, units: int, normalized: bool) -> list[BenchmarkRow]:
    """SAC updates per second, 2×`units`, in compiled calls of 20; beside the peers' with the same
    networks.

    Args:
      watch: times them.
      peers: what they are compared with.
      units: of each hidden layer.
      normalized: the critics' hidden layers are, as they are by default. One peer has no such
        layers.
    """
    config = HOPPER.replace(agent_hidden_units=(units, units), layer_normalization=normalized).agent
    agent = SoftActorCritic(D, A, config, seed=0)
    batch = transitions(_UPDATES, config.agent_batch_size)

    def call() -> None:
        for _ in range(_CALLS):
            agent.train(batch).numpy()

    name = f"SAC updates, 2×{units}{', critics normalised' if normalized else ''}"
    shape = config.agent_batch_size, D, A, config.agent_hidden_units
    work, between = flop.sac_update(*shape), peers.sac(name, units, normalized)
    if not normalized:
        products = floor.sac_updates(*shape)
        alone = functools.partial(
            watch.rate, f"matrix products of {name}", "updates/s", *products, work
        )
        between = [alone, *between]
    return watch.rate(name, "updates/s", call, _CALLS * _UPDATES, work, between)


def ensemble(watch: Stopwatch, peers: Peers, batch: int) -> list[BenchmarkRow]:
    """Training steps of an ensemble of 7, beside the peers'."""
    shape = HOPPER.model.members, batch, D, A, HOPPER.model.model_hidden_units
    work, products = flop.ensemble_step(*shape, likelihood=True), floor.ensemble_steps(*shape)
    alone = functools.partial(
        watch.rate,
        f"matrix products of ensemble steps, mle, batch {batch}",
        "steps/s",
        *products,
        work,
    )
    vagram_fits = functools.partial(fits, watch, "vagram", batch)
    mle, vagram, *others = fits(watch, "mle", batch, [vagram_fits, alone, *peers.ensemble(batch)])
    quotient = mle.value / vagram.value
    name = f"time of a vagram fit by an mle fit, batch {batch}"
    return [mle, vagram, *others, BenchmarkRow(name, quotient, "×", None, [quotient])]


def fits(
    watch: Stopwatch, loss: str, batch: int, between: Sequence[Measurement] = ()
) -> list[BenchmarkRow]:
    """Training steps as a fit takes them: bootstrap, shuffling and holdout scores included."""
    steps = 20 * _FIT_EPOCHS
    config = HOPPER.replace(loss=loss, model_batch_size=batch, patience=10**6, max_fit_steps=steps)
    data = transitions(25 * batch)  # a fifth is held out: 20 steps per epoch
    call = functools.partial(make_trainer(config).fit, data)
    hidden = config.model.model_hidden_units
    work = flop.ensemble_step(config.model.members, batch, D, A, hidden, likelihood=loss == "mle")
    return watch.rate(
        f"ensemble steps, {loss}, batch {batch}", "steps/s", call, steps, work, between
    )


def value_gradients(watch: Stopwatch, quick: bool) -> list[BenchmarkRow]:
    """The pass over the whole real buffer that starts a vagram fit."""
    count = 10_000 if quick else 100_000
    config = HOPPER.replace(loss="vagram")
    trainer, data = make_trainer(config), transitions(count)

    def call() -> None:
        trainer.prepare(data)["value_gradient"].numpy()

    work = flop.value_gradient(D, A, config.agent.agent_hidden_units)
    return watch.rate(
        f"value gradients of {count:,} transitions", "transitions/s", call, count, work
    )


def imagination(watch: Stopwatch, quick: bool) -> list[BenchmarkRow]:
    """Imagined transitions per second: the policy, the ensemble's elites, termination, dropping and
    gathering.
    """
    agent = SoftActorCritic(D, A, HOPPER.agent, seed=0)
    model = HOPPER.model
    network = DynamicsEnsemble(D, A, model.members, model.elites, model.model_hidden_units)
    imagine = Imagination(
        network, agent.explore, lambda s: tf.zeros(s.shape[:1], tf.bool), noise=False, seed=0
    ).imagine
    start = transitions(_ROLLOUTS)
    anywhere = DataRange.of(start, margin=1e9)
    work = flop.imagined_transition(D, A, HOPPER.agent.agent_hidden_units, model.model_hidden_units)
    rows = []
    for horizon in (1,) if quick else (1, 5, 15):

        def call(horizon: int = horizon) -> None:
            imagine(start.observation, horizon, anywhere)[0].reward.numpy()

        rows += watch.rate(
            f"imagined transitions, horizon {horizon}",
            "transitions/s",
            call,
            horizon * _ROLLOUTS,
            work,
        )
    return rows


def environment(watch: Stopwatch, quick: bool) -> list[BenchmarkRow]:
    """Steps of the real environment, with the policy and the replay buffer in the loop and nothing
    learned.
    """
    dyna = Dyna(HOPPER.replace(random_steps=10))
    for _ in range(10):  # the random ones
        dyna.step()
    steps = 200 if quick else 1000

    def call() -> None:
        for _ in range(steps):
            action = dyna.agent.act(dyna.interaction.observe()[np.newaxis])[0].numpy()
            dyna.real.add(dyna.interaction.step(action)[0])

    return watch.rate("environment steps with the policy", "steps/s", call, steps)


def checkpoint(watch: Stopwatch, quick: bool) -> list[BenchmarkRow]:
    """A checkpoint of a Hopper run: 10,000 real and all the imagined transitions that it keeps."""
    dyna = Dyna(HOPPER)
    dyna.real.add(random_transitions(1_000 if quick else 10_000))
    dyna.imagined.add(transitions(dyna.imagined.capacity))
    dyna.freeze()
    with tempfile.TemporaryDirectory() as directory:
        checkpoints = Checkpoints(Path(directory) / "checkpoints", **dyna.state)
        written = [seconds(lambda: checkpoints.save(1, {})) for _ in range(watch.repetitions)]
        size = sum(path.stat().st_size for path in Path(directory).rglob("*") if path.is_file())
        restored = [seconds(checkpoints.restore) for _ in range(watch.repetitions)]
    return [
        BenchmarkRow("checkpoint: size", size / 1e6, "MB", None, [size / 1e6]),
        median_row("checkpoint: write", "s", written),
        median_row("checkpoint: restore", "s", restored),
    ]


PARTS = {
    "value gradients": value_gradients,
    "imagination": imagination,
    "environment": environment,
    "checkpoint": checkpoint,
}


def mixed_work(updates: int) -> Callable[[], None]:
    """Returns a call that takes so many SAC updates and one ensemble step for every five of them,
    about as a run.
    """
    agent, data = SoftActorCritic(D, A, HOPPER.agent, seed=0), transitions(25 * 256)
    batch = transitions(_UPDATES, HOPPER.agent.agent_batch_size)
    trainer = make_trainer(HOPPER.replace(loss="mle", patience=10**6, max_fit_steps=updates // 5))

    def call() -> None:
        for _ in range(updates // _UPDATES):
            agent.train(batch).numpy()
        trainer.fit(data)

    return call
