"""Figures before they are written: what a test must know of them."""

from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure
from matplotlib.testing.compare import compare_images
from matplotlib.text import Text

from vagram_tf.commands.report import style


def captured(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """Keeps figures, laid out, by the name that they would be written under, instead of writing
    them.
    """
    figures: dict[str, Figure] = {}

    def save(figure: Figure, output: str) -> list[Path]:
        figure.draw_without_rendering()
        plt.close(figure)
        figures[Path(output).name] = figure
        return []

    monkeypatch.setattr(style, "save", save)
    return figures


def texts(figure: Figure) -> list[str]:
    """Returns all that can be read in a figure; titles in one line."""
    shown = (text.get_text() for text in figure.findobj(Text) if text.get_visible())
    return [" ".join(text.split()) for text in shown if text]


def check_same(committed: Path, drawn: Path) -> None:
    """Asserts that a committed PNG shows what was drawn anew, and that its PDF is beside it."""
    assert compare_images(str(committed), str(drawn), tol=1) is None
    assert committed.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
