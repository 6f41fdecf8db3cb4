"""What all figures share: one colour per loss, sizes fit for print, PNG and SVG beside their data."""

import io
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from vagram_tf.files import write

matplotlib.use("Agg")

# Okabe and Ito (2008): told apart with any kind of colour vision.
COLOURS = {
    "mle": "#000000",
    "mle_mean": "#999999",  # the studies' controls: see `experiments.studies`
    "mle_fixed": "#56B4E9",
    "mle_fixed_mean": "#A6D8F5",
    "sac": "#8C6D1F",
    "mse": "#0072B2",
    "itervaml": "#E69F00",
    "calibrated_itervaml": "#CC79A7",
    "taylor": "#009E73",
    "vagram": "#D55E00",
}
_OTHERS = (  # the light half of Matplotlib's tab20, for what is no loss of the package
    "#aec7e8", "#ffbb78", "#98df8a", "#ff9896", "#c5b0d5", "#c49c94", "#f7b6d2", "#c7c7c7", "#dbdb8d", "#9edae5")

STYLE: Any = {
    "font.size": 9, "axes.titlesize": 9.5, "axes.spines.top": False, "axes.spines.right": False,
    "legend.frameon": False, "svg.hashsalt": "vagram_tf", "svg.fonttype": "none"}


def colours(names: Iterable[str]) -> dict[str, str]:
    """Returns the colours of the curves of a panel: a loss has its own everywhere, the others take turns."""
    others = itertools.cycle(_OTHERS)
    return {name: COLOURS.get(name) or next(others) for name in names}


def save(figure: Figure, output: str) -> list[Path]:
    """Writes `<output>.png` and `<output>.svg`, and closes the figure."""
    written = []
    for suffix in ("png", "svg"):
        picture = io.BytesIO()
        figure.savefig(picture, format=suffix, dpi=115, metadata={"Date": None} if suffix == "svg" else None)
        written.append(write(Path(f"{output}.{suffix}"), picture.getvalue()))
    plt.close(figure)
    return written
