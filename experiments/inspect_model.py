"""Judges an exported dynamics model: compares what it predicts with what the real environment does.

    python -m experiments.inspect_model --export=runs/InvertedPendulum-v5/vagram/0

The environment is played with the exported policy's greedy actions, with its sampled ones and with
uniformly random ones, the same number of steps each. Prints a table and writes inspect.json, all
the numbers, and inspect.png.
"""

from vagram_tf.commands import inspect_model

if __name__ == "__main__":
    inspect_model.main()
