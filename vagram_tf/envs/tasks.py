"""From an environment's name to an environment with a vector observation and bounded actions.

Nothing here imports TensorFlow, so a name that does not exist is refused at once.
"""

import contextlib
import difflib
import importlib
import importlib.util
import logging
import math
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import FlattenObservation, TimeLimit, TransformAction

from vagram_tf.config import EnvConfig
from vagram_tf.envs.distractors import Distractors
from vagram_tf.envs.origin import Origin
from vagram_tf.errors import one_line

DM_CONTROL_PREFIX = "dm_control/"

# MBPO's 27 and 45 observation dimensions: positions and velocities, no contact forces, inertias or
# actuator forces (JannerM/mbpo, "truncated observations").
MBPO_OBSERVATIONS = {
    "Ant-v5": {"include_cfrc_ext_in_observation": False},
    "Humanoid-v5": {
        "include_cinert_in_observation": False,
        "include_cvel_in_observation": False,
        "include_qfrc_actuator_in_observation": False,
        "include_cfrc_ext_in_observation": False,
    },
}

# dm_control writes "unbounded" as MuJoCo's largest number, 1e10.
LARGEST_BOUND = 1e9

# What a joint adds to MuJoCo's positions and velocities, by MuJoCo's joint type (mjtJoint).
_QUATERNION = tuple(f"quaternion {part}" for part in "wxyz")
_ROTATION = tuple(f"angular velocity {part}" for part in "xyz")
_JOINTS = {
    0: (("x", "y", "z", *_QUATERNION), ("x velocity", "y velocity", "z velocity", *_ROTATION)),
    1: (_QUATERNION, _ROTATION),
    2: (("position",), ("velocity",)),
    3: (("position",), ("velocity",)),
}


def check_name(name: str) -> None:
    """Raises a ValueError of one sentence unless `name` names an environment that can be loaded.

    Args:
      name: a Gymnasium id ("Hopper-v5"), a DeepMind Control task ("dm_control/humanoid-walk-v0"),
        or "module:EnvId", where importing the module registers the id.
    """
    _resolve(name)


def make(config: EnvConfig, render_mode: str | None = None) -> gymnasium.Env:
    """Builds an environment.

    Args:
      config: names the environment and its distractors.
      render_mode: Gymnasium's, e.g. "rgb_array".

    Returns:
      An environment with a float Box observation `[D]` (dictionaries and higher ranks flattened,
      distractors last) and a float Box action `[A]` with the task's own finite bounds.

    Raises:
      ValueError: in one sentence, if there is no such environment, if it cannot be made, or if its
        spaces are not supported.
    """
    env_id = _resolve(config.name)
    options: dict[str, Any] = dict(MBPO_OBSERVATIONS.get(env_id, {}))
    if render_mode is not None:
        options["render_mode"] = render_mode
    with _quiet():
        try:
            env = gymnasium.make(env_id, disable_env_checker=True, **options)
        except Exception as error:
            raise ValueError(f"{config.name} cannot be made: {one_line(error)}") from error
    return adapt(env, config)


def adapt(env: gymnasium.Env, config: EnvConfig) -> gymnasium.Env:
    """Gives an environment that somebody has made the shapes of one from `make`, and its
    distractors.

    Raises:
      ValueError: in one sentence, if its spaces are not supported; the environment is closed.
    """
    try:
        return _adapted(env, config)
    except ValueError:
        env.close()
        raise


def time_limit(env: gymnasium.Env) -> int | None:
    """Returns after how many steps episodes of an environment from `make` end at the latest, None
    where nothing says it.
    """
    if env.spec is not None and env.spec.max_episode_steps is not None:
        return env.spec.max_episode_steps
    inner: Any = env
    while isinstance(inner, gymnasium.Wrapper):
        if isinstance(inner, TimeLimit):
            return inner._max_episode_steps
        inner = inner.env
    # Of a task of DeepMind Control.
    steps = getattr(getattr(inner, "_env", None), "_step_limit", math.inf)
    return int(steps) if steps < math.inf else None


def longest_episode(env: gymnasium.Env, config: EnvConfig) -> int | None:
    """Returns the steps after which an episode is left: those of the setting, or None where the
    task has a limit of its own.
    """
    return config.episode_steps if time_limit(env) is None else None


def dimension_names(env: gymnasium.Env) -> tuple[str, ...]:
    """Returns a name for each of the D observation dimensions of an environment from `make`.

    MuJoCo tasks name them after the model's joints ("rootz position", "thigh velocity"),
    dictionaries after their keys ("orientations[0]"), distractors are "distractor[0]" and so on,
    and what remains is "observation[0]".
    """
    count = 0
    if env.has_wrapper_attr("distractor_dimensions"):
        count = env.get_wrapper_attr("distractor_dimensions")
    own = spaces.flatdim(env.observation_space) - count
    names = _joint_names(env.unwrapped)
    if len(names) != own:
        leaves = _leaves(env.unwrapped.observation_space)
        names = [name for label, space in leaves for name in _names(label, space)]
    if len(names) != own:  # a wrapper of the environment's own changed its observation
        names = [f"observation[{i}]" for i in range(own)]
    return (*names, *(f"distractor[{i}]" for i in range(count)))


def _adapted(env: gymnasium.Env, config: EnvConfig) -> gymnasium.Env:
    _check_spaces(env, config.name)
    if not isinstance(env.observation_space, spaces.Box) or len(env.observation_space.shape) != 1:
        env = FlattenObservation(env)
    if env.action_space.shape is not None and len(env.action_space.shape) != 1:
        shape = env.action_space.shape
        flat = spaces.flatten_space(env.action_space)
        env = TransformAction(env, lambda action: np.reshape(action, shape), flat)
    if config.observation_origin:
        env = Origin(env, config.observation_origin)
    if config.distractors > 0:
        env = Distractors(env, config.distractors, config.distractor_kind, config.distractor_seed)
    return env


