"""Which Keras TensorFlow has taken, which it keeps as long as a process lives. TF-Agents needs
Keras 2.
"""

import tensorflow as tf


def check() -> None:
    """Raises ImportError, in one sentence, where `tf.keras` is Keras 3."""
    if not tf.keras.layers.Layer.__module__.startswith("tf_keras."):
        raise ImportError(
            "tf.keras is Keras 3 in this process already, and TF-Agents needs Keras 2: import "
            "vagram_tf before "
            "tf.keras is used (in a notebook, restart the kernel), or set TF_USE_LEGACY_KERAS=1"
        )
