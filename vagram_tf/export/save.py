"""Leaves a trained model as a SavedModel that needs nothing of this package, Keras or TF-Agents to
load.

    dynamics = tf.saved_model.load("export/dynamics/4000")
    dynamics(observation, action)["next_observation"]
"""

import json
from pathlib import Path
from typing import Any

import tensorflow as tf

from vagram_tf import files
from vagram_tf.errors import one_line
from vagram_tf.export.dynamics import ExportedDynamics
from vagram_tf.export.policy import ExportedPolicy, TFAgentsPolicy


def save(
    module: ExportedDynamics | ExportedPolicy | TFAgentsPolicy,
    directory: Path,
    metadata: dict[str, Any],
) -> Path:
    """Writes a SavedModel with its `metadata.json` and `manifest.json`, whole or not at all.

    A reader never sees half an export. One that is already there, from before the run was resumed,
    is replaced.

    Args:
      module: what to save.
      directory: the export's own, e.g. `export/dynamics/4000`; its name is the version TensorFlow
        Serving sees.
      metadata: what a reader must know: environment, dimension names, bounds, loss, step, seed. The
        module's documentation of its signatures is added.

    Returns:
      The directory.

    Raises:
      OSError: the disk is full or the directory cannot be written; nothing is left behind.
    """
    try:
        with files.replacing_directory(directory) as temporary:
            module.save(temporary)
            files.write(
                temporary / "metadata.json",
                json.dumps(metadata | module.documentation, indent=2) + "\n",
            )
    except (OSError, tf.errors.OpError) as error:
        raise OSError(f"cannot write the export {directory}: {one_line(error)}") from None
    return directory
