"""One colour per loss in all figures. Matplotlib is not needed here."""

import itertools
from collections.abc import Iterable

# Okabe and Ito (2008): told apart with any kind of colour vision.
COLOURS = {
    "mle": "#000000",
    "mle_mean": "#000000",  # the studies' controls
    "mle_fixed": "#999999",
    "mle_fixed_mean": "#999999",
    "sac": "#56B4E9",
    "mse": "#0072B2",
    "itervaml": "#E69F00",
    "calibrated_itervaml": "#CC79A7",
    "taylor": "#009E73",
    "vagram": "#D55E00",
}
_DASHED = ("mle_mean", "mle_fixed_mean")  # the models of those before them, without noise
# Tol's muted ones, for what is no loss of the package; those last that are near to the others.
_OTHERS = (
    "#332288",
    "#CC6677",
    "#999933",
    "#882255",
    "#44AA99",
    "#DDCC77",
    "#AA4499",
    "#117733",
    "#88CCEE",
)


def place(name: str) -> int:
    """Returns a loss's place in the palette; what is none comes after them."""
    return [*COLOURS, name].index(name)


def lines(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Returns colour and dashes, as Matplotlib names them, of the curves of a figure.

    A loss has its look everywhere, the others take turns, with other dashes in every turn.
    """
    others = itertools.cycle(itertools.product(("-", "--", "-.", ":"), _OTHERS))
    found = {}
    for name in names:
        if name in COLOURS:
            dashes, colour = "--" if name in _DASHED else "-", COLOURS[name]
        else:
            dashes, colour = next(others)
        found[name] = (colour, dashes)
    return found
