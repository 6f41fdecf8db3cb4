"""What a study is made of: named settings times seeds. `python -m experiments.sweep` runs it.

FULL = Study(
    settings=product(vary("loss", "vagram", "mle"), vary("distractors", 0, 15)),
    seeds=range(5),
    common={"name": "Hopper-v5", "num_steps": 20_000},
)
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Settings = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Study:
    """Settings times seeds.

    Attributes:
      settings: the changes of the environment's preset, by field of the configuration, of each
        named setting.
      seeds: each setting is run with each of them.
      common: changes that all settings share; a setting's own come after them.
    """

    settings: Settings
    seeds: Sequence[int]
    common: Mapping[str, Any] = field(default_factory=dict)


def vary(name: str, *values: Any) -> dict[str, dict[str, Any]]:
    """Returns a setting per value of one field, named after the value."""
    return {str(value): {name: value} for value in values}


def product(*factors: Settings) -> dict[str, dict[str, Any]]:
    """Returns every combination of one setting of each factor; names are joined with underscores.

    Raises:
      ValueError: two combinations have the same name.
    """
    combinations = list(itertools.product(*(factor.items() for factor in factors)))
    settings = {
        "_".join(name for name, _ in chosen): {
            key: value for _, part in chosen for key, value in part.items()
        }
        for chosen in combinations
    }
    if len(settings) < len(combinations):
        raise ValueError("two combinations of settings have the same name")
    return settings
