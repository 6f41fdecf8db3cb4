"""`vagram-inspect` in a clone: see `vagram_tf.commands.inspect_model`."""

from vagram_tf.commands import inspect_model

if __name__ == "__main__":
    inspect_model.main()
