"""The same work done by what a user would pick instead, in an environment of its own (`experiments/peers/install`)."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.speed.timing import Row


def rows(python: Path, threads: int, quick: bool) -> Iterator[Row]:
    """Runs the peers' programs.

    Raises:
      RuntimeError: one of them failed.
    """
    shape = [f"--threads={threads}", *(["--seconds=1", "--repetitions=2"] if quick else [])]
    for units in (256,) if quick else (128, 256, 1024):
        for per_call in (20, 200):
            row = _run(python, "sbx_sac", f"--units={units}", f"--per_call={per_call}", *shape)[0]
            yield _row(f"SAC updates, 2×{units}, sbx ({per_call} per call)", "updates/s", row)
        row = _run(python, "mbrl_lib", "sac", f"--units={units}", *shape)[0]
        yield _row(f"SAC updates, 2×{units}, mbrl-lib", "updates/s", row)
    for batch in (256,) if quick else (256, 1024):
        without, with_holdout = _run(python, "mbrl_lib", "ensemble", f"--batch={batch}", *shape)
        yield _row(f"ensemble steps, mle, batch {batch}, mbrl-lib", "steps/s", with_holdout)
        yield _row(f"ensemble steps, mle, batch {batch}, mbrl-lib without holdout scores", "steps/s", without)


def whole_loop(python: Path, threads: int, steps: int, model_epochs: int) -> dict[str, Any]:
    """Runs mbrl-lib's MBPO on Hopper for so many training steps, with so many epochs in each fit."""
    arguments = [f"--threads={threads}", f"--steps={steps}", f"--model_epochs={model_epochs}"]
    return _run(python, "mbrl_lib", "loop", *arguments)[0]


def _run(python: Path, program: str, *arguments: str) -> list[dict[str, Any]]:
    command = [str(python), "-m", f"experiments.peers.{program}", *arguments]
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {process.stderr.strip().splitlines()[-1]}")
    return [json.loads(line) for line in process.stdout.splitlines()]


def _row(name: str, unit: str, row: dict[str, Any]) -> Row:
    return Row(name, row["median"], unit, None, row["repetitions"])
