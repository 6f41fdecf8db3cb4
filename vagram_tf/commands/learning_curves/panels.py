"""What the panels of a sweep's figures are called, and which of them show the same task."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from vagram_tf.commands.learning_curves.sweep_table import SettingPlan, panel_of
from vagram_tf.commands.report import titles

_IN_EVERY_TITLE = ("name", "distractors", "distractor_kind")
# What the studies' losses differ in: it belongs to the curves, also where a panel has one alone.
_OF_CURVES = ("loss", "variance_bounds", "rollout_noise", "rollout_model")


class Panel(NamedTuple):
    """How a panel is shown.

    Attributes:
      title: names its task and what sets it apart from the task's other panels.
      task: panels of the same one have the same axes.
    """

    title: str
    task: str


class Look(NamedTuple):
    """How a sweep is shown.

    Attributes:
      panels: by name.
      labels: of the curves, by name.
      last: the share of a panel's environment steps, at their end, that final returns are of.
      interquartile_mean: whether that is shown, too.
    """

    panels: dict[str, Panel]
    labels: dict[str, str]
    last: float
    interquartile_mean: bool


def panels(settings: Iterable[str], plans: Mapping[str, SettingPlan]) -> dict[str, Panel]:
    """Returns the panels of these settings by name, in their order.

    A title is made from what all settings of the panel have in common: environment, distractors,
    and whatever differs between panels of the same environment. A panel without plans keeps its
    name, which also sets panels apart whose titles are the same.
    """
    configurations: dict[str, list[Mapping[str, Any]]] = {}
    for setting in settings:
        own = plans[setting].settings if setting in plans else {}
        configurations.setdefault(panel_of(setting)[0], []).append(own)
    common = {panel: _common(of) for panel, of in configurations.items()}
    found = {panel: _title(own, list(common.values())) or panel for panel, own in common.items()}
    return {
        panel: Panel(
            title if list(found.values()).count(title) == 1 else f"{title} ({panel or 'others'})",
            str(common[panel].get("name", panel)),
        )
        for panel, title in found.items()
    }


def _common(configurations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first, *others = configurations
    return {
        name: value
        for name, value in first.items()
        if all(name in other and other[name] == value for other in others)
    }


def _title(own: Mapping[str, Any], every: Sequence[Mapping[str, Any]]) -> str:
    """Returns the title of a panel with these settings, empty without an environment."""
    if "name" not in own:
        return ""
    parts = [
        titles.task(own["name"], own.get("distractors", 0), own.get("distractor_kind", "unknown"))
    ]
    same_task = [other for other in every if other.get("name") == own["name"]]
    parts += [
        _words(name, value)
        for name, value in own.items()
        if name not in (*_IN_EVERY_TITLE, *_OF_CURVES)
        and (name != "model_hidden_units" or own.get("rollout_model") != "none")
        and any(other.get(name, value) != value for other in same_task)
    ]
    return ", ".join(parts)


def _words(name: str, value: Any) -> str:
    if name == "model_hidden_units":
        return f"model of {'×'.join(map(str, value))}"
    if isinstance(value, bool):
        value = "on" if value else "off"
    if isinstance(value, list):
        value = "–".join(map(str, value))
    return f"{name.replace('_', ' ')} {value}"
