"""Pictures of a run: pure functions from arrays to encoded images. Matplotlib is imported when the first is drawn."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 4


class Picture(NamedTuple):
    """An encoded image: its PNG or GIF, and its size in pixels."""

    data: bytes
    width: int
    height: int


def sensitivity_map(env_steps: np.ndarray, sensitivity: np.ndarray, names: Sequence[str]) -> Picture:
    """Draws how much the value depends on each dimension, fit after fit, as a heat map.

    Values grow during a run, so that colours compare the dimensions of one fit: black is nothing, white the most
    important one.

    Args:
      env_steps: `[T]`, evenly spaced, of the fits.
      sensitivity: `[T, D]`, not negative.
      names: of the D dimensions.
    """
    from matplotlib.figure import Figure

    size = len(names)
    figure = Figure(figsize=(8, max(2.5, 1.2 + 0.2 * size)), dpi=80, layout="constrained")
    axes = figure.subplots()
    largest = sensitivity.max(axis=1, keepdims=True)
    relative = np.divide(sensitivity, largest, out=np.zeros_like(sensitivity), where=largest > 0)
    spacing = env_steps[1] - env_steps[0] if len(env_steps) > 1 else 1
    extent = (env_steps[0] - spacing / 2, env_steps[-1] + spacing / 2, size - 0.5, -0.5)
    image = axes.imshow(
        relative.T, aspect="auto", interpolation="nearest", cmap="inferno", vmin=0, vmax=1, extent=extent)
    axes.set_yticks(range(size), names, fontsize=8)
    axes.set_xlabel("environment steps")
    axes.set_title("sensitivity of the value to each dimension, of the largest in a fit", fontsize=10)
    figure.colorbar(image, ax=axes)
    return _png(figure)


def open_loop(real: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> Picture:
    """Draws a real trajectory and what members predict from its first state on, one panel per dimension.

    Args:
      real: `[H + 1, D]`, in observation units.
      predicted: `[M, H + 1, D]`.
      names: of the D dimensions.
    """
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(2.6 * columns, 0.7 + 1.7 * rows), dpi=80, layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, squeeze=False).flat
    for i, (panel, name) in enumerate(zip(panels, names, strict=False)):
        members = panel.plot(predicted[:, :, i].T, color="tab:orange", linewidth=1)
        truth, = panel.plot(real[:, i], color="black", linewidth=1.5)
        panel.set_title(name, fontsize=8)
        panel.tick_params(labelsize=7)
        low, high = real[:, i].min(), real[:, i].max()
        margin = max(high - low, 1e-3)  # a prediction that runs away must not flatten the truth
        panel.set_ylim(low - margin, high + margin)
    for panel in list(panels):  # those that no dimension is left for
        panel.axis("off")
    figure.legend([truth, members[0]], ["real", "members, open loop"], loc="outside upper center", ncols=2, fontsize=8)
    figure.supxlabel("steps", fontsize=8)
    return _png(figure)


def animation(frames: np.ndarray, frames_per_second: int) -> Picture:
    """Encodes pictures uint8 `[T, height, width, 3]` as a GIF that repeats."""
    pictures = [Image.fromarray(frame).quantize(64) for frame in frames]
    file = io.BytesIO()
    pictures[0].save(
        file, "GIF", save_all=True, append_images=pictures[1:], duration=1000 // frames_per_second, loop=0)
    return Picture(file.getvalue(), pictures[0].width, pictures[0].height)


def _png(figure: "Figure") -> Picture:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    width, height = figure.canvas.get_width_height()
    return Picture(file.getvalue(), width, height)
