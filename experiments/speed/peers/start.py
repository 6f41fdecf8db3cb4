"""The same work done by what a user would pick instead, in an environment of its own (`install`,
beside this file).
"""

import functools
import json
import subprocess
from pathlib import Path
from typing import Any

from experiments.speed.timing import BenchmarkRow, Measurement


class Peers:
    """The peers' environment.

    Args:
      python: its interpreter, None where it is not installed: then there are no rows.
      threads: of an operation.
      quick: measure for a short time only.
    """

    def __init__(self, python: Path | None, threads: int, quick: bool):
        self.python = python
        self._shape = [
            f"--threads={threads}",
            *(["--seconds=1", "--repetitions=2"] if quick else []),
        ]

    def sac(self, name: str, units: int, normalized: bool) -> list[Measurement]:
        """SAC updates with 2×`units` networks; calling one raises RuntimeError if the peer's
        program fails.

        Args:
          name: of our own row.
          units: of each hidden layer.
          normalized: the critics' hidden layers are.
        """

        def sbx(per_call: int) -> list[BenchmarkRow]:
            arguments = [f"--units={units}", f"--per_call={per_call}"]
            (row,) = self._run("sbx_sac", *arguments, *["--normalized"] * normalized)
            return [_row(f"{name}, sbx ({per_call} per call)", "updates/s", row)]

        def mbrl_lib() -> list[BenchmarkRow]:
            (row,) = self._run("mbrl_lib", "sac", f"--units={units}")
            return [_row(f"{name}, mbrl-lib", "updates/s", row)]

        if not self.python:
            return []
        measurements: list[Measurement] = [functools.partial(sbx, each) for each in (20, 200)]
        return measurements if normalized else [*measurements, mbrl_lib]

    def ensemble(self, batch: int) -> list[Measurement]:
        """Ensemble steps, likewise."""
        what = f"ensemble steps, mle, batch {batch}, mbrl-lib"

        def mbrl_lib() -> list[BenchmarkRow]:
            without, with_holdout = self._run("mbrl_lib", "ensemble", f"--batch={batch}")
            return [
                _row(what, "steps/s", with_holdout),
                _row(f"{what} without holdout scores", "steps/s", without),
            ]

        return [mbrl_lib] if self.python else []

    def _run(self, program: str, *arguments: str) -> list[dict[str, Any]]:
        assert self.python is not None
        return _run(self.python, program, *arguments, *self._shape)


def whole_loop(python: Path, threads: int, steps: int, model_epochs: int) -> dict[str, Any]:
    """Runs mbrl-lib's MBPO on Hopper for so many training steps, with so many epochs in each
    fit.
    """
    arguments = [f"--threads={threads}", f"--steps={steps}", f"--model_epochs={model_epochs}"]
    return _run(python, "mbrl_lib", "loop", *arguments)[0]


def _run(python: Path, program: str, *arguments: str) -> list[dict[str, Any]]:
    command = [str(python), "-m", f"experiments.speed.peers.{program}", *arguments]
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {process.stderr.strip().splitlines()[-1]}")
    return [json.loads(line) for line in process.stdout.splitlines()]


def _row(name: str, unit: str, row: dict[str, Any]) -> BenchmarkRow:
    return BenchmarkRow(name, row["median"], unit, None, row["repetitions"])
