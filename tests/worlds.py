"""Environments as people have them: ones that never end, that need a helper, that remember, whose
numbers are large.
"""

import subprocess
import sys
import threading

import gymnasium
import numpy as np
from gymnasium.envs.classic_control import PendulumEnv
from gymnasium.wrappers import NormalizeObservation, NormalizeReward

_ANY = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
_UNIT = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)


class Drift(gymnasium.Env):
    """Two numbers, of which the action moves the first; no end of its own."""

    observation_space, action_space = _ANY, _UNIT
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = self.np_random.uniform(-1.0, 1.0, 2)
        return self.state.copy(), {}

    def step(self, action):
        self.state[0] = 0.9 * self.state[0] + 0.1 * float(action[0])
        return self.state.copy(), -float(self.state[0] ** 2), False, False, {}


class Bridge(Drift):
    """Needs a process while it is open, and a thread that nobody ends; its reward comes from
    TensorFlow.
    """

    def __init__(self):
        super().__init__()
        import tensorflow as tf  # as a module with a learned reward does when it is imported

        self._goal = tf.constant(0.5)
        self._helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        threading.Thread(target=threading.Event().wait, name="forgotten").start()

    def step(self, action):
        observation, _, *rest = super().step(action)
        return observation, -float(abs(self._goal - observation[0])), *rest

    def close(self):
        self._helper.kill()
        self._helper.wait()


class OnePort(Drift):
    """Of which a process has one at a time."""

    is_open = False

    def __init__(self):
        super().__init__()
        if OnePort.is_open:
            raise ConnectionError("the simulator's port is taken")
        OnePort.is_open = True

    def close(self):
        OnePort.is_open = False


class OneStep(Drift):
    """Whose episodes are a single step, from the same observation each time."""

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.ones(2), {}

    def step(self, action):
        return np.ones(2), -float(np.square(action).sum()), True, False, {}


class InPlace(Drift):
    """That halves the action it is given, hands out its own state, and shows it as a bar."""

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = np.zeros(2)
        return self.state, {}

    def step(self, action):
        action /= 2
        self.state[0] += action[0]
        return self.state, 0.0, False, False, {}

    def render(self):
        picture = np.zeros((4, 100, 3), np.uint8)
        picture[:, : int(10 * self.state[0])] = 255
        return picture


class Instruments(Drift):
    """A clock in seconds since 1970, and a pressure in pascal."""

    def _shown(self):
        return np.array([1.75e9 + self.state[0], 1e5 + 1e4 * self.state[1]])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._shown(), {}

    def step(self, action):
        _, *rest = super().step(action)
        return self._shown(), *rest


class OnAnotherDevice:
    """A tensor that NumPy cannot take."""

    def __array__(self, *args, **kwargs):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


class Tensors(Drift):
    """Whose observation, or reward, is a tensor of another device."""

    def __init__(self, of):
        super().__init__()
        self._of = of

    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=seed)
        return OnAnotherDevice() if self._of == "observation" else observation, info

    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, OnAnotherDevice() if self._of == "reward" else reward, *rest


for each in (Drift, Bridge, OneStep, InPlace, Instruments):
    gymnasium.register(f"{each.__name__}-v0", each)
gymnasium.register("OnePort-v0", OnePort, max_episode_steps=20)
for of in ("observation", "reward"):
    gymnasium.register(f"Tensors-{of}-v0", Tensors, kwargs={"of": of})
for wrapper in (NormalizeObservation, NormalizeReward):
    gymnasium.register(
        f"{wrapper.__name__}-v0",
        lambda wrapper=wrapper, **options: wrapper(PendulumEnv(**options)),
        max_episode_steps=25,
    )
