"""What all figures share: sizes fit for print, PNG and SVG beside their data."""

import io
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from vagram_tf.files import write

matplotlib.use("Agg")


STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "svg.hashsalt": "vagram_tf",
    "svg.fonttype": "none",
}


def save(figure: Figure, output: str) -> list[Path]:
    """Writes `<output>.png` and `<output>.svg`, and closes the figure."""
    written = []
    for suffix in ("png", "svg"):
        picture = io.BytesIO()
        figure.savefig(
            picture, format=suffix, dpi=115, metadata={"Date": None} if suffix == "svg" else None
        )
        written.append(write(Path(f"{output}.{suffix}"), picture.getvalue()))
    plt.close(figure)
    return written
