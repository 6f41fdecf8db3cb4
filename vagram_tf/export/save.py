"""Leaves a trained model as a SavedModel that needs nothing of this package, Keras or TF-Agents to load.

    dynamics = tf.saved_model.load("export/dynamics/4000")
    dynamics(observation, action)["next_observation"]
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import tensorflow as tf

from vagram_tf.errors import one_line
from vagram_tf.export.dynamics import ExportedDynamics
from vagram_tf.export.policy import ExportedPolicy, TFAgentsPolicy
from vagram_tf.files import checksum


def save(
    module: ExportedDynamics | ExportedPolicy | TFAgentsPolicy, directory: Path, metadata: dict[str, Any]
) -> Path:
    """Writes a SavedModel with its `metadata.json` and `manifest.json`, whole or not at all.

    It is written beside its place and renamed, so that a reader never sees half an export. An export that is
    already there, from before the run was resumed, is replaced.

    Args:
      module: what to save.
      directory: the export's own, e.g. `export/dynamics/4000`; its name is the version TensorFlow Serving sees.
      metadata: what a reader must know: environment, dimension names, bounds, loss, step, seed. The module's
        documentation of its signatures is added.

    Returns:
      The directory.

    Raises:
      OSError: the disk is full or the directory cannot be written; nothing is left behind.
    """
    temporary = directory.with_name(f"writing-{directory.name}")
    try:
        module.save(temporary)
        contents = metadata | module.documentation
        (temporary / "metadata.json").write_text(json.dumps(contents, indent=2) + "\n")
        manifest = {str(path.relative_to(temporary)): checksum(path)
                    for path in sorted(temporary.rglob("*")) if path.is_file()}
        (temporary / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    except (OSError, tf.errors.OpError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise OSError(f"cannot write the export {directory}: {one_line(error)}") from None
    shutil.rmtree(directory, ignore_errors=True)
    os.replace(temporary, directory)
    return directory

