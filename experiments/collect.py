"""`vagram-collect` in a clone: see `vagram_tf.commands.collect`."""

from vagram_tf.commands import collect

if __name__ == "__main__":
    collect.main()
