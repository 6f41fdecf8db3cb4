"""Pictures of a run: pure functions from arrays to encoded images. Matplotlib is imported when the
first is drawn.
"""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 2  # of panels; narrow, as TensorBoard shows pictures at about 400 pixels


class Picture(NamedTuple):
    """An encoded image: its PNG or GIF, and its size in pixels."""

    data: bytes
    width: int
    height: int


def sensitivity_map(
    env_steps: np.ndarray, sensitivity: np.ndarray, names: Sequence[str]
) -> Picture:
    """Draws how much the value depends on each dimension, fit after fit, as a heat map.

    Values grow during a run, so that colours compare the dimensions of one fit: black is nothing,
    white the most important one.

    Args:
      env_steps: `[T]`, evenly spaced, of the fits.
      sensitivity: `[T, D]`, not negative.
      names: of the D dimensions.
    """
    from matplotlib.figure import Figure

    size, width, height = len(names), 6.0, 1.0 + 0.2 * max(len(names), 6)
    figure = Figure(figsize=(width, height), dpi=80)
    # The layout is by hand, here and below: letting Matplotlib find one draws everything twice.
    left = 0.15 + 0.075 * max(map(len, names))
    axes, bar = figure.subplots(
        1,
        2,
        width_ratios=(40, 1),
        gridspec_kw={
            "left": left / width,
            "right": 0.94,
            "bottom": 0.5 / height,
            "top": 1 - 0.4 / height,
            "wspace": 0.05,
        },
    )
    largest = sensitivity.max(axis=1, keepdims=True)
    relative = np.divide(sensitivity, largest, out=np.zeros_like(sensitivity), where=largest > 0)
    spacing = env_steps[1] - env_steps[0] if len(env_steps) > 1 else 1
    extent = (env_steps[0] - spacing / 2, env_steps[-1] + spacing / 2, size - 0.5, -0.5)
    image = axes.imshow(
        relative.T,
        aspect="auto",
        interpolation="nearest",
        cmap="inferno",
        vmin=0,
        vmax=1,
        extent=extent,
    )
    axes.set_yticks(range(size), names, fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel("environment steps", fontsize=8)
    figure.suptitle("sensitivity of the value, relative to the largest of a fit", fontsize=9)
    figure.colorbar(image, cax=bar, ticks=[0, 0.5, 1])
    bar.tick_params(labelsize=8)
    return _png(figure)


def open_loop(real: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> Picture:
    """Draws a real trajectory and what members predict from its first state on, one panel per
    dimension.

    Args:
      real: `[H + 1, D]`, in observation units.
      predicted: `[M, H + 1, D]`.
      names: of the D dimensions.
    """
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(names))
    rows = -(-len(names) // columns)
    width, height = 0.6 + 2.4 * columns, 0.7 + 1.6 * rows
    figure = Figure(figsize=(width, height), dpi=80)
    panels = figure.subplots(
        rows,
        columns,
        squeeze=False,
        gridspec_kw={
            "left": 0.6 / width,
            "right": 0.98,
            "bottom": 0.3 / height,
            "top": 1 - 0.6 / height,
            "wspace": 0.35,
            "hspace": 0.4,
        },
    ).flat
    for i, (name, panel) in enumerate(zip(names, panels, strict=False)):
        members = panel.plot(predicted[:, :, i].T, color="tab:orange", linewidth=1)
        (truth,) = panel.plot(real[:, i], color="black", linewidth=1.5)
        low, high = real[:, i].min(), real[:, i].max()
        margin = max(high - low, 1e-3)  # a prediction that runs away must not flatten the truth
        panel.set_ylim(low - margin, high + margin)
        panel.set_xticks([0, len(real) - 1])
        panel.set_yticks([low, high], [f"{low:.3g}", f"{high:.3g}"])
        panel.tick_params(labelsize=7)
        panel.set_title(name, fontsize=8)
    for panel in list(panels):  # those that no dimension is left for
        panel.set_axis_off()
    figure.legend(
        [truth, members[0]],
        ["real", "elites, from the first state"],
        loc="upper center",
        ncols=2,
        fontsize=8,
    )
    return _png(figure)


def animation(frames: np.ndarray, frames_per_second: int) -> Picture:
    """Encodes pictures uint8 `[T, height, width, 3]` as a GIF that repeats."""
    pictures = [Image.fromarray(frame).quantize(64) for frame in frames]
    file = io.BytesIO()
    pictures[0].save(
        file,
        "GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=1000 // frames_per_second,
        loop=0,
    )
    return Picture(file.getvalue(), pictures[0].width, pictures[0].height)


def _png(figure: "Figure") -> Picture:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    width, height = figure.canvas.get_width_height()
    return Picture(file.getvalue(), width, height)
