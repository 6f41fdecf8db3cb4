"""The work of `sweep`: its runs, watched until all of them have ended."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from vagram_tf.commands.interrupts import Interrupts
from vagram_tf.commands.sweep import Order
from vagram_tf.commands.sweeps import display, run_files
from vagram_tf.commands.sweeps.process import Outcome
from vagram_tf.commands.sweeps.run_files import RunFiles
from vagram_tf.commands.sweeps.workers import Workers

_REFRESH_SECONDS = 1.0
_RESULTS_SECONDS = 10.0  # between two versions of the CSV


def run(order: Order) -> int:
    """Runs a study; returns the exit code of `sweep`."""
    study, runs, results = order.plan
    return sweep(f"{study}, {order.size}", study, runs, results, order.workers, order.interrupts)


def sweep(
    title: str,
    study: str,
    runs: Sequence[RunFiles],
    results: Path,
    workers: Workers,
    interrupts: Interrupts,
) -> int:
    """Runs what is not finished, and returns the exit code: 0, or 1 if a run has failed, or 130
    after Ctrl-C.
    """
    stop = results.with_suffix("") / "stop"
    stop.unlink(missing_ok=True)
    outcomes: list[Outcome | None] = [Outcome(True) if files.finished() else None for files in runs]
    rest = [i for i, outcome in enumerate(outcomes) if outcome is None]
    print(
        f"{title}: {len(runs)} runs, {len(runs) - len(rest)} of them finished already, in "
        f"{stop.parent}",
        flush=True,
    )
    shown = display.Display(title, runs, outcomes)
    if rest:
        workers.start([runs[i] for i in rest], stop)
    written = -_RESULTS_SECONDS
    try:
        while None in outcomes:
            if interrupts.requested():
                stop.touch()
            for i, outcome in zip(rest, workers.outcomes(), strict=True):
                outcomes[i] = outcome
            shown.update(outcomes, interrupts.requested())
            if time.monotonic() - written >= _RESULTS_SECONDS:
                _write_results(results, study, runs)
                written = time.monotonic()
            time.sleep(_REFRESH_SECONDS)
    except BaseException:  # nobody would watch the runs any longer
        stop.touch()
        raise
    complete = _write_results(results, study, runs)
    ended = [outcome for outcome in outcomes if outcome is not None]
    print(
        f"\n{display.closing_words(runs, ended)}\n\nresults   {results}\nsettings  "
        f"{results.with_suffix('.json')}"
    )
    unfinished = sum(not outcome.finished and not outcome.error for outcome in ended)
    if unfinished:
        print(f"stopped with {unfinished} runs to go; the same command continues them")
    if interrupts.by_keyboard:
        return 130
    return 0 if complete and not any(outcome.error for outcome in ended) else 1


def _write_results(path: Path, study: str, runs: Sequence[RunFiles]) -> bool:
    """Writes the CSV, or says why it cannot be, which is no reason to stop the runs; returns
    whether it could.
    """
    try:
        run_files.write_results(path, study, runs)
    except OSError as error:
        print(f"warning: cannot write {path}: {error.strerror}", file=sys.stderr)
        return False
    return True
