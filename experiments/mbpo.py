"""`vagram-train` in a clone: see `vagram_tf.commands.train`."""

from vagram_tf.commands import train

if __name__ == "__main__":
    train.main()
