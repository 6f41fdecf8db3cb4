"""Timing against the machine's own limit, measured again beside every repetition: the machine may
be shared.
"""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

_LIMIT_SIZE = 2048


class BenchmarkRow(NamedTuple):
    """One line of the benchmark.

    Attributes:
      name: what was measured.
      value: the median over the repetitions.
      unit: of the value.
      share: of the limit, if what is measured is made of matrix products; median over the
        repetitions.
      repetitions: every single value.
    """

    name: str
    value: float
    unit: str
    share: float | None
    repetitions: list[float]


Measurement = Callable[[], list[BenchmarkRow]]


class Stopwatch:
    """Times calls, each beside a measurement of the limit.

    Args:
      repetitions: of every measurement.

    Attributes:
      limits: GFLOP/s of a float32 matrix product with 2048 rows and columns, one per repetition so
        far.
    """

    def __init__(self, repetitions: int):
        self.repetitions = repetitions
        self.limits: list[float] = []
        self._matrix = tf.random.normal([_LIMIT_SIZE, _LIMIT_SIZE])
        self._product = tf.function(lambda a: tf.matmul(a, a))
        for _ in range(5):
            self._product(self._matrix)

    def rate(
        self,
        name: str,
        unit: str,
        call: Callable[[], object],
        units: float,
        flop: float | None = None,
        between: Sequence[Measurement] = (),
    ) -> list[BenchmarkRow]:
        """Returns how many units per second `call` does, after a first call that may compile; then
        `between`'s rows.

        Args:
          call: does the work and waits for it.
          units: that one call does.
          flop: floating-point operations in the matrix products of one unit.
          between: what is to be compared with it, twice each. The repetitions are taken before the
            first of these, after the last and between them, so that minutes in which the machine is
            slow are neither side's alone.
        """
        call()
        turns = [*between, *between]
        repetitions_per_turn = math.ceil(self.repetitions / (len(turns) + 1))
        rates, shares = [], []

        def take_turn() -> None:
            for _ in range(repetitions_per_turn):
                limit = self.limit()
                rates.append(units / seconds(call))
                if flop is not None:
                    shares.append(rates[-1] * flop / (limit * 1e9))

        take_turn()
        others: list[BenchmarkRow] = []
        for other in turns:
            others += other()
            take_turn()
        share = statistics.median(shares) if shares else None
        row = BenchmarkRow(name, statistics.median(rates), unit, share, rates)
        return [row, *pooled(others)]

    def limit(self) -> float:
        """Measures the limit now; the best of three, since anything else on the machine only slows
        it.
        """
        best = min(seconds(lambda: self._product(self._matrix).numpy()) for _ in range(3))
        self.limits.append(2 * _LIMIT_SIZE**3 / best / 1e9)
        return self.limits[-1]


def pooled(rows: Sequence[BenchmarkRow]) -> list[BenchmarkRow]:
    """Returns one row for each name, with all the repetitions of the rows that have it."""
    named: dict[str, list[BenchmarkRow]] = {}
    for row in rows:
        named.setdefault(row.name, []).append(row)
    return [_pooled(same) for same in named.values()]


def _pooled(rows: list[BenchmarkRow]) -> BenchmarkRow:
    """Returns what was measured several times as one row."""
    shares = [row.share for row in rows if row.share is not None]
    repetitions = [each for row in rows for each in row.repetitions]
    return median_row(rows[0].name, rows[0].unit, repetitions)._replace(
        share=statistics.median(shares) if shares else None
    )


def seconds(call: Callable[[], object]) -> float:
    """Returns how long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def median_row(name: str, unit: str, repetitions: list[float]) -> BenchmarkRow:
    return BenchmarkRow(name, statistics.median(repetitions), unit, None, repetitions)
