"""The work of `check_env`: an environment, played with random actions, judged line by line.

    python -m vagram_tf.commands.judging.environment <settings, JSON> <episode, .npz>

plays the episode that another process compares with its own.
"""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import gymnasium
import numpy as np
import tensorflow as tf

from vagram_tf import processes
from vagram_tf.commands.check_env import Order
from vagram_tf.config import EnvConfig
from vagram_tf.envs import tasks, trial
from vagram_tf.envs.adapter import EnvironmentFault, GymnasiumEnvironment
from vagram_tf.envs.trial import Episode
from vagram_tf.errors import one_line
from vagram_tf.model import known_termination

_STARTS = 20  # episodes whose first observations are compared
_LONGEST = 300  # seconds that the other process may take
_SLOW = 20.0  # milliseconds of a step; from there on the environment takes most of a run's time
_WIDTH = 100


class Finding(NamedTuple):
    """A line of the table.

    Attributes:
      what: was looked at.
      verdict: `ok`, `note` where a person should know, `trouble` where a run would fail or mislead.
      text: what was found, with the remedy.
    """

    what: str
    verdict: str
    text: str


class Walk(NamedTuple):
    """Random steps, episode after episode: `[N]` each, and what they took.

    Attributes:
      observations: after each step, `[N, D]`.
      rewards: in the environment's units.
      terminated: whether the step ended the episode by the task's own rule.
      lengths: of the episodes that ended, in steps.
      seconds: wall time per step.
    """

    observations: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    lengths: list[int]
    seconds: float


def run(order: Order) -> int:
    """Prints the table; returns 1 where there is trouble."""
    found = []
    print(f"{order.config.name}, {order.steps} random steps\n")
    for finding in look(order.config, order.steps):
        found.append(finding)
        print(_line(finding), flush=True)
    troubles = sum(finding.verdict == "trouble" for finding in found)
    print(f"\n{troubles or 'no'} trouble{'s' if troubles > 1 else ''} found")
    return 1 if troubles else 0


def look(config: EnvConfig, steps: int) -> Iterator[Finding]:
    """Yields what is found of an environment, one thing after the other, up to a fault; then what
    it does when it is closed, and in another process.
    """
    threads, started = set(threading.enumerate()), _processes()
    env = tasks.make(config)
    environment, names = GymnasiumEnvironment(env, 0), tasks.dimension_names(env)
    first: Episode | None = None
    try:
        yield _spaces(env)
        first = trial.play(environment)
        yield _repetition("repeats itself", first, trial.play(environment), names)
        yield _instances(config)
        yield _time_limit(env, config)
        yield _starts(environment)
        walk = _walk(environment, steps)
        yield from _sizes(environment, names, config)
        yield _rewards(walk)
        yield _termination(env, walk)
        yield _speed(walk)
    except EnvironmentFault as fault:
        first = None
        yield Finding("faults", "trouble", f"{fault}")
    finally:
        env.close()
    left = [each.name for each in set(threading.enumerate()) - threads if not each.daemon]
    left += [f"process {number}" for number in _processes() - started]
    if left:
        yield Finding("closing", "note", f"runs on after it was closed: {', '.join(sorted(left))}")
    else:
        yield Finding("closing", "ok", "no thread and no process of it runs on")
    if first is not None:  # where there can be one instance at a time, it is the other's now
        yield _elsewhere(config, first, names)


def _spaces(env: gymnasium.Env) -> Finding:
    observation, action = env.observation_space, env.action_space
    assert isinstance(observation, gymnasium.spaces.Box)
    assert isinstance(action, gymnasium.spaces.Box)
    return Finding(
        "spaces",
        "ok",
        f"observation {observation.shape[0]} x {observation.dtype}, "
        f"action {action.shape[0]} x {action.dtype} in "
        f"[{action.low.min():g}, {action.high.max():g}]",
    )


def _repetition(what: str, first: Episode, second: Episode, names: tuple[str, ...]) -> Finding:
    parted = trial.disagreement(first, second, names)
    if parted is None:
        return Finding(what, "ok", "the same seed and actions give the same episode")
    return Finding(
        what,
        "trouble",
        f"with the same seed and actions, {parted}; a resumed run, evaluations and whoever uses "
        "exports see something else than training. Draw every random number from self.np_random, "
        "keep no state from episode to episode; --observation_normalization does what "
        "NormalizeObservation does",
    )


def _elsewhere(config: EnvConfig, here: Episode, names: tuple[str, ...]) -> Finding:
    """Compares with the episode as another process plays it."""
    variables = os.environ | {
        "PYTHONPATH": processes.import_path(),
        "PYTHONHASHSEED": "random",
    }
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "episode.npz"
        request = json.dumps(dataclasses.asdict(config))
        command = [sys.executable, "-m", __name__, request, str(path)]
        try:
            process = subprocess.run(
                command, env=variables, capture_output=True, text=True, timeout=_LONGEST
            )
        except subprocess.TimeoutExpired:
            said = f"it has not ended there after {_LONGEST} s"
            return Finding("repeats elsewhere", "trouble", said)
        if process.returncode != 0:
            said = (process.stderr.strip().splitlines() or ["it gave no reason"])[-1]
            return Finding("repeats elsewhere", "trouble", f"it fails there: {said}")
        with np.load(path) as there:
            other = Episode(there["observations"], there["rewards"], bool(there["ended"]))
    return _repetition("repeats elsewhere", here, other, names)


