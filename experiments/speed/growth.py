"""The figure of how cost grows: with the transitions stored, and with processes side by side."""

import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from experiments.speed.timing import BenchmarkRow
from vagram_tf.commands.report import style

_ROUND = re.compile(r"Hopper, ([\d,]+) stored: (\d+) training steps")


def seconds_by_stored(rows: Sequence[BenchmarkRow]) -> dict[int, float]:
    """Returns the seconds of a training step by the transitions stored."""
    found = {}
    for row in rows:
        if match := _ROUND.fullmatch(row.name):
            found[int(match[1].replace(",", ""))] = row.value / int(match[2])
    return found


def draw(rows: Sequence[BenchmarkRow], output: str) -> list[Path]:
    """Draws time and memory over transitions stored, and work over processes; returns the files,
    none where no round was measured.
    """
    seconds = seconds_by_stored(rows)
    if not seconds:
        return []
    values = {row.name: row.value for row in rows}
    memory = [values[f"Hopper, {stored:,} stored: peak memory"] for stored in seconds]
    with plt.rc_context(style.STYLE):
        figure, panels = plt.subplots(1, 4, figsize=(11.0, 2.6), layout="constrained")
        time, space, work, together = panels
        time.plot(list(seconds), list(seconds.values()), "o-")
        time.set_ylabel("seconds per training step")
        time.set_title("Hopper-v5, one run: time")
        space.plot(list(seconds), memory, "o-")
        space.set_title("Hopper-v5, one run: memory")
        for axes in (time, space):
            axes.set_xlabel("transitions stored")
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
            axes.set_xticks([0, 50_000, 100_000])
        work.plot(*_by_processes(rows, "by one"), "o-")
        work.set_ylabel("throughput by that of one")
        work.set_title("updates and fits side by side")
        together.plot(*_by_processes(rows, "memory"), "o-")
        together.set_title("memory of all processes")
        for axes in (work, together):
            axes.set_xlabel("processes, one thread each")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        for axes in (space, together):
            axes.set_ylabel("peak memory, GB")
        for axes in panels:
            axes.set_ylim(0, 1.1 * axes.dataLim.ymax)
        return style.save(figure, output)


def _by_processes(rows: Sequence[BenchmarkRow], what: str) -> tuple[list[int], list[float]]:
    """Returns how many processes, and what is measured of them."""
    found = [
        (int(match[1]), row.value)
        for row in rows
        if (match := re.fullmatch(rf"(\d+) single-threaded processes:? {what}", row.name))
    ]
    return [count for count, _ in found], [value for _, value in found]
