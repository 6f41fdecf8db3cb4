"""Studies, one file each, in the sizes that its constants name; here what they are made of.

A study is named settings times seeds. Its settings differ in nothing but what they are named after.
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
      settings: the changes of the environment's preset, by field of the configuration, of each named setting.
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
    settings = {"_".join(name for name, _ in chosen): {key: value for _, part in chosen for key, value in part.items()}
                for chosen in combinations}
    if len(settings) < len(combinations):
        raise ValueError("two combinations of settings have the same name")
    return settings


# What a claim about a loss is read beside. `mle` draws its rollouts from the predicted Gaussian, as MBPO does, and
# `vagram` and `mse` take the mean: `mle_mean` is the likelihood without that noise, so that it differs from `vagram` in
# the loss alone. `mle_fixed` is the likelihood of the paper's code, whose variance is bounded and not learned.
LOSSES: Settings = {
    "vagram": {"loss": "vagram"},
    "mle": {"loss": "mle"},
    "mle_mean": {"loss": "mle", "rollout_noise": "off"},
    "mse": {"loss": "mse"},
    "mle_fixed": {"loss": "mle", "variance_bounds": "fixed"},
    "mle_fixed_mean": {"loss": "mle", "variance_bounds": "fixed", "rollout_noise": "off"},
}

# The same agent and updates on real data alone: does a model help at all?
SAC: Settings = {"sac": {"rollout_model": "none"}}

# What makes a run of a locomotion task a matter of minutes. Fits go on from where the last one ended, so that models of
# 60 fits of at most 500 steps are trained for long, too.
SHORT = {"num_steps": 20_000, "max_fit_steps": 500, "eval_episodes": 5}
