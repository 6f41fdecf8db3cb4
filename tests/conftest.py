"""The package comes before TensorFlow and TF-Agents in every test: it chooses Keras 2."""

import vagram_tf  # noqa: F401
