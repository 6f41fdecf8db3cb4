"""The package comes before TensorFlow and TF-Agents in every test: it chooses Keras 2.

Tests, and the programs that they start, leave XLA out: compiling is most of the time of a tiny run. Where the compiled
functions themselves are what is tested, `programs.COMPILED` turns it on.
"""

import os

os.environ.setdefault("VAGRAM_TF_XLA", "0")

import vagram_tf  # noqa: E402, F401
