"""`vagram-evaluate` in a clone: see `vagram_tf.commands.evaluate`."""

from vagram_tf.commands import evaluate

if __name__ == "__main__":
    evaluate.main()
