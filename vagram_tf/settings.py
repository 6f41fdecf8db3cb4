"""What a setting takes, declared beside its default: `discount: float = setting(0.99, "...", low=0,
below=1)`.

A setting's type is bool, int, float, `float | None`, str, `tuple[int, ...]` or `Schedule`. Floats
are finite. Numbers of NumPy, or of whoever else makes them, are taken and kept as Python's own.
NumPy is not imported here.
"""

import dataclasses
import difflib
import numbers
import operator
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from vagram_tf.errors import one_line
from vagram_tf.schedules import Schedule

OWN = "module:name"  # the choice that stands for every text with a colon

_HOLDS = {
    "at least": operator.ge,
    "above": operator.gt,
    "at most": operator.le,
    "below": operator.lt,
}
_KINDS = {bool: "true or false", int: "a whole number", float: "a finite number", str: "text"}
_EPOCHS = "at least 0 and in order"


@dataclasses.dataclass(frozen=True)
class Values:
    """What a setting may be, or each of its numbers if it has several, or the two values of a
    schedule.

    Attributes:
      bounds: ends of the range, by how a value compares with them, in words.
      choices: what each text means; empty where every text will do.
    """

    bounds: Mapping[str, float]
    choices: Mapping[str, str]

    def __contains__(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices or (OWN in self.choices and ":" in value)
        return all(_HOLDS[word](value, end) for word, end in self.bounds.items())

    def __str__(self) -> str:
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        return " and ".join(f"{word} {end}" for word, end in self.bounds.items())

    def help(self, description: str, kind: Any) -> str:
        """Returns a setting's description with the choices and what they mean, or with the
        bounds.
        """
        if self.choices:
            choices = (
                f"{choice} ({meaning})" if meaning else choice
                for choice, meaning in self.choices.items()
            )
            return f"{description}: {', '.join(choices)}"
        if not self.bounds:
            return description
        if kind == Schedule:
            return f"{description}; epochs {_EPOCHS}, values {self}"
        return f"{description}; {'each ' if typing.get_origin(kind) is tuple else ''}{self}"


def setting(
    default: Any,
    description: str,
    *,
    low: float | None = None,
    above: float | None = None,
    high: float | None = None,
    below: float | None = None,
    choices: Mapping[str, str] | None = None,
) -> Any:
    """Declares a field of a section.

    Args:
      default: its value where none is given.
      description: what it is, and its unit, without its bounds and choices.
      low, above: lower end of its numbers, which may be that number or not.
      high, below: upper end, likewise.
      choices: the texts to choose from, and what each means; with `OWN` among them, also every text
        with a colon.
    """
    ends = zip(_HOLDS, (low, above, high, below), strict=True)
    values = Values({word: end for word, end in ends if end is not None}, choices or {})
    return dataclasses.field(
        default=default, metadata={"description": description, "values": values}
    )


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the configuration, made of settings.

    Making one raises ValueError, in one sentence that names the setting, for a value of another
    type or out of range.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = _checked(
                field.name, field.type, field.metadata["values"], getattr(self, field.name)
            )
            object.__setattr__(self, field.name, value)

    @classmethod
    def names_without(cls, *left_out: str) -> tuple[str, ...]:
        """Returns the names of its settings, in their order, but for those that are left out."""
        names = (field.name for field in dataclasses.fields(cls))
        return tuple(name for name in names if name not in left_out)


def unknown(name: str, known: Iterable[str]) -> str:
    """Returns the sentence that there is no such setting, with the nearest that there is."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"there is no setting {name!r}" + (f"; did you mean {close[0]}?" if close else "")


def _checked(name: str, kind: Any, values: Values, value: Any) -> Any:
    """Returns a value as Python's own.

    Raises:
      ValueError: in one sentence that names the setting.
    """
    if isinstance(kind, types.UnionType):  # only `float | None`
        return None if value is None else _one(name, float, values, value)
    if typing.get_origin(kind) is not tuple:
        return _one(name, kind, values, value)
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name} must be a list, got {_shown(value)}")
    if kind == Schedule:
        return _schedule(name, values, value)
    if not value:
        raise ValueError(f"{name} must not be empty")
    return tuple(_one(f"each number of {name}", int, values, number) for number in value)


def _one(name: str, kind: type, values: Values, value: Any) -> Any:
    value = _plain(value)
    if not _is(kind, value):
        raise ValueError(f"{name} must be {_KINDS[kind]}, got {_shown(value)}")
    if value not in values:
        raise ValueError(f"{name} must be {values}, got {_shown(value)}")
    return value


def _schedule(name: str, values: Values, value: list | tuple) -> Schedule:
    if len(value) != 4:
        raise ValueError(f"{name} must be 4 numbers, got {len(value)}")
    from_epoch, to_epoch = (
        _one(f"each epoch of {name}", float, Values({}, {}), epoch) for epoch in value[:2]
    )
    if not 0 <= from_epoch <= to_epoch:
        raise ValueError(f"the epochs of {name} must be {_EPOCHS}, got {from_epoch} and {to_epoch}")
    from_value, to_value = (
        _one(f"each value of {name}", float, values, number) for number in value[2:]
    )
    return from_epoch, to_epoch, from_value, to_value


def _plain(value: Any) -> Any:
    """Returns a number as one of Python's own; whole numbers stay whole. Anything else is returned
    as it is.
    """
    # Python's, or one of NumPy's, which `numbers` does not know.
    if type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    if isinstance(value, numbers.Integral):
        return operator.index(value)
    return float(value) if isinstance(value, numbers.Real) else value


def _is(kind: type, value: Any) -> bool:
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, int | float) and abs(value) <= sys.float_info.max  # NaN is not
    return isinstance(value, kind)


def _shown(value: Any) -> str:
    return one_line(repr(value))
