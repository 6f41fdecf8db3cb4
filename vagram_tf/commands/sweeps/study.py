"""How a study is read from its file, and which runs it has. TensorFlow is not needed here."""

import difflib
import importlib.util
import pkgutil
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from vagram_tf import files, presets
from vagram_tf.config import FIELDS, Config, RunConfig
from vagram_tf.errors import one_line
from vagram_tf.study import Study

_NAME = re.compile(r"\w[\w.+=-]*")  # also the name of a directory
_TAKEN = ("lock", "stop")  # files of the sweep beside its settings' directories
_NOT_A_SETTING = {
    "seed": "the study's seeds are listed beside its settings",
    "threads": "each run has one thread",
}


class Run(NamedTuple):
    """One run of a study.

    Attributes:
      setting: its name.
      seed: of everything random in it.
      config: all of it.
    """

    setting: str
    seed: int
    config: Config

    def __str__(self) -> str:
        return f"{self.setting}, seed {self.seed}"


def read(study: str, size: str) -> tuple[str, Study]:
    """Reads a study.

    Args:
      study: name of a file in `experiments/studies/`, or the path of another one, which ends with
        .py.
      size: name of the file's constant, in lower case.

    Returns:
      The study's name and itself.

    Raises:
      ValueError: in one sentence, if there is none, or none of that size, or its file fails.
    """
    path = files.path(study)
    if path.suffix != ".py":
        path = _known(study)
    module = _load(path)
    sizes = {
        name.lower(): value for name, value in vars(module).items() if isinstance(value, Study)
    }
    if size not in sizes:
        there = ", ".join(sizes) or "none: it has no constant that is a Study"
        raise ValueError(f"{path} has no size {size!r}; it has {there}")
    return path.stem, sizes[size]


def runs(study: Study) -> list[Run]:
    """Returns the runs of a study, the first seed of every setting first, so that comparisons
    appear early.

    Raises:
      ValueError: in one sentence, for a study without settings or seeds, for names that are no
        names of directories, or those of a sweep's own files, seeds that are none or occur twice,
        settings that do not exist or whose values are impossible, equal settings.
    """
    seeds = _seeds(study.seeds)
    if not isinstance(study.settings, Mapping):
        raise ValueError(
            f"a study's settings must be a dictionary, got {type(study.settings).__name__}"
        )
    if not study.settings:
        raise ValueError("the study has no settings")
    configs: dict[str, Config] = {}
    for name, changes in study.settings.items():
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise ValueError(
                f"a setting's name must be letters, digits and any of _.+=-, got {name!r}"
            )
        if name in _TAKEN:
            raise ValueError(
                f"a setting cannot be called {name!r}: a sweep has a file of that name"
            )
        try:
            config = _config({**study.common, **changes})
        except (ValueError, TypeError) as error:
            raise ValueError(f"setting {name}: {one_line(error)}") from None
        same = [other for other, known in configs.items() if known == config]
        if same:
            raise ValueError(f"settings {same[0]} and {name} are the same")
        configs[name] = config
    return [
        Run(name, seed, config.replace(seed=seed))
        for seed in seeds
        for name, config in configs.items()
    ]


def _known(study: str) -> Path:
    """Returns the file of one of the paper's studies, which a clone has in
    `experiments/studies`.
    """
    try:
        spec = importlib.util.find_spec("experiments.studies")
    except ModuleNotFoundError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(
            f"there is no study {study!r}: the paper's are in a clone of the repository, in "
            "experiments/studies; a file of your own ends with .py"
        )
    place = spec.submodule_search_locations[0]
    known = sorted(module.name for module in pkgutil.iter_modules([place]))
    if study not in known:
        close = difflib.get_close_matches(study, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
        raise ValueError(f"there is no study {study!r}; {hint} (a file of your own ends with .py)")
    return Path(place) / f"{study}.py"


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"study_{path.stem}", path)
    assert spec is not None and spec.loader is not None  # it ends with .py
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except FileNotFoundError as error:
        raise ValueError(f"there is no file {error.filename}") from None
    except Exception as error:
        raise ValueError(f"{path} fails: {type(error).__name__}: {one_line(error)}") from error
    return module


def _seeds(seeds: Sequence[int]) -> list[int]:
    """Returns seeds that are possible and differ, as Python's own numbers."""
    if not isinstance(seeds, Sequence):
        raise ValueError(
            f"a study's seeds must be a list of whole numbers or a range, got {seeds!r}"
        )
    if not seeds:
        raise ValueError("the study has no seeds")
    checked = [RunConfig(seed=seed).seed for seed in seeds]
    for seed in checked:
        if checked.count(seed) > 1:
            raise ValueError(f"seed {seed} occurs twice")
    return checked


def _config(changes: dict[str, Any]) -> Config:
    """Returns the configuration of a setting."""
    for name, reason in _NOT_A_SETTING.items():
        if name in changes:
            raise ValueError(f"{name} is no setting of a study: {reason}")
    base = presets.preset(changes.get("name", FIELDS["name"].default))
    return base.replace(**changes, threads=1)
