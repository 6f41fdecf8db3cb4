"""One colour per loss in all figures. Matplotlib is not needed here."""

import itertools
from collections.abc import Iterable

# Okabe and Ito (2008): told apart with any kind of colour vision.
COLOURS = {
    "mle": "#000000",
    "mle_mean": "#999999",  # the studies' controls
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
    "#aec7e8",
    "#ffbb78",
    "#98df8a",
    "#ff9896",
    "#c5b0d5",
    "#c49c94",
    "#f7b6d2",
    "#c7c7c7",
    "#dbdb8d",
    "#9edae5",
)


def colours(names: Iterable[str]) -> dict[str, str]:
    """Returns the colours of the curves of a panel: a loss has its own everywhere, the others take
    turns.
    """
    others = itertools.cycle(_OTHERS)
    return {name: COLOURS.get(name) or next(others) for name in names}
