"""How the hot functions are compiled, in one place.

`VAGRAM_TF_XLA=0` in the environment leaves XLA out: a run's first training step then comes some 20
seconds sooner, its others take longer, and last bits are others. It is meant for tests and for
looking into a function.
"""

import functools
import os

import tensorflow as tf

XLA = os.environ.get("VAGRAM_TF_XLA", "1") != "0"

compiled = functools.partial(tf.function, jit_compile=XLA, autograph=False)
"""Decorates a function of tensors that is called again and again with the same shapes."""
