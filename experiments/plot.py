"""`vagram-plot` in a clone: see `vagram_tf.commands.plot`."""

from vagram_tf.commands import plot

if __name__ == "__main__":
    plot.main()
