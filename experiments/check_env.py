"""`vagram-check-env` in a clone: see `vagram_tf.commands.check_env`."""

from vagram_tf.commands import check_env

if __name__ == "__main__":
    check_env.main()
