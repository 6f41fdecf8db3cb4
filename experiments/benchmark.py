"""Measures how fast everything is on this machine, beside what the machine can do and beside other
libraries.

    python -m experiments.benchmark --quick
    python -m experiments.benchmark --output=results/benchmark

Writes <output>.json, <output>.md and the figure of how cost grows, <output>.png and .pdf. Every
figure is a median; "of the limit" divides the floating-point operations of the matrix products that
the work needs by those of a large matrix product measured right beside it. The other libraries live
in an environment that `experiments/speed/peers/install` creates; without it they are left out.

It takes one to three hours. Stopped, the same command goes on after the last section that it had
finished, from <output>.unfinished.json.
"""

from absl import flags as absl_flags

from experiments.speed.order import Order
from vagram_tf.commands import inputs, paths
from vagram_tf.commands.program import Program


def define() -> None:
    """Defines the flags."""
    absl_flags.DEFINE_bool("quick", False, "a minute's worth: fewer repetitions, no whole runs")
    paths.define("output", "benchmark", "where to write the results, without .json and .md")
    paths.define("peers", ".peers", "environment with the other libraries")
    absl_flags.DEFINE_integer("threads", 2, "threads of an operation", lower_bound=1)


def check() -> Order:
    """Returns what the flags ask for; raises ValueError."""
    given = absl_flags.FLAGS
    inputs.check_output(given.output)
    return Order(given.quick, given.output, given.peers, given.threads)


if __name__ == "__main__":
    Program(define, check, "experiments.speed.measuring", lambda order: order.threads).main()
