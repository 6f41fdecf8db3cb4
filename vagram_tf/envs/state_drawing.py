"""The process that `state_rendering` starts: draws a task in the states that it is given.

    python -m vagram_tf.envs.state_drawing <request, JSON>

Prints a line of JSON: the shape of the pictures and how many steps make a second. Then it reads
observations `[D]`, float32, from standard input and writes a picture after each, uint8. Exits after
a line that says why nothing can be drawn: with `STATELESS` where observations do not hold the
states of a task that can be made here, with `drawing.REFUSED` where it cannot be drawn.
"""

import contextlib
import json
import math
import os
import sys
from collections.abc import Callable
from typing import IO, Any

import gymnasium
import numpy as np

from vagram_tf import processes
from vagram_tf.config import EnvConfig
from vagram_tf.envs import drawing, tasks
from vagram_tf.envs.simulator import Simulator

STATELESS = 4


def main(request_text: str) -> None:
    request = json.loads(request_text)
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # whatever else is printed is no answer
        try:
            with contextlib.closing(
                tasks.make(EnvConfig(**request["config"]), render_mode="rgb_array")
            ) as env:
                _answer(env, request, answers)
        except (ValueError, drawing.Refusal) as error:
            answers.write(f"{error}\n".encode())
            answers.flush()
            processes.end(STATELESS if isinstance(error, ValueError) else drawing.REFUSED)


def _answer(env: gymnasium.Env, request: dict[str, Any], answers: IO[bytes]) -> None:
    name, size = request["config"]["name"], request["size"]
    set_state = _state_setter(env, name)
    per_second = drawing.prepare(env, name, request["missing"])
    env.reset(seed=0)
    first = drawing.frame(env, name, size)
    header = {"shape": first.shape, "frames_per_second": per_second}
    answers.write(f"{json.dumps(header)}\n".encode())
    answers.flush()
    length = 4 * math.prod(env.observation_space.shape)
    while state := sys.stdin.buffer.read(length):
        set_state(np.frombuffer(state, np.float32))
        answers.write(drawing.frame(env, name, size).tobytes())
        answers.flush()


def _state_setter(env: gymnasium.Env, name: str) -> Callable[[np.ndarray], None]:
    """Returns what takes the task to the state that an observation `[D]` holds; raises ValueError
    where it holds none.
    """
    task: Any = env.unwrapped
    bare = env.observation_space == task.observation_space  # no distractors, no other origin
    if name != "Pendulum-v1" or not bare:
        return Simulator(env).set_state

    def set_state(observation: np.ndarray) -> None:
        cos, sin, velocity = observation
        task.state = np.arctan2(sin, cos), velocity

    return set_state


if __name__ == "__main__":
    main(sys.argv[1])
    processes.end(0)
