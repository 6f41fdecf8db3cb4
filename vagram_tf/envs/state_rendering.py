"""Pictures of a task in given states, without a display.

The states are drawn by a process of its own (`state_drawing`), for the reasons that `rendering`
has. It lives as long as its renderer.
"""

import contextlib
import dataclasses
import json
import math
import subprocess
import sys
import tempfile
import weakref
from typing import IO

import numpy as np

from vagram_tf.config import EnvConfig
from vagram_tf.envs import drawing, rendering, state_drawing


class StateRenderer:
    """Draws a MuJoCo task, or Pendulum-v1, in the states that its observations hold.

    Args:
      config: the environment.
      size: height of the pictures, in pixels; smaller ones stay as they are.

    Attributes:
      frames_per_second: how many of the environment's steps make a second.

    Raises:
      ValueError: the environment cannot be made here, or its observations do not hold its states.
      RenderingUnavailable: OpenGL is missing.
    """

    def __init__(self, config: EnvConfig, size: int = 480):
        self._name = config.name
        request = {
            "config": dataclasses.asdict(config),
            "size": size,
            "missing": rendering.missing(),
        }
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-m", state_drawing.__name__, json.dumps(request)],
            env=rendering.variables(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        weakref.finalize(self, _end, self._process, self._errors)
        said = self._answers.readline().decode().strip()
        if not said.startswith("{"):
            code = self._process.wait()
            if code == state_drawing.STATELESS:
                raise ValueError(said)
            raise rendering.RenderingUnavailable(said) if code == drawing.REFUSED else self._lost()
        header = json.loads(said)
        self._shape: tuple[int, int, int] = tuple(header["shape"])
        self.frames_per_second: float = header["frames_per_second"]

    def draw(self, observation: np.ndarray) -> np.ndarray:
        """Returns a picture, uint8 `[height, width, 3]`, of the state in an observation `[D]`.

        Raises:
          RenderingUnavailable: the process that draws has ended.
        """
        try:
            self._questions.write(observation.astype(np.float32).tobytes())
            self._questions.flush()
        except BrokenPipeError:
            raise self._lost() from None
        pixels = self._answers.read(math.prod(self._shape))
        if len(pixels) < math.prod(self._shape):
            raise self._lost()
        return np.frombuffer(pixels, np.uint8).reshape(self._shape).copy()

    @property
    def _questions(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _answers(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def _lost(self) -> rendering.RenderingUnavailable:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode().strip().splitlines() or ["it gave no reason"]
        return rendering.RenderingUnavailable(
            f"drawing {self._name} failed with exit code {code}: {lines[-1]}"
        )


def _end(process: "subprocess.Popen[bytes]", errors: IO[bytes]) -> None:
    process.kill()
    with errors, contextlib.suppress(BrokenPipeError), process:  # a question may be left unsent
        pass
