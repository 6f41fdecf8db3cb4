"""What a person sees of a sweep: a live table in a terminal, lines now and then in a log, closing
words.
"""

import shutil
import statistics
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from tqdm import tqdm

from vagram_tf.commands.sweeps.process import Outcome
from vagram_tf.commands.sweeps.run_files import RunFiles

_LOG_SECONDS = 60.0  # between two lines of a log
_ENOUGH = 0.05  # share of a run's training steps whose speed says something of the rest
_SILENT_SECONDS = 20.0  # after which a run whose clock does not move is not at work


class RunProgress(NamedTuple):
    """How far a run is.

    Attributes:
      step: its environment step.
      share: of its training steps that are done.
      seconds: of computing so far.
      mean_return: of its last evaluation, empty without one.
    """

    step: int
    share: float
    seconds: float
    mean_return: str


def progress(files: RunFiles) -> RunProgress:
    """Reads a run's progress from its files."""
    step, dyna = files.step(), files.run.config.dyna
    evaluations = files.evaluations()
    share = min(1.0, max(0, step - dyna.random_steps) / dyna.num_steps)
    return RunProgress(
        step, share, files.spent()[0], evaluations[-1].mean_return if evaluations else ""
    )


def seconds_left(runs: Sequence[tuple[str, RunProgress]]) -> list[float | None]:
    """Estimates the seconds of computing that each run still needs.

    A run that has come some way is as fast from now on as it was; another takes what those of its
    setting take in all, or those of all settings.

    Args:
      runs: setting and progress of each.

    Returns:
      The seconds, None where no run has come far enough.
    """
    totals: dict[str, list[float]] = {}
    for setting, done in runs:
        if done.share >= _ENOUGH and done.seconds > 0:
            totals.setdefault(setting, []).append(done.seconds / done.share)
    everything = [total for of_setting in totals.values() for total in of_setting]
    left: list[float | None] = []
    for setting, done in runs:
        if done.share >= _ENOUGH and done.seconds > 0:
            left.append(done.seconds / done.share - done.seconds)
        elif everything:
            left.append(max(0.0, statistics.fmean(totals.get(setting, everything)) - done.seconds))
        else:
            left.append(None)
    return left


