"""The work of `profile`: what TensorFlow's profiler says of compiled functions.

TensorFlow must be loaded, with one thread.
"""

import functools
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from experiments.speed import hopper
from experiments.speed.timing import seconds
from vagram_tf.agent.sac import SoftActorCritic
from vagram_tf.files import write

_PRODUCT = re.compile(r"(MatMul|dot)[\w.]*$")
_LOOP = re.compile(
    r"[\w.]*(fusion|copy|wrapped|transpose|reduce|sort|gather|scatter|broadcast)[\w.]*$"
)
_UPDATES, _STEPS = 100, 200


class Profile(NamedTuple):
    """What one unit of work takes: milliseconds in all, those in matrix products and in other
    loops, and how many.
    """

    name: str
    total: float
    products: float
    loops: float
    product_count: float
    loop_count: float


def run(output: Path) -> None:
    """Writes the table of all updates and steps; raises OSError."""
    lines = table([measure(*work) for work in updates_and_steps()])
    print("\n".join(lines))
    write(output, "\n".join([*lines, ""]).encode())
    print(f"\nwritten to {output}")


def updates_and_steps() -> Iterator[tuple[str, Callable[[], object], int]]:
    """Yields name, call and how many units of work one call does."""
    for units in (128, 256, 1024):
        config = hopper.HOPPER.replace(agent_hidden_units=(units, units)).agent
        agent = SoftActorCritic(hopper.D, hopper.A, config, seed=0)
        batch = hopper.transitions(_UPDATES, 256)
        yield f"SAC update, 2×{units}", functools.partial(agent.train, batch), _UPDATES
    for loss in ("mle", "vagram"):
        trainer = hopper.make_trainer(
            hopper.HOPPER.replace(loss=loss, patience=10**6, max_fit_steps=_STEPS)
        )
        yield (
            f"ensemble step, {loss}",
            functools.partial(trainer.fit, hopper.transitions(25 * 256)),
            _STEPS,
        )


def measure(name: str, call: Callable[[], object], units: int) -> Profile:
    """Profiles one call, after one that compiles.

    Args:
      name: of a unit of work.
      call: does some and returns when it is done, in compiled functions.
      units: how many.
    """
    call()
    with tempfile.TemporaryDirectory() as directory:
        tf.profiler.experimental.start(
            directory, tf.profiler.experimental.ProfilerOptions(host_tracer_level=3)
        )
        total = seconds(call)
        tf.profiler.experimental.stop()
        space = xplane_pb2.XSpace()
        space.ParseFromString(next(Path(directory).rglob("*.xplane.pb")).read_bytes())
    pieces = [
        (plane.event_metadata[event.metadata_id].name, event.duration_ps)
        for plane in space.planes
        for line in plane.lines
        for event in line.events
    ]
    products = [duration for piece, duration in pieces if _PRODUCT.match(piece)]
    loops = [duration for piece, duration in pieces if _LOOP.match(piece)]
    return Profile(
        name,
        total / units * 1e3,
        sum(products) / units / 1e9,
        sum(loops) / units / 1e9,
        len(products) / units,
        len(loops) / units,
    )


def table(profiles: list[Profile]) -> list[str]:
    """Returns the lines of a Markdown table."""
    lines = [
        "| one thread | ms | matrix products | other loops | between them |",
        "|---|---:|---:|---:|---:|",
    ]
    for profile in profiles:
        cells = [
            f"{milliseconds:.2f} ms, {milliseconds / profile.total:.0%} ({count:.0f})"
            for milliseconds, count in (
                (profile.products, profile.product_count),
                (profile.loops, profile.loop_count),
            )
        ]
        between = profile.total - profile.products - profile.loops
        lines.append(
            f"| {profile.name} | {profile.total:.2f} | {' | '.join(cells)} | "
            f"{between / profile.total:.0%} |"
        )
    return lines
