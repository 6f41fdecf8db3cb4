"""The work of `loss_landscape`: numbers, figure, and the report for the terminal."""

import io
from pathlib import Path

import numpy as np

from experiments.paper import landscape, landscape_figure
from experiments.paper.task import ENVIRONMENT, LOSSES, LandscapeOrder
from vagram_tf import files
from vagram_tf.export.load import open_export


def run(order: LandscapeOrder) -> None:
    """Draws the landscape of an export; raises ValueError or OSError."""
    export = open_export(order.export, "policy")
    found = landscape.compute(
        lambda observation: export.module.value(observation)["value"][0],
        order.angle,
        order.velocity,
    )
    arrays = io.BytesIO()
    np.savez_compressed(
        arrays, **{name: array.astype(np.float32) for name, array in found._asdict().items()}
    )
    of = export.metadata
    title = f"{ENVIRONMENT}, {of['loss']}, environment step {of['env_step']:,}"
    valleys = [landscape.valley(loss) for loss in found.loss]
    written = [
        files.write(Path(f"{order.output}.npz"), arrays.getvalue()),
        *landscape_figure.draw(found, LOSSES, valleys, title, order.output),
    ]
    print(landscape.table(found))
    print("\n".join(f"written  {path}" for path in written))