class Display:
    """Shows a sweep.

    Args:
      title: the study and its size.
      runs: all runs of the study.
      outcomes: of those that are finished already, None for the others.
    """

    def __init__(self, title: str, runs: Sequence[RunFiles], outcomes: Sequence[Outcome | None]):
        self._title, self._runs = title, runs
        self._live = sys.stdout.isatty()
        self._drawn, self._logged = 0, time.monotonic()
        self._ended = {i for i, outcome in enumerate(outcomes) if outcome is not None}
        self._seen = [progress(files) for files in runs]
        self._moved = [-_SILENT_SECONDS] * len(runs)

    def update(self, outcomes: Sequence[Outcome | None], stopping: bool) -> None:
        """Reads every run's files and shows them.

        Args:
          outcomes: of all runs, None for those that have not ended.
          stopping: whether they have been asked to.
        """
        before, now = list(self._seen), time.monotonic()
        for i, files in enumerate(self._runs):
            if i not in self._ended:
                self._seen[i] = progress(files)
                if before[i] != self._seen[i]:
                    self._moved[i] = now
        news = [
            self._ending(i, outcome)
            for i, outcome in enumerate(outcomes)
            if outcome is not None and i not in self._ended
        ]
        self._ended |= {i for i, outcome in enumerate(outcomes) if outcome is not None}
        working = [
            i
            for i in range(len(self._runs))
            if i not in self._ended and now - self._moved[i] < _SILENT_SECONDS
        ]
        head = self._head(outcomes, working) + (", stopping" if stopping else "")
        if self._live:
            self._draw([*filter(None, news)], [head, *self._table(working)])
        else:
            due = now - self._logged >= _LOG_SECONDS
            self._logged = now if due else self._logged
            print(
                *filter(None, news),
                *([head] if due else []),
                sep="\n",
                end="\n" if due or any(news) else "",
                flush=True,
            )

    def _ending(self, i: int, outcome: Outcome) -> str:
        """Returns the line of a run that has ended, empty for one that was asked to."""
        done = self._seen[i]
        if outcome.error:
            return f"failed    {self._runs[i].run}: {outcome.error}"
        if outcome.finished:
            return (
                f"finished  {self._runs[i].run}: return {float(done.mean_return):.1f} at step "
                f"{done.step:,}, "
                f"{tqdm.format_interval(done.seconds)}"
            )
        return ""

    def _head(self, outcomes: Sequence[Outcome | None], working: list[int]) -> str:
        finished = sum(outcome is not None and outcome.finished for outcome in outcomes)
        failed = sum(outcome is not None and bool(outcome.error) for outcome in outcomes)
        left = self._left()
        waiting = [seconds for i, seconds in enumerate(left) if i not in self._ended]
        if not waiting or None in waiting or not working:
            rest = ""
        elif all(done.share == 1 for i, done in enumerate(self._seen) if i not in self._ended):
            rest = ", finishing"
        else:
            seconds = [each for each in waiting if each is not None]
            rest = f", {tqdm.format_interval(max(sum(seconds) / len(working), *seconds))} left"
        return (
            f"{self._title}: {finished} of {len(self._runs)} runs finished, {len(working)} at work"
            f"{f', {failed} failed' if failed else ''}{rest}"
        )

    def _left(self) -> list[float | None]:
        return seconds_left(
            [(files.run.setting, done) for files, done in zip(self._runs, self._seen, strict=True)]
        )

    def _table(self, working: list[int]) -> list[str]:
        left = self._left()
        width = max([7, *(len(self._runs[i].run.setting) for i in working)])
        lines = [f"  {'setting':{width}}  seed  {'step':>17}  {'return':>9}  {'time left':>9}"]
        for i in working:
            done, run, rest = self._seen[i], self._runs[i].run, left[i]
            step = f"{done.step:,}/{self._runs[i].last_step:,}"
            shown = f"{float(done.mean_return):.1f}" if done.mean_return else "–"
            if done.share == 1:  # the last step's evaluation, pictures and exports
                remaining = "finishing"
            else:
                remaining = "–" if rest is None else tqdm.format_interval(rest)
            lines.append(
                f"  {run.setting:{width}}  {run.seed:>4}  {step:>17}  {shown:>9}  {remaining:>9}"
            )
        return lines

    def _draw(self, news: list[str], table: list[str]) -> None:
        """Writes lines that stay, and the table below them in the place of the one before."""
        columns, rows = shutil.get_terminal_size()
        shown = [line[: columns - 1] for line in table[: rows - 2]]
        back = f"\x1b[{self._drawn}A" if self._drawn else ""
        sys.stdout.write(f"{back}\r\x1b[J" + "".join(f"{line}\n" for line in [*news, *shown]))
        sys.stdout.flush()
        self._drawn = len(shown)


def closing_words(runs: Sequence[RunFiles], outcomes: Sequence[Outcome]) -> str:
    """Returns what came out: the last return of each setting, mean over its finished runs, and what
    has failed.
    """
    settings: dict[str, list[float]] = {files.run.setting: [] for files in runs}
    counts = dict.fromkeys(settings, 0)
    for files, outcome in zip(runs, outcomes, strict=True):
        counts[files.run.setting] += 1
        if outcome.finished:
            settings[files.run.setting].append(float(files.evaluations()[-1].mean_return))
    width = max(7, *map(len, settings))
    lines = [
        f"{'setting':{width}}  {'runs':>7}  {'last return':>11}  {'lowest':>9}  {'highest':>9}"
    ]
    for name, returns in settings.items():
        numbers = [statistics.fmean(returns), min(returns), max(returns)] if returns else []
        shown = [f"{number:.1f}" for number in numbers] or ["–"] * 3
        lines.append(
            f"{name:{width}}  {f'{len(returns)}/{counts[name]}':>7}  {shown[0]:>11}  "
            f"{shown[1]:>9}  "
            f"{shown[2]:>9}"
        )
    failed = [
        (files, outcome) for files, outcome in zip(runs, outcomes, strict=True) if outcome.error
    ]
    if failed:
        lines += ["", "failed:"]
        lines += [f"  {files.run}: {outcome.error}\n    {files.log}" for files, outcome in failed]
    return "\n".join(lines)
