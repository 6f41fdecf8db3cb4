"""Starts real programs for tests: the main program on a tiny run, stopped at a chosen moment."""

import atexit
import contextlib
import csv
import fcntl
import functools
import hashlib
import io
import itertools
import json
import os
import pathlib
import re
import resource
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import gymnasium
import numpy as np
from gymnasium.envs.classic_control import PendulumEnv

ROOT = pathlib.Path(__file__).parents[1]

# A whole run in seconds: nearly all of them TensorFlow's import and compilation.
TINY = {
    "name": "programs:Short-v0",
    "termination": "none",
    "agent_hidden_units": (16,),
    "observation_normalization": True,
    "model_hidden_units": (16,),
    "members": 3,
    "elites": 2,
    "model_batch_size": 16,
    "max_fit_steps": 20,
    "agent_batch_size": 16,
    "updates_per_step": 1,
    "rollouts_per_step": 4,
    "random_steps": 30,
    "num_steps": 60,
    "epoch_length": 30,
    "retrain_every": 20,
    "rollout_schedule": (0, 1, 1, 2),
    "eval_every": 10,
    "eval_episodes": 2,
    "checkpoint_every": 45,
    "threads": 2,
}


class Short(PendulumEnv):
    """A pendulum whose nth reset hangs or whose nth step leads nowhere, as the environment variable
    FAULT says, e.g. `step 21`.
    """

    def __init__(self, **options):
        super().__init__(**options)
        self._failing, self._nth = os.environ.get("FAULT", "no 0").split()
        self._calls = {"reset": 0, "step": 0}

    def _fails(self, method):
        self._calls[method] += 1
        return method == self._failing and self._calls[method] == int(self._nth)

    def reset(self, *, seed=None, options=None):
        if self._fails("reset"):
            time.sleep(1000)
        return super().reset(seed=seed, options=options)

    def step(self, action):
        observation, *rest = super().step(action)
        return observation * (np.nan if self._fails("step") else 1), *rest


class Unrepeatable(PendulumEnv):
    """A pendulum that starts somewhere else at every reset, whatever the seed."""

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=int.from_bytes(os.urandom(3), "big"), options=options)


