"""Which Keras a process ends up with, by what it has imported and used before."""

import os
import subprocess
import sys

import programs
import pytest

pytestmark = pytest.mark.slow

_TELL = "; import tensorflow as tf; print(tf.keras.layers.Layer.__module__.split('.')[0])"


@pytest.mark.parametrize("before", ["import tensorflow as tf; ", "import keras; "])
def test_keras_is_keras_2(before):
    process = python(f"{before}from vagram_tf import Training{_TELL}")
    assert process.stdout.splitlines()[-1] == "tf_keras", process.stderr


def test_where_keras_3_has_been_used_there_is_a_sentence_and_losses_work():
    process = python(
        "import tensorflow as tf; tf.keras.layers.Dense(1); import vagram_tf; "
        "print(float(vagram_tf.losses.mse(tf.ones([1, 2]), tf.zeros([1, 2]))[0])); "
        "vagram_tf.Training"
    )
    assert process.stdout == "1.0\n", process.stderr
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1].startswith(
        "ImportError: tf.keras is Keras 3 in this process already"
    )


def python(code):
    """Runs a program in a process that has not inherited what this one's import of vagram_tf has
    set.
    """
    clean = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=programs.ROOT, env=clean, text=True, capture_output=True
    )
