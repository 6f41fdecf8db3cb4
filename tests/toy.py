"""A program for tests of the skeleton.

python -m toy --how=well
"""

import sys

from absl import flags

from vagram_tf.commands.program import Program


def define():
    flags.DEFINE_string("how", "well", "what happens")


def check():
    how = flags.FLAGS.how
    if how == "refused":
        raise ValueError("that is refused")
    if how == "unreadable":
        raise OSError(2, "No such file or directory", "somewhere")
    return how


def main():
    Program(
        define,
        check,
        "toy_work",
        None,
        packages=("nosuchpackage",) if "--how=missing" in sys.argv else (),
    ).main()


if __name__ == "__main__":
    main()
