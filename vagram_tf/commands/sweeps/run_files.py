"""Where a study's runs and results live, and what their files say of them. TensorFlow is not needed
here.

    <workdir>/<study>/<size>.csv          all evaluations of all runs
    <workdir>/<study>/<size>.json         all settings
    <workdir>/<study>/<size>/<setting>/   work directory of the setting's runs:
      <env>/<loss>/<seed>/                each of them,
      seed_<seed>.json, .log, .time       what it is started with, what it prints, what it took
"""

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from vagram_tf import files
from vagram_tf.commands.sweeps.study import Run
from vagram_tf.config import Config
from vagram_tf.export.load import check_export
from vagram_tf.run.directory import fixed, run_path

COLUMNS = ("study", "setting", "seed", "env_step", "return", "length", "wall_time")

_LOG_TAIL = 4000  # bytes at a log's end in which its last step stands


class ProgressRow(NamedTuple):
    """A row of `progress.csv`; the columns are mean return and mean length."""

    env_step: int
    mean_return: str
    mean_length: str


class RunFiles:
    """The files of one run.

    Args:
      directory: `<workdir>/<study>/<size>`.
      run: which one.
    """

    def __init__(self, directory: Path, run: Run):
        self.run, self.workdir = run, directory / run.setting
        self.path, self._fixed = run_path(self.workdir, run.config), fixed(run.config)
        self.config, self.log, self.time = (
            self.workdir / f"seed_{run.seed}.{kind}" for kind in ("json", "log", "time")
        )
        self.last_step = run.config.dyna.random_steps + run.config.dyna.num_steps

    def evaluations(self) -> list[ProgressRow]:
        """Returns the complete rows of `progress.csv`: none of a damaged one, or of a run of
        another configuration.
        """
        try:
            if fixed(self._stored_config()) != self._fixed:
                return []
            # The last one is being written.
            lines = (self.path / "progress.csv").read_text().split("\n")[:-1]
            rows = list(csv.DictReader(lines))
            for row in rows:
                float(row["mean_return"]), float(row["mean_length"])
            return [
                ProgressRow(int(row["env_step"]), row["mean_return"], row["mean_length"])
                for row in rows
            ]
        except (OSError, ValueError, TypeError, KeyError, csv.Error):
            return []

    def finished(self) -> bool:
        """Whether the run has taken its last step, with this configuration, and left its
        exports.
        """
        try:
            if self._stored_config() != self.run.config:
                return False
            for kind in (
                ("policy", "dynamics")
                if self.run.config.dyna.rollout_model == "learned"
                else ("policy",)
            ):
                check_export(self.path / "export" / kind / str(self.last_step), kind)
        except (OSError, ValueError):
            return False
        last_export = self.path / "export" / "tf_agents_policy" / str(self.last_step)
        return last_export.is_dir() and [row.env_step for row in self.evaluations()[-1:]] == [
            self.last_step
        ]

    def step(self) -> int:
        """Returns the environment step that the run has last told of, in its log or in
        `progress.csv`.
        """
        steps = re.findall(r"step +(\d+)", self.log_tail())
        return max(
            [int(steps[-1]) if steps else 0, *(row.env_step for row in self.evaluations()[-1:])]
        )

    def log_tail(self) -> str:
        try:
            with open(self.log, "rb") as file:
                file.seek(max(0, self.log.stat().st_size - _LOG_TAIL))
                return file.read().decode(errors="replace")
        except OSError:
            return ""

    def checkpoint(self) -> int:
        """Returns the environment step of the newest checkpoint, 0 without one."""
        steps = [
            path.name for path in (self.path / "checkpoints").glob("*") if path.name.isdecimal()
        ]
        return max(map(int, steps), default=0)

    def spent(self) -> tuple[float, dict[int, float]]:
        """Returns the seconds of computing so far, and when each evaluation was first seen."""
        try:
            content = json.loads(self.time.read_text())
            return float(content["seconds"]), {
                int(step): float(at) for step, at in content["evaluations"].items()
            }
        except (OSError, ValueError, KeyError):
            return 0.0, {}

    def _stored_config(self) -> Config:
        return Config.from_json((self.path / "config.json").read_text())

    def write_spent(self, seconds: float, evaluations: dict[int, float]) -> None:
        files.write(self.time, json.dumps({"seconds": seconds, "evaluations": evaluations}) + "\n")


def write_settings(path: Path, runs: Sequence[Run]) -> None:
    """Writes every setting's whole configuration, and the seeds, as JSON."""
    settings: dict[str, Any] = {}
    for run in runs:
        settings[run.setting] = json.loads(run.config.to_json())
        del settings[run.setting]["run"]["seed"]
    seeds = list(dict.fromkeys(run.seed for run in runs))
    files.write(path, json.dumps({"seeds": seeds, "settings": settings}, indent=1) + "\n")


def write_results(path: Path, study: str, runs: Sequence[RunFiles]) -> None:
    """Writes all evaluations of all runs as CSV: return and length are means over the evaluation's
    episodes.

    `wall_time` is the time in seconds that the run had computed when the evaluation was first
    there, in all of its processes; empty if nobody has measured it.
    """
    rows: list[Sequence[Any]] = [COLUMNS]
    for each in sorted(runs, key=lambda each: (each.run.setting, each.run.seed)):
        _, times = each.spent()
        for row in each.evaluations():
            time = f"{times[row.env_step]:.1f}" if row.env_step in times else ""
            rows.append([study, each.run.setting, each.run.seed, *row, time])
    files.write(path, files.csv_text(rows))


def lock(directory: Path) -> IO[str]:
    """Returns an open file that keeps other sweeps out of a directory until this process ends.

    Raises:
      ValueError: another sweep is at work there.
      OSError: it cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    try:
        return files.lock(directory / "lock")
    except BlockingIOError:
        raise ValueError(f"another sweep is at work in {directory}") from None
