"""Where the time of a SAC update and of an ensemble step goes: matrix products, other loops, and
what is between them.

    python -m experiments.profile --output=results/profile

Writes <output>.md. TensorFlow's profiler says when each piece of a compiled function began and
ended; with the one thread that the work gets here, one begins after another, so their times add up.
What is left is between the pieces: starting them, and recording that they ran, which the profiler
adds.
"""

from pathlib import Path

from absl import flags as absl_flags

from vagram_tf.commands import inputs, paths
from vagram_tf.commands.program import Program


def define() -> None:
    """Defines the flags."""
    paths.define("output", "profile", "where to write the table, without .md")


def check() -> Path:
    """Returns where the table is written to; raises ValueError."""
    output = Path(f"{absl_flags.FLAGS.output}.md")
    inputs.check_file(output)
    return output


if __name__ == "__main__":
    Program(define, check, "experiments.speed.profiling", lambda output: 1).main()
