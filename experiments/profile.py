"""Where the time of a SAC update and of an ensemble step goes: matrix products, other loops, and what is between them.

    python -m experiments.profile --output=results/profile

Writes <output>.md. TensorFlow's profiler says when each piece of a compiled function began and ended; with the one
thread that the work gets here, one begins after another, so their times add up. What is left is between the pieces:
starting them, and recording that they ran, which the profiler adds.
"""

from pathlib import Path

from absl import app
from absl import flags as absl_flags

from vagram_tf.commands import flags

_OUTPUT = absl_flags.DEFINE_string("output", "profile", "where to write the table, without .md")


def main(argv: list[str]) -> None:
    del argv
    output = Path(f"{_OUTPUT.value}.md")
    try:
        flags.check_packages()
        flags.check_output(str(output))
    except ValueError as error:
        flags.fail(str(error), 2)
    from vagram_tf import quiet

    quiet.load_tensorflow(threads=1)
    from experiments.speed import profiling
    from vagram_tf.files import write

    lines = profiling.table([profiling.measure(*work) for work in profiling.updates_and_steps()])
    print("\n".join(lines))
    try:
        write(output, "\n".join([*lines, ""]))
    except OSError as error:
        flags.fail(f"cannot write {output}: {error.strerror}", 1)
    print(f"\nwritten to {output}")


if __name__ == "__main__":
    app.run(main, flags_parser=flags.parse)
