"""`vagram-fit` in a clone: see `vagram_tf.commands.fit`."""

from vagram_tf.commands import fit

if __name__ == "__main__":
    fit.main()
