"""The package comes before TensorFlow and TF-Agents in every test: it chooses Keras 2.

Tests, and the programs that they start, leave XLA out: compiling is most of the time of a tiny run. Where the compiled
functions themselves are what is tested, `programs.COMPILED` turns it on.
"""

import os

os.environ.setdefault("VAGRAM_TF_XLA", "0")

import vagram_tf  # noqa: E402, F401, I001
import tensorflow as tf  # noqa: E402

# TF-Agents' own checks, which XLA leaves out of a compiled update: the run's guard is what users meet.
tf.debugging.check_numerics = lambda tensor, message, name=None: tensor