def _instances(config: EnvConfig) -> Finding:
    try:
        tasks.make(config).close()
    except ValueError as error:
        return Finding(
            "instances",
            "note",
            f"there cannot be a second one: {one_line(error)}; --instances=one plays evaluations "
            "in the training environment",
        )
    return Finding("instances", "ok", "several can be open at a time")


def _time_limit(env: gymnasium.Env, config: EnvConfig) -> Finding:
    limit = tasks.time_limit(env)
    if concern := trial.duration(config.name, limit, config):
        return Finding("time limit", "note", concern)
    return Finding("time limit", "ok", f"{limit} steps")


def _starts(environment: GymnasiumEnvironment) -> Finding:
    starts = []
    for episode in range(_STARTS):
        environment.skip_to(episode)
        starts.append(environment.reset().observation)
    distinct = len(np.unique(np.stack(starts), axis=0))
    if distinct > 1:
        return Finding("starts", "ok", f"{distinct} different ones in {_STARTS} episodes")
    return Finding(
        "starts",
        "note",
        f"all {_STARTS} episodes start with the same observation: evaluation episodes of a greedy "
        "policy are all alike where the environment is not random, too",
    )


def _walk(environment: GymnasiumEnvironment, steps: int) -> Walk:
    generator, shape = np.random.default_rng(0), environment.action_spec().shape
    actions = generator.uniform(-1, 1, [steps, *shape]).astype(np.float32)
    rows, lengths, length = [], [], 0
    time_step = environment.reset()
    begin = time.perf_counter()
    for action in actions:
        time_step = environment.step(action)
        length += 1
        ended = bool(time_step.is_last())
        rows.append((time_step.observation, time_step.reward, ended and time_step.discount == 0))
        if ended:
            lengths.append(length)
            length = 0
            time_step = environment.reset()
    seconds = (time.perf_counter() - begin) / steps
    observations, rewards, terminated = (np.stack(column) for column in zip(*rows, strict=True))
    return Walk(observations, rewards, terminated, lengths, seconds)


def _sizes(
    environment: GymnasiumEnvironment, names: tuple[str, ...], config: EnvConfig
) -> Iterator[Finding]:
    lowest, highest = environment.lowest, environment.highest
    concerns = trial.sizes(lowest, highest, names, config.observation_origin, normalized=False)
    for concern in concerns:
        yield Finding("size", "trouble", concern)
    if not concerns:
        largest = np.maximum(np.abs(lowest), np.abs(highest))
        yield Finding("size", "ok", f"up to {largest.max():.3g} ({names[int(largest.argmax())]})")
    constant = [name for name, same in zip(names, lowest == highest, strict=True) if same]
    if constant:
        yield Finding("constant", "note", f"never changes: {', '.join(constant)}")


def _rewards(walk: Walk) -> Finding:
    low, high = walk.rewards.min(), walk.rewards.max()
    if low == high:
        return Finding(
            "rewards",
            "note",
            f"always {low:g} under random actions: nothing to learn from until another is met",
        )
    return Finding(
        "rewards", "ok", f"{low:.3g} to {high:.3g}, {walk.rewards.mean():.3g} on average"
    )


def _termination(env: gymnasium.Env, walk: Walk) -> Finding:
    ends = f"{int(walk.terminated.sum())} of {len(walk.terminated)} steps terminate"
    rule = known_termination.find(env)
    if rule is None:
        return Finding("termination", "ok", f"{ends}; a classifier will learn when")
    said = rule(tf.constant(walk.observations)).numpy()
    if concern := trial.ends(said, walk.terminated):
        return Finding("termination", "trouble", f"{ends}; {concern}")
    return Finding("termination", "ok", f"{ends}; the known rule says the same of each step")


def _speed(walk: Walk) -> Finding:
    milliseconds = 1000 * walk.seconds
    length = f"; episodes of {np.mean(walk.lengths):.0f} steps" if walk.lengths else ""
    text = f"{milliseconds:.2g} ms a step{length}"
    if milliseconds < _SLOW:
        return Finding("speed", "ok", text)
    return Finding(
        "speed",
        "note",
        f"{text}: most of a run's time; --eval_episodes and --eval_every say how much of it "
        "evaluations take, --environment_timeout how long a step may",
    )


def _processes() -> set[int]:
    """Returns the processes that this one has started and that have not ended (on Linux)."""
    found = Path("/proc/self/task").glob("*/children")
    return {int(number) for path in found for number in path.read_text().split()}


def _line(finding: Finding) -> str:
    left = f"{finding.what:<18} {finding.verdict:<8} "
    lines = textwrap.wrap(finding.text, _WIDTH - len(left))
    return left + ("\n" + " " * len(left)).join(lines)


def _play_for_another(settings: str, path: str) -> None:
    env = tasks.make(EnvConfig(**json.loads(settings)))
    with contextlib.closing(env):
        episode = trial.play(GymnasiumEnvironment(env, 0))
    np.savez(path, **episode._asdict())


if __name__ == "__main__":
    _play_for_another(*sys.argv[1:])
    processes.end(0)
