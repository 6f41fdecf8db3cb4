"""What all figures share: sizes fit for print, PNG and PDF beside their data."""

import io
import logging
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from vagram_tf.files import write

matplotlib.use("Agg")
# Absl shows what is logged; this one tells of every glyph in a PDF.
logging.getLogger("fontTools").setLevel(logging.WARNING)

STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,  # TrueType: publishers refuse the other kind
}
# Without the time: the same numbers make the same bytes.
_METADATA: Any = {"png": None, "pdf": {"CreationDate": None}}


def save(figure: Figure, output: str) -> list[Path]:
    """Writes `<output>.png` and `<output>.pdf`, and closes the figure."""
    written = []
    for suffix, metadata in _METADATA.items():
        picture = io.BytesIO()
        figure.savefig(picture, format=suffix, metadata=metadata)
        written.append(write(Path(f"{output}.{suffix}"), picture.getvalue()))
    plt.close(figure)
    return written
