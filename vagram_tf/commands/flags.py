"""Command lines: help, errors in one line, and flags for a `Config`, one per setting, made from its
own fields.

A setting comes from its flag where one is given, else from `--config`, else from the environment's
preset.
"""

import difflib
import importlib.util
import re
import shutil
import sys
import textwrap
import typing
from collections.abc import Iterable
from typing import Any

from absl import flags

from vagram_tf import presets
from vagram_tf.commands import paths
from vagram_tf.commands.inputs import check_environment
from vagram_tf.config import FIELDS, Config, EnvConfig

_RENAMED = {"name": "env"}
_SUBJECTS = {
    "env": "Environment",
    "model": "Dynamics model",
    "agent": "Agent (SAC)",
    "dyna": "Dyna loop",
    "run": "Run",
}
_HELP_COLUMN = 43  # where the descriptions begin: the longest name with its default is before it
_PACKAGES = (
    "tensorflow",
    "tf_keras",
    "tensorflow_probability",
    "tf_agents",
    "tensorboard",
    "gymnasium",
    "mujoco",
    "tqdm",
)


def define(names: Iterable[str] = tuple(FIELDS)) -> None:
    """Defines a flag for each of these settings, and `--config`."""
    paths.define("config", None, "config.json of a run, to repeat it; other flags change it")
    for name in names:
        field = FIELDS[name]
        flag = _RENAMED.get(name, name)
        if typing.get_args(field.type) and isinstance(field.default, tuple):
            flags.DEFINE_list(flag, None, field.help)
        elif field.type is bool:
            flags.DEFINE_bool(flag, None, field.help)
        elif field.type is int:
            flags.DEFINE_integer(flag, None, field.help)
        elif field.type is str:
            flags.DEFINE_string(flag, None, field.help)
        else:
            flags.DEFINE_float(flag, None, field.help)


def parse(argv: list[str]) -> list[str]:
    """Parses flags for `absl.app.run`; an error is one line.

    Raises:
      SystemExit: 2 after an error.
    """
    try:
        rest = flags.FLAGS(argv)
    except flags.UnrecognizedFlagError as error:
        close = difflib.get_close_matches(error.flagname, list(flags.FLAGS), n=1)
        hint = f"did you mean --{close[0]}?" if close else "--help lists them all"
        fail(f"there is no flag --{error.flagname}; {hint}", 2)
    except flags.IllegalFlagValueError as error:
        fail(_wanted(str(error)), 2)
    except flags.Error as error:
        fail(" ".join(str(error).split()), 2)
    if len(rest) > 1:
        fail(f"unexpected argument {rest[1]!r}; everything is said with flags, see --help", 2)
    return rest


def help_text(command: str, text: str, module: str, argv: list[str]) -> str:
    """Returns the help: the program's own, then its flags by subject, each with what a run has
      without it.

    Args:
      command: how the program was started.
      text: what it says of itself.
      module: name of the one that defined its flags.
      argv: what it was started with: `--env` chooses the preset.

    Raises:
      ValueError: there is no such environment.
    """
    lines = [f"usage: {command} [--flag=value ...]", "", text.strip(), ""]
    settings = _settings()
    own = [flag.name for flag in flags.FLAGS.get_key_flags_for_module(sys.modules[module])]
    sections: dict[str, list[str]] = {"Program": [*own, "config"] if settings else own}
    for flag, name in settings.items():
        sections.setdefault(_SUBJECTS[FIELDS[name].section], []).append(flag)
    env = (
        next((arg.partition("=")[2] for arg in argv if arg.startswith("--env=")), None)
        if settings
        else None
    )
    if env:
        check_packages()
        check_environment(EnvConfig(name=env))
    env = env or FIELDS["name"].default
    defaults = presets.preset(env).flat()
    for subject, names in sections.items():
        lines.append(f"{subject}:")
        for name in names:
            default = defaults[settings[name]] if name in settings else flags.FLAGS[name].default
            lines.extend(_help_of(name, default))
        lines.append("")
    without = f"what a run of {env} has without the flag. --help --env=Hopper-v5 shows another's"
    lines += [
        f"In brackets: {without if settings else 'the default'}.",
        "--version prints the version.",
    ]
    return "\n".join(lines)


def given() -> dict[str, Any]:
    """Returns the values of the settings whose flags are given.

    Raises:
      ValueError: numbers are none.
    """
    values = {name: flags.FLAGS[flag].value for flag, name in _settings().items()}
    return {name: _value(name, value) for name, value in values.items() if value is not None}


def config(**known: Any) -> Config:
    """Returns the configuration that the flags describe.

    Args:
      **known: settings that do not come from flags.

    Raises:
      ValueError: a value is impossible, or `--config` cannot be read.
    """
    settings = given() | known
    if flags.FLAGS.config:
        try:
            base = Config.from_json(flags.FLAGS.config.read_text())
        except OSError as error:
            raise ValueError(f"--config={flags.FLAGS.config}: {error.strerror}") from None
    else:
        base = presets.preset(settings.get("name", FIELDS["name"].default))
    return base.replace(**settings)


def check_packages(*more: str) -> None:
    """Raises ValueError, naming them, where packages that a run needs, or `more`, are missing."""
    missing = [
        package for package in (*_PACKAGES, *more) if importlib.util.find_spec(package) is None
    ]
    if missing:
        raise ValueError(
            f"missing packages: {', '.join(missing)}; install them with pip install -r "
            "requirements.txt, or with the extras of vagram_tf: pip install 'vagram_tf[video]'"
        )


def fail(message: str, code: int) -> typing.NoReturn:
    """Prints one line to standard error and exits."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


def _settings() -> dict[str, str]:
    """Returns the settings that have flags, by their flags. A flag of a program's own may be called
    like one.
    """
    names = {_RENAMED.get(name, name): name for name in FIELDS}
    return {
        flag: name
        for flag, name in names.items()
        if flags.FLAGS.find_module_defining_flag(flag) == __name__
    }


def _wanted(message: str) -> str:
    """Turns absl's message of a value that cannot be parsed into what the flag takes."""
    match = re.match(r"flag --(\w+)=(.*?): ", message, re.DOTALL)
    if match is None or match[1] not in flags.FLAGS:
        return " ".join(message.split())
    kind = flags.FLAGS[match[1]].parser.syntactic_help or "true or false"
    return f"--{match[1]} must be {kind}, got {match[2]!r}"


def _value(name: str, value: Any) -> Any:
    if not isinstance(value, list):
        return value
    number = typing.get_args(FIELDS[name].type)[0]
    try:
        return tuple(number(part) for part in value)
    except ValueError:
        raise ValueError(
            f"{name} must be numbers separated by commas, got {','.join(value)!r}"
        ) from None


def _help_of(name: str, default: Any) -> list[str]:
    """Returns the lines of one flag: name and default on the left, what it means on the right."""
    shown = ",".join(f"{x:g}" for x in default) if isinstance(default, tuple) else default
    left = f"  --{name} ({'unset' if shown is None else shown})"
    width = min(max(shutil.get_terminal_size().columns, 80), 120) - _HELP_COLUMN
    first, *rest = textwrap.wrap(flags.FLAGS[name].help or "", width) or [""]
    return [
        f"{left:<{_HELP_COLUMN - 1}} {first}".rstrip(),
        *(" " * _HELP_COLUMN + line for line in rest),
    ]
