"""Checks of a setting's value; each raises a ValueError of one sentence that names the setting."""

import math


def one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def at_least(low: float, **values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value >= low):
            raise ValueError(f"{name} must be at least {low:g}, got {value:g}")


def within(low: float, high: float, **values: float) -> None:
    for name, value in values.items():
        if not low <= value <= high:
            raise ValueError(f"{name} must be within [{low:g}, {high:g}], got {value:g}")


def share_below_one(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} must be within [0, 1), got {value:g}")


def positive(**values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be above 0, got {value:g}")


def hidden_units(name: str, units: tuple[int, ...]) -> None:
    if not units or min(units) < 1:
        raise ValueError(f"{name} needs at least one layer of at least one unit, got {units}")