class Countdown(gymnasium.Env):
    """Pays 1, 2, 3, ... and terminates after as many steps as its first observation says: 2 to
    6.
    """

    observation_space = gymnasium.spaces.Box(-10.0, 10.0, (1,), np.float32)
    action_space = gymnasium.spaces.Box(-2.0, 2.0, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._left, self._paid = int(self.np_random.integers(2, 7)), 0
        return np.array([self._left], np.float32), {}

    def step(self, action):
        self._left, self._paid = self._left - 1, self._paid + 1
        return np.array([self._left], np.float32), float(self._paid), self._left == 0, False, {}


gymnasium.register("Short-v0", Short, max_episode_steps=25)
gymnasium.register("Unrepeatable-v0", Unrepeatable, max_episode_steps=25)
gymnasium.register("Countdown-v0", Countdown)


def raise_(error):
    """Returns a function that raises."""

    def fails(*args, **kwargs):
        raise error

    return fails


def tiny(**changes):
    """Returns the configuration of a tiny run."""
    from vagram_tf.config import Config

    return Config().replace(**TINY | changes)


def flags(**changes):
    """Returns the command-line flags of a tiny run."""
    settings = {
        ("env" if name == "name" else name): value for name, value in (TINY | changes).items()
    }
    return [
        f"--{name}={','.join(map(str, value)) if isinstance(value, tuple) else value}"
        for name, value in settings.items()
    ]


# Runs a module as `python -m` does; the statement is run when the named function is called for the
# nth time with arguments that contain the given text.
_STOPPED = """
import functools, importlib, os, runpy, sys
module, path, text, nth, statement, program = sys.argv[1:7]
*owner, name = path.split(".")
owner = functools.reduce(getattr, owner, importlib.import_module(module))
original, calls = getattr(owner, name), 0

def stopping(*args, **kwargs):
    global calls
    calls += text in repr((args, kwargs))
    if calls == int(nth):
        calls += 1
        exec(statement)
    return original(*args, **kwargs)

setattr(owner, name, stopping)
sys.argv = [program, *sys.argv[7:]]
runpy.run_module(program, run_name="__main__", alter_sys=True)
"""


def mbpo(arguments, stop=None, options=(), environment=None):
    """Runs `python -m experiments.mbpo` to its end: in a fresh process where there are options of
    the interpreter, else in a warm one.

    Args:
      arguments: of the program.
      stop: `(signal, module, function, text, nth)`: the process gets the signal when `module`'s
        `function` is called for the nth time with `text` among its arguments; instead of a signal,
        a statement that the process runs then.
      options: of the interpreter.
      environment: changes of the environment variables.

    Returns:
      `subprocess.CompletedProcess`, its output as text.
    """
    program = ["-m", "experiments.mbpo"]
    if stop is not None:
        what, module, function, text, nth = stop
        statement = what if isinstance(what, str) else f"os.kill(os.getpid(), {int(what)})"
        program = ["-c", _STOPPED, module, function, text, str(nth), statement, "experiments.mbpo"]
    return _python(options, *program, *arguments, environment=environment)


def program(name, arguments, options=(), environment=None):
    """Runs `python -m experiments.<name>` to its end, fresh or warm as `mbpo` does.

    Args:
      name: of the program.
      arguments: of the program.
      options: of the interpreter.
      environment: changes of the environment variables.

    Returns:
      `subprocess.CompletedProcess`, its output as text.
    """
    return _python(options, "-m", f"experiments.{name}", *arguments, environment=environment)


def _python(options, *arguments, environment):
    run = functools.partial(python, *options) if options else warm_python
    return run(*arguments, environment=environment)


def python(*arguments, environment=None):
    """Runs Python to its end."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=_environment() | (environment or {}),
        text=True,
        capture_output=True,
        timeout=500,
    )


@functools.cache
def _warm():
    """Starts `warm.py`, once per test process, and ends it with this one; returns its socket."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        # TensorFlow tells of devices when they are first used, wherever that is in a child.
        quiet = _environment() | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        process = subprocess.Popen(
            [sys.executable, "-m", "warm"], cwd=ROOT, env=quiet, stdin=theirs
        )
    atexit.register(process.wait)
    atexit.register(ours.close)  # before that
    return ours


def warm_python(*arguments, directory=ROOT, environment=None):
    """Runs `python -m <module> ...` or `python -c <code> ...` to its end, in a process that forks
    from one that has imported TensorFlow.
    """
    variables = os.environ | {"PYTHONPATH": str(ROOT / "tests")} | (environment or {})
    order = json.dumps([arguments, str(directory), dict(variables)]).encode()
    ends = [os.pipe(), os.pipe()]
    socket.send_fds(_warm(), [order], [write for _, write in ends])
    for _, write in ends:
        os.close(write)
    with ThreadPoolExecutor(2) as pool:
        output = list(pool.map(_read, (read for read, _ in ends)))
    return subprocess.CompletedProcess(arguments, int(_warm().recv(16)), *output)


def _read(pipe):
    with open(pipe) as file:
        return file.read()


COMPILED = {"VAGRAM_TF_XLA": "1"}
"""Environment variables of a program whose compiled functions are what is tested."""

OWN_VARIABLES = ("TF_USE_LEGACY_KERAS", "TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS")


def _environment():
    """Returns the environment variables of a program: without those that vagram_tf has set in this
    process.
    """
    kept = {name: value for name, value in os.environ.items() if name not in OWN_VARIABLES}
    return kept | {"PYTHONPATH": str(ROOT / "tests")}


def refused(name, arguments):
    """Asserts that a program refuses its arguments in one line and without TensorFlow; returns the
    line.
    """
    process = program(name, arguments, options=("-X", "importtime"))
    assert process.returncode == 2 and process.stdout == "", process.stderr
    assert not re.search(r"\|\s+tensorflow$", process.stderr, re.MULTILINE)
    (line,) = error_lines(process)
    assert line.startswith("error: ")
    return line


def rewrite_metadata(export, **changes):
    """Changes an export's metadata as if it had been written that way, checksum and all."""
    path = export / "metadata.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    rewrite_manifest(export)


def rewrite_manifest(export):
    """Makes the checksums of an export those of the files that are there."""
    path = export / "manifest.json"
    path.write_text(
        json.dumps(
            {
                name: hashlib.sha256((export / name).read_bytes()).hexdigest()
                for name in json.loads(path.read_text())
            }
        )
    )


def run_directory(workdir, **changes):
    """Returns where a tiny run lives."""
    name = (TINY | changes)["name"].replace(":", "-")
    return (
        pathlib.Path(workdir) / name / changes.get("loss", "vagram") / str(changes.get("seed", 0))
    )


@functools.cache
def finished_run():
    """Runs the tiny run uninterrupted and in a fresh process, once per session of tests.

    Returns:
      The completed process, and the run's directory, which may only be read.
    """
    workdir = pathlib.Path(os.environ["VAGRAM_TF_SESSION"], "run")
    said = workdir.with_suffix(".json")
    with open(workdir.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            process = python("-m", "experiments.mbpo", *flags(), f"--workdir={workdir}")
            assert process.returncode == 0, process.stderr
            said.write_text(json.dumps(vars(process)))
    return subprocess.CompletedProcess(**json.loads(said.read_text())), run_directory(workdir)


def copied_run(workdir, step=90):
    """Copies the finished run to another work directory, as it was after its checkpoint of a step:
    45 or 90.

    Returns:
      The copy's directory.
    """
    directory = run_directory(workdir)
    shutil.copytree(finished_run()[1], directory)
    if step == 45:
        shutil.rmtree(directory / "checkpoints" / "90")
        shutil.rmtree(directory / "export")
    return directory


def start_again(directory, *extra, **kwargs):
    """Starts the tiny run that lives in a directory again."""
    return mbpo([*flags(), f"--workdir={directory.parents[2]}", *extra], **kwargs)


def check_equal_runs(directory, expected):
    """Compares everything that two runs leave behind."""
    assert different_logs(directory, expected) == []
    last = max((path.name for path in (expected / "export" / "policy").iterdir()), key=int)
    for kind in ("dynamics", "policy"):
        weights, others = (
            variables(d / "export" / kind / last / "variables/variables")
            for d in (directory, expected)
        )
        assert weights and weights == others
    starts, others = (
        (d / "export" / "dynamics" / last / "start_states.npy").read_bytes()
        for d in (directory, expected)
    )
    assert starts == others
    state, other = (saved_state(d / "checkpoints" / last) for d in (directory, expected))
    assert state.keys() == other.keys()
    assert [name for name in state if state[name] != other[name]] == []


def error_lines(process):
    """Returns the lines on standard error that belong neither to `-X importtime` nor to the
    progress bar.
    """
    other = re.compile(r"import time:|.*\d+/\d+ \[|\s*$")
    return [line for line in re.split(r"[\r\n]+", process.stderr) if not other.match(line)]


def summaries(directory):
    """Returns everything that a run's event files show, in order: `[(step, tag, plugin,
    tensor)]`.
    """
    import tensorflow as tf
    from tensorflow.core.util import event_pb2

    found = []
    for path in sorted(directory.glob("events.out.tfevents.*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = event_pb2.Event.FromString(record.numpy())
            found += [
                (
                    event.step,
                    value.tag,
                    value.metadata.plugin_data.plugin_name,
                    tf.make_ndarray(value.tensor),
                )
                for value in event.summary.value
            ]
    return sorted(found, key=lambda summary: summary[:2])


def scalars(directory):
    """Returns every scalar of a run's event files, in the order of steps and tags: `[(step, tag,
    value)]`.
    """
    return [
        (step, tag, float(value))
        for step, tag, plugin, value in summaries(directory)
        if plugin == "scalars"
    ]


def different_logs(directory, expected):
    """Returns what two runs have logged differently, bit for bit: names of files, steps and tags.
    But for the speed.
    """
    told, others = (
        [(*place, value.tolist()) for *place, _, value in summaries(path) if place[1] != "time/fps"]
        for path in (directory, expected)
    )
    assert others
    tables = ("progress.csv", "value_sensitivity.csv")
    return [
        name for name in tables if (directory / name).read_bytes() != (expected / name).read_bytes()
    ] + [
        one[:2] for one, other in itertools.zip_longest(told, others, fillvalue=()) if one != other
    ]


def save(dyna, directory):
    """Returns the checkpoint of a loop, the only one of a directory."""
    from vagram_tf.run.checkpoint import Checkpoints

    dyna.freeze()
    return Checkpoints(directory, **dyna.state).save(dyna.env_step, {})


def saved_state(checkpoint):
    """Returns all that a run's checkpoint holds as bytes, by key: tensors, and rows of buffers."""
    rows = {f"{path.stem}/rows": path.read_bytes() for path in checkpoint.glob("*.npy")}
    assert rows
    return variables(checkpoint / "state") | rows


def variables(prefix):
    """Returns tensors that TensorFlow has saved as bytes, by key; equal bytes are equal bit for
    bit.
    """
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(prefix))
    tensors = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    return {
        name: np.asarray(value).tobytes() if np.asarray(value).dtype != object else repr(value)
        for name, value in tensors.items()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
    }


def progress(directory):
    """Returns the rows of `progress.csv` as dictionaries."""
    with open(directory / "progress.csv", newline="") as file:
        return list(csv.DictReader(file))


FILLER = "filler"


def fill(directory):
    """Fills the disk that a directory is on with the file FILLER in it."""
    with (
        contextlib.suppress(OSError),
        open(os.path.join(directory, FILLER), "wb", buffering=0) as file,
    ):
        while True:
            file.write(bytes(4096))


@contextlib.contextmanager
def full_disk(limit):
    """No file may grow beyond `limit` bytes: writing more fails as it does on a full disk.

    Not a fixture: pytest reports a test before it tears its fixtures down, and its own output may
      be a file.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Terminal(io.StringIO):
    """What a program writes, which takes it for a terminal."""

    def isatty(self):
        return True
