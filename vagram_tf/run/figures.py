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

# TensorBoard shows a picture 350 pixels wide among images and 215 high among curves, and leaves out
# pixels where it is larger: so this is its size, and its letters are those of a page.
_WIDTH, _HEIGHT, _DPI = 3.5, 2.15, 100  # inches
_LETTERS = 7.5  # points
_LINE = 0.125  # inches, of such a line
_COLUMNS = 2  # of panels


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

    size, width, height = len(names), _WIDTH, max(_HEIGHT, 0.65 + _LINE * len(names))
    figure = Figure(figsize=(width, height), dpi=_DPI)
    # The layout is by hand, here and below: letting Matplotlib find one draws everything twice.
    left = 0.12 + 0.062 * max(map(len, names))
    axes, bar = figure.subplots(
        1,
        2,
        width_ratios=(40, 1),
        gridspec_kw={
            "left": left / width,
            "right": 0.92,
            "bottom": 0.36 / height,
            "top": 1 - 0.2 / height,
            "wspace": 0.06,
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
    axes.set_yticks(range(size), names)
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel("environment steps", fontsize=_LETTERS, labelpad=1)
    figure.text(0.02, 1 - 0.14 / height, "what the value depends on, fit by fit", fontsize=_LETTERS)
    figure.colorbar(image, cax=bar, ticks=[0, 0.5, 1])
    for each in (axes, bar):
        each.tick_params(labelsize=_LETTERS, length=2, pad=2)
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
    figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=_DPI)
    panels = figure.subplots(
        rows,
        columns,
        squeeze=False,
        gridspec_kw={
            "left": 0.14,
            "right": 0.98,
            "bottom": 0.08,
            "top": 0.82,
            "wspace": 0.42,
            "hspace": 0.55,
        },
    ).flat
    for i, (name, panel) in enumerate(zip(names, panels, strict=False)):
        members = panel.plot(predicted[:, :, i].T, color="tab:orange", linewidth=1)
        (truth,) = panel.plot(real[:, i], color="black", linewidth=1.5)
        low, high = real[:, i].min(), real[:, i].max()
        margin = max(
            (high - low) / 2, 1e-3
        )  # a prediction that runs away must not flatten the truth
        panel.set_ylim(low - margin, high + margin)
        panel.set_xticks([0, len(real) - 1])
        panel.set_yticks([low, high], [_short(low), _short(high)])
        panel.tick_params(labelsize=_LETTERS, length=2, pad=2)
        panel.set_title(name, fontsize=_LETTERS, pad=2)
    for panel in list(panels):  # those that no dimension is left for
        panel.set_axis_off()
    figure.legend(
        [truth, members[0]],
        ["real", "elites, from the first state"],
        loc="upper center",
        ncols=2,
        fontsize=_LETTERS,
        frameon=False,
        borderpad=0,
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


def _short(number: float) -> str:
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.2g}"


def _png(figure: "Figure") -> Picture:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    width, height = figure.canvas.get_width_height()
    return Picture(file.getvalue(), width, height)
