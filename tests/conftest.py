"""The package comes before TensorFlow and TF-Agents in every test: it chooses Keras 2.

Tests, and the programs that they start, leave XLA out: compiling is most of the time of a tiny run.
Where the compiled functions themselves are what is tested, `programs.COMPILED` turns it on.

VAGRAM_TF_SESSION is a directory of all workers: what one of them has made, the others read.
"""

import atexit
import functools
import gc
import os
import shutil
import tempfile

os.environ.setdefault("VAGRAM_TF_XLA", "0")

if "VAGRAM_TF_SESSION" not in os.environ:  # pytest's own process, not one of its workers
    os.environ["VAGRAM_TF_SESSION"] = tempfile.mkdtemp(prefix="vagram-tests-")
    atexit.register(shutil.rmtree, os.environ["VAGRAM_TF_SESSION"], ignore_errors=True)

import vagram_tf  # noqa: E402, F401, I001
import pytest  # noqa: E402
import tensorflow as tf  # noqa: E402

from vagram_tf import processes  # noqa: E402

processes.share_memory()  # as programs do

_check_numerics = tf.debugging.check_numerics


def _ours_only(tensor: tf.Tensor, message: str, name: str | None = None) -> tf.Tensor:
    """Leaves out TF-Agents' own checks, as XLA leaves them out of a compiled update: users meet the
    run's guard.
    """
    return tensor if "is inf or nan" in message else _check_numerics(tensor, message, name)


tf.debugging.check_numerics = _ours_only


_load = tf.saved_model.load
_load_written = functools.cache(lambda path, written: _load(path))


def _load_once(path: str, **options: object) -> object:
    """Builds all functions of an export for the first test alone that reads it."""
    if options:
        return _load(path, **options)
    return _load_written(path, os.stat(os.path.join(path, "saved_model.pb")).st_mtime_ns)


tf.saved_model.load = _load_once


LONG = ("docs_test.py", "learning_test.py", "trainer_test.py")


def pytest_configure(config):
    """Workers take files in the order of collection, and not those of few tests last."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    """The longest files come first: none of them is left for a single worker at the end."""
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture(autouse=True, scope="module")
def forget():
    """Lets go of a module's traces and exports: a worker keeps them otherwise."""
    yield
    _load_written.cache_clear()
    tf.keras.backend.clear_session()
    gc.collect()


@pytest.fixture
def eagerly():
    """Runs compiled functions as Python: no compilation, and a test may look inside."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
