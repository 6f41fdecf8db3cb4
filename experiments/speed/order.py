"""What the benchmark is asked for."""

from pathlib import Path
from typing import NamedTuple


class Order(NamedTuple):
    """The flags of `benchmark`: `output` is without suffix, `peers` the environment with the other
    libraries.
    """

    quick: bool
    output: Path
    peers: Path
    threads: int
