"""The work of `loss_landscape`: numbers, figure, and the report for the terminal."""

import io
from pathlib import Path

import numpy as np

from experiments.paper import landscape, landscape_figure
from experiments.paper.task import ENVIRONMENT, LOSSES, Landscape, LandscapeOrder
from vagram_tf import files
from vagram_tf.export.load import open_export


def run(order: LandscapeOrder) -> None:
    """Draws the landscape of an export, computed now or before; raises ValueError or OSError."""
    written = []
    found = order.computed
    if found is None:
        found = _compute(order)
        written.append(files.write(Path(f"{order.output}.npz"), _arrays(found)))
    valleys = [landscape.valley(loss) for loss in found.loss]
    written += landscape_figure.draw(found, LOSSES, valleys, order.output)
    print(landscape.table(found))
    print("\n".join(f"written  {path}" for path in written))


def _compute(order: LandscapeOrder) -> Landscape:
    assert order.export is not None
    export = open_export(order.export, "policy")
    of = export.metadata
    return landscape.compute(
        lambda observation: export.module.value(observation)["value"][0],
        order.angle,
        order.velocity,
        f"{ENVIRONMENT}, {of['loss']}, environment step {of['env_step']:,}",
    )


def _arrays(found: Landscape) -> bytes:
    """Returns the `.npz`, in single precision."""
    arrays = found._asdict()
    title = arrays.pop("title")
    single = {name: array.astype(np.float32) for name, array in arrays.items()}
    file = io.BytesIO()
    np.savez_compressed(file, title=title, **single)
    return file.getvalue()
