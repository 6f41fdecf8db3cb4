"""Pictures of imagined episodes: of the task in the states that they come to, or plots of these.

Matplotlib is imported for the first plot.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from vagram_tf.config import EnvConfig
from vagram_tf.envs.state_rendering import StateRenderer

_ROWS = 8  # of a plot, at most as many dimensions in a column
_DPI = 80


class Pictures:
    """Draws a MuJoCo task, or Pendulum-v1, whose observations hold its states; of any other task, a
    plot of the observations.

    Args:
      environment: that the model has learned, where it is known.
      names: of its D dimensions.
      size: height of the pictures, in pixels; smaller ones, and plots, stay as they are.

    Attributes:
      frames_per_second: at which pictures of consecutive steps play as fast as the environment's
        own time runs; 30 for plots.

    Raises:
      RenderingUnavailable: the task could be drawn, but OpenGL is missing.
    """

    def __init__(self, environment: EnvConfig | None, names: Sequence[str], size: int = 480):
        self._arguments = (environment, names, size)
        self._task: StateRenderer | None = None
        self.frames_per_second: float = 30
        if environment is None:
            return
        try:
            self._task = StateRenderer(environment, size)
            self.frames_per_second = self._task.frames_per_second
        except ValueError:  # its states are not to be had: they are plotted
            pass

    def __deepcopy__(self, memo: dict[int, Any]) -> "Pictures":
        """Copies share the process that draws."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Unpickled, it starts a process of its own."""
        return Pictures, self._arguments

    def draw(self, observations: np.ndarray) -> np.ndarray:
        """Returns a picture, uint8 `[height, width, 3]`, of where an episode is.

        Args:
          observations: `[T, D]` of the episode so far, the last of them now.

        Raises:
          RenderingUnavailable: the process that draws has ended.
        """
        if self._task is not None:
            return self._task.draw(observations[-1])
        return plot(observations, self._arguments[1])


def plot(observations: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Plots an episode's observations `[T, D]` over its steps, a panel for each dimension, with the
    value that it has now; returns uint8 `[height, width, 3]`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = math.ceil(len(names) / _ROWS)
    rows = math.ceil(len(names) / columns)
    width, height = 5.0 * columns, 0.4 + 0.8 * rows
    figure = Figure(figsize=(width, height), dpi=_DPI)
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(
        rows,
        columns,
        squeeze=False,
        gridspec_kw={
            "left": 0.6 / width,
            "right": 1 - 0.2 / width,
            "bottom": 0.3 / height,
            "top": 1 - 0.3 / height,
            "wspace": 0.3,
            "hspace": 1.0,
        },
    ).T.flat
    last = max(len(observations) - 1, 1)
    for values, name, panel in zip(observations.T, names, panels, strict=False):
        panel.plot(values, color="tab:blue", linewidth=1.5, marker="." if len(values) == 1 else "")
        panel.set_xlim(0, last)
        panel.set_xticks([0, last])
        low, high = float(values.min()), float(values.max())
        panel.set_yticks(sorted({low, high}), [f"{end:.3g}" for end in sorted({low, high})])
        panel.tick_params(labelsize=8)
        panel.set_title(f"{name}  {values[-1]:.3g}", fontsize=9)
    for panel in panels:  # those that no dimension is left for
        panel.set_axis_off()
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
