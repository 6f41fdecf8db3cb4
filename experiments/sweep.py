"""`vagram-sweep` in a clone: see `vagram_tf.commands.sweep`."""

from vagram_tf.commands import sweep

if __name__ == "__main__":
    sweep.main()
