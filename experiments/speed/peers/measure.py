"""What the peers' programs share: arguments, repetitions, clocks, rows of JSON.

They run in an environment of their own (`experiments/speed/peers/install`), so nothing here imports
`vagram_tf`.
"""

import argparse
import collections
import functools
import importlib.util
import json
import statistics
import sys
import time
import typing
from collections.abc import Callable
from typing import Any

Row = dict[str, Any]


class Parser(argparse.ArgumentParser):
    """Reads arguments that are whole numbers; an error is one line."""

    def __init__(self, **settings: Any):
        super().__init__(formatter_class=argparse.ArgumentDefaultsHelpFormatter, **settings)

    def add(self, name: str, default: int | None, help: str) -> None:
        """Adds `--name`, at least 1."""
        self.add_argument(f"--{name}", type=whole_number, default=default, help=help)

    def add_repetitions(self) -> None:
        """Adds how long and how often a rate is measured."""
        self.add("repetitions", 5, "measurements, of which the median counts")
        self.add("seconds", 3, "least duration of one measurement")

    def error(self, message: str) -> typing.NoReturn:
        fail(message)


def fail(message: str) -> typing.NoReturn:
    """Prints one line to standard error and exits."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def need(*packages: str) -> None:
    """Exits where a peer is not installed, which is so outside of its environment."""
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        fail(
            f"{' and '.join(missing)} cannot be imported by {sys.executable}; "
            "experiments/speed/peers/install makes "
            "an environment that can"
        )


def rates(work: Callable[[], object], count: int, seconds: float, repetitions: int) -> list[float]:
    """Returns how often something happens per second, once per repetition, after one call to warm
    up.

    Args:
      work: does it `count` times.
      count: how often it happens in one call.
      seconds: each repetition goes on calling until so much time has passed.
      repetitions: of the measurement.
    """
    work()
    measured = []
    for _ in range(repetitions):
        calls, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds:
            work()
            calls += 1
        measured.append(calls * count / elapsed)
    return measured


def rates_row(measured: list[float], **row: Any) -> Row:
    """Returns a row with repetitions and their median."""
    return {**row, "median": statistics.median(measured), "repetitions": measured}


def print_row(row: Row) -> None:
    """Prints a row as one line of JSON."""
    print(json.dumps(row))


class PhaseClock:
    """Adds up `seconds` and `calls` of functions by phase; a phase within another one adds to
    `calls` alone.
    """

    def __init__(self) -> None:
        self.seconds: collections.defaultdict[str, float] = collections.defaultdict(float)
        self.calls: collections.Counter[str] = collections.Counter()
        self._running = False

    def watch(self, owner: Any, name: str, phase: str) -> None:
        """Replaces a function in its module or class by one that is timed."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self.calls[phase] += 1
            if self._running:
                return function(*args, **kwargs)
            self._running, start = True, time.perf_counter()
            result = function(*args, **kwargs)
            self.seconds[phase] += time.perf_counter() - start
            self._running = False
            return result

        setattr(owner, name, timed)


def whole_number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number
