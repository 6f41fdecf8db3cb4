"""The figure of `loss_landscape`: the value function, and each loss as the prediction moves over
the plane.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm

from experiments.paper.landscape import height
from experiments.paper.task import Landscape
from vagram_tf.commands.report import style

_LEVELS = (0.01, 0.1, 1.0)
_NAMES = {"mle": "mle (fixed variance)"}
_HEIGHTS = LogNorm(1e-3, 10)


def draw(
    found: Landscape, names: Sequence[str], valleys: Sequence[np.ndarray], output: str
) -> list[Path]:
    """Draws six panels; returns the files.

    Args:
      found: what to draw.
      names: of its losses.
      valleys: bool `[Y, X]` for each loss, where it is as good as none.
      output: path without suffix.
    """
    with plt.rc_context({**style.STYLE, "axes.spines.top": True, "axes.spines.right": True}):
        figure, grid = plt.subplots(
            2, 3, figsize=(8.4, 6.4), sharex=True, sharey=True, layout="constrained"
        )
        panels = list(grid.flat)
        value = panels[0].imshow(found.value, cmap="viridis", **_place(found))
        panels[0].contour(
            found.angle,
            found.velocity,
            found.value,
            10,
            colors="white",
            linewidths=0.4,
            linestyles="solid",
        )
        panels[0].set_title("value function")
        figure.colorbar(
            value, ax=list(grid[:, 0]), location="bottom", label="V (discounted return)"
        )
        for axes, name, loss, valley in zip(panels[1:], names, found.loss, valleys, strict=True):
            _loss(axes, found, loss, valley)
            axes.set_title(_NAMES.get(name, name))
        scale = ScalarMappable(_HEIGHTS, "magma")
        figure.colorbar(
            scale,
            ax=list(grid[:, 1:].flat),
            location="bottom",
            shrink=0.7,
            extend="both",
            label="(loss − its smallest) / median of that over the plane",
        )
        for axes in panels:
            axes.plot(
                *found.reference,
                marker="x",
                color="cyan",
                markersize=8,
                markeredgewidth=1.8,
                clip_on=False,
            )
            axes.set_xticks(
                [-np.pi, -np.pi / 2, 0, np.pi / 2, np.pi], ["−π", "−π/2", "0", "π/2", "π"]
            )
        for axes in grid[:, 0]:
            axes.set_ylabel("angular velocity (rad/s)")
        for axes in grid[-1]:
            axes.set_xlabel("angle (rad)")
        figure.suptitle(
            f"{found.title}\n× the real next state   ○ smallest loss   "
            "cyan: loss below 0.1 % of its median",
            fontsize=9,
        )
        return style.save(figure, output)


def _place(found: Landscape) -> dict[str, Any]:
    """Returns how an image `[Y, X]` of the grid's points is placed on its axes."""
    across, up = found.angle[1] - found.angle[0], found.velocity[1] - found.velocity[0]
    extent = (
        found.angle[0] - across / 2,
        found.angle[-1] + across / 2,
        found.velocity[0] - up / 2,
        found.velocity[-1] + up / 2,
    )
    return {"origin": "lower", "aspect": "auto", "interpolation": "none", "extent": extent}


def _loss(axes: Axes, found: Landscape, loss: np.ndarray, valley: np.ndarray) -> None:
    heights = height(loss)
    axes.imshow(np.clip(heights, 1e-4, None), cmap="magma", norm=_HEIGHTS, **_place(found))
    axes.contour(found.angle, found.velocity, heights, _LEVELS, colors="white", linewidths=0.5)
    axes.imshow(
        np.where(valley, 1.0, np.nan), cmap=ListedColormap(["cyan"]), alpha=0.9, **_place(found)
    )
    row, column = np.unravel_index(np.argmin(loss), loss.shape)
    axes.plot(
        found.angle[column],
        found.velocity[row],
        marker="o",
        markerfacecolor="none",
        markeredgecolor="white",
        markersize=12,
        markeredgewidth=1.2,
    )