def _resolve(name: str) -> str:
    """Returns the registered id behind a name; raises as `check_name` does."""
    module, _, env_id = name.rpartition(":")
    if ":" in name:
        try:
            importlib.import_module(module)
        except Exception as error:
            raise ValueError(
                f"{name} needs the module {module!r}, which cannot be imported: {one_line(error)}"
            ) from error
    if env_id.startswith(DM_CONTROL_PREFIX):
        _register_dm_control(env_id)
    spec = gymnasium.registry.get(env_id)
    if spec is None:
        silent = f" (importing {module} does not register it)" if module else ""
        raise ValueError(f"unknown environment {name!r}{silent}{_suggestion(env_id)}")
    entry_point = spec.entry_point
    try:
        with _quiet():
            if isinstance(entry_point, str):
                source, _, attribute = entry_point.partition(":")
                getattr(importlib.import_module(source), attribute)
            elif callable(entry_point) and entry_point.__module__.startswith("gymnasium."):
                entry_point()  # Gymnasium's own functions only raise: they say what is missing
    except Exception as error:
        raise ValueError(f"{name} cannot be loaded: {one_line(error)}") from error
    return env_id


def _suggestion(env_id: str) -> str:
    """Close matches, of each environment the newest version, upper and lower case alike."""
    specs = sorted(gymnasium.registry.values(), key=lambda spec: spec.version or 0)
    newest = {(spec.namespace, spec.name): spec.id for spec in specs}
    known = {known_id.lower(): known_id for known_id in newest.values()}
    close = difflib.get_close_matches(env_id.lower(), known, n=3, cutoff=0.7)
    return f"; did you mean {' or '.join(known[match] for match in close)}?" if close else ""


def _register_dm_control(name: str) -> None:
    for package in ("mujoco", "dm_control", "shimmy"):
        if importlib.util.find_spec(package) is None:
            raise ValueError(
                f"{name} needs the package {package}, which is not installed: "
                "pip install 'shimmy[dm-control]'"
            )
    try:
        with _quiet():
            importlib.import_module("shimmy")  # registers the ids
    except Exception as error:
        raise ValueError(
            f"{name} needs shimmy and dm_control, which cannot be imported: {one_line(error)}"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides the notices of imports and constructors that a user can do nothing about."""

    def keep(record: logging.LogRecord) -> bool:
        # Which OpenGL dm_control has found; what MuJoCo thinks of dm_control's own XML files.
        return record.levelno >= logging.WARNING and "compiler attribute" not in record.getMessage()

    with warnings.catch_warnings():
        # Old versions; bounds cast to float32; environments that do not draw; GLFW without a
        # display.
        for message in (
            ".*is out of date",
            ".*precision lowered",
            ".*not in the possible render_modes",
            r"\(655\d\d\) ",
        ):
            warnings.filterwarnings("ignore", message=message)
        logger = logging.getLogger("absl")
        logger.addFilter(keep)
        try:
            yield
        finally:
            logger.removeFilter(keep)


def _check_spaces(env: gymnasium.Env, name: str) -> None:
    """Raises a ValueError of one sentence for spaces that the library does not support."""
    for label, space in _leaves(env.observation_space):
        if not _is_float_box(space) or _is_image(space):
            raise ValueError(
                f"{name} has an unsupported observation ({one_line(f'{label} {space}')}); "
                "supported are vectors of floats and dictionaries of them, not images or text"
            )
    action = env.action_space
    if not isinstance(action, spaces.Box) or not _is_float_box(action):
        reason = "supported are boxes of floats, not discrete actions"
    elif not np.all(np.abs([action.low, action.high]) < LARGEST_BOUND):
        reason = "supported are boxes with finite bounds"
    elif not np.all(action.low < action.high):
        reason = "supported are boxes whose bounds differ in every dimension"
    else:
        return
    raise ValueError(f"{name} has an unsupported action space ({one_line(action)}); {reason}")


def _is_float_box(space: spaces.Space) -> bool:
    return isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating)


def _is_image(space: spaces.Space) -> bool:
    shape = space.shape or ()
    while shape and shape[0] == 1:  # dm_control's composer puts a buffer axis of 1 in front
        shape = shape[1:]
    return len(shape) >= 3


def _leaves(space: spaces.Space, name: str = "") -> Iterator[tuple[str, spaces.Space]]:
    """Yields the parts of a space with their keys, in the order of FlattenObservation."""
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            yield from _leaves(part, f"{name}/{key}" if name else str(key))
    else:
        yield name, space


def _names(name: str, space: spaces.Space) -> list[str]:
    if name and space.shape == ():
        return [name]
    return [f"{name or 'observation'}[{i}]" for i in range(spaces.flatdim(space))]


def _joint_names(task: Any) -> list[str]:
    """Names from the MuJoCo model, or none where the task does not say what it observes."""
    structure = getattr(task, "observation_structure", None)
    if structure is None:
        return []
    positions: list[str] = []
    velocities: list[str] = []
    for index, joint_type in enumerate(task.model.jnt_type):
        joint = task.model.joint(index).name.removesuffix("_joint")
        position, velocity = _JOINTS[int(joint_type)]
        positions += [f"{joint} {part}" for part in position]
        velocities += [f"{joint} {part}" for part in velocity]
    names = positions[structure.get("skipped_qpos", 0) :] + velocities
    for part, size in structure.items():
        if part not in ("skipped_qpos", "qpos", "qvel"):
            names += [f"{part}[{i}]" for i in range(size)]
    return names
