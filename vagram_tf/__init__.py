"""VaGraM in TensorFlow: value-gradient weighted model learning inside an MBPO loop.

    import vagram_tf

    with vagram_tf.Training(vagram_tf.preset("InvertedPendulum-v5"), "runs") as run:
        run.learn(1500)
        print(run.evaluate())

Importing the package sets the environment variables that TensorFlow reads when it is first
imported; the public names below load what they need when they are first used, so that `--help` does
not wait for TensorFlow.
"""

import importlib
import importlib.util
import os
import sys
import types
from typing import TYPE_CHECKING, Any

from vagram_tf.version import __version__ as __version__

# TF-Agents builds Keras 2 layers: tf.keras must resolve to tf-keras.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
# oneDNN rounds in a way of its own, where it is used, and prints notices.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
# CUDA and CPU-feature notices are of level INFO and WARNING; errors still show.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def _lead_to_keras_2() -> None:
    """Lets a TensorFlow that has been imported already find Keras 2 when its Keras is used for the
    first time.

    TensorFlow puts the directory whose `keras` it takes at the front of its path when it is
    imported. Where its Keras has been used before, `keras_version` says so.
    """
    tensorflow, keras = sys.modules.get("tensorflow"), importlib.util.find_spec("tf_keras")
    if tensorflow is None or keras is None or keras.origin is None:
        return
    # Until its first use it is a proxy.
    if type(vars(tensorflow).get("keras")) is not types.ModuleType:
        tensorflow.__path__.insert(0, os.path.join(os.path.dirname(keras.origin), "api", "_v2"))


_lead_to_keras_2()

if TYPE_CHECKING:
    from vagram_tf import plan
    from vagram_tf.config import Config
    from vagram_tf.dataset import Dataset
    from vagram_tf.export.learned_env import LearnedEnv, LearnedVectorEnv
    from vagram_tf.model import losses
    from vagram_tf.model.known_termination import register as register_termination
    from vagram_tf.model.objective import Objective, ValueAware
    from vagram_tf.model.objectives import register_objective
    from vagram_tf.model.value_gradients import clip_by_norm_quantile, vagram_loss, value_gradients
    from vagram_tf.presets import preset
    from vagram_tf.run.training import Training
    from vagram_tf.study import Study

_PUBLIC = {
    "Config": ("vagram_tf.config", "Config"),
    "Dataset": ("vagram_tf.dataset", "Dataset"),
    "LearnedEnv": ("vagram_tf.export.learned_env", "LearnedEnv"),
    "LearnedVectorEnv": ("vagram_tf.export.learned_env", "LearnedVectorEnv"),
    "Objective": ("vagram_tf.model.objective", "Objective"),
    "Study": ("vagram_tf.study", "Study"),
    "Training": ("vagram_tf.run.training", "Training"),
    "ValueAware": ("vagram_tf.model.objective", "ValueAware"),
    "clip_by_norm_quantile": ("vagram_tf.model.value_gradients", "clip_by_norm_quantile"),
    "losses": ("vagram_tf.model.losses", None),
    "plan": ("vagram_tf.plan", None),
    "preset": ("vagram_tf.presets", "preset"),
    "register_objective": ("vagram_tf.model.objectives", "register_objective"),
    "register_termination": ("vagram_tf.model.known_termination", "register"),
    "vagram_loss": ("vagram_tf.model.value_gradients", "vagram_loss"),
    "value_gradients": ("vagram_tf.model.value_gradients", "value_gradients"),
}

__all__ = [
    "Config",
    "Dataset",
    "LearnedEnv",
    "LearnedVectorEnv",
    "Objective",
    "Study",
    "Training",
    "ValueAware",
    "clip_by_norm_quantile",
    "losses",
    "plan",
    "preset",
    "register_objective",
    "register_termination",
    "vagram_loss",
    "value_gradients",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    loaded = importlib.import_module(module)
    value = loaded if attribute is None else getattr(loaded, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
