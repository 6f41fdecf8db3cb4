"""How a setting is declared: edges of its range, choices, lists, schedules, and whose numbers are
taken.
"""

import dataclasses
import fractions
import math

import numpy as np
import pytest

from vagram_tf.schedules import Schedule
from vagram_tf.settings import OWN, Section, setting, unknown

NAN, INF = math.nan, math.inf


@dataclasses.dataclass(frozen=True)
class Example(Section):
    """One setting of each type, one bound of each sort."""

    count: int = setting(3, "how many", low=1)
    rate: float = setting(0.5, "how fast", above=0)
    share: float = setting(0.5, "how much", low=0, below=1)
    quantile: float = setting(0.5, "which", above=0, high=1)
    level: float = setting(0.0, "how high")
    goal: float | None = setting(None, "how far; unset: any")
    switch: bool = setting(False, "whether")
    name: str = setting("a", "who")
    kind: str = setting("plain", "how", choices={"plain": "", "fancy": "with a bow"})
    loss: str = setting("mle", "why", choices={"mle": "", OWN: "your own"})
    layers: tuple[int, ...] = setting((4, 4), "units", low=1)
    length: Schedule = setting((0, 1, 2, 3), "steps", low=1, high=10)


@pytest.mark.parametrize(
    "name, value",
    [
        ("count", 1),
        ("count", 2**70),
        ("rate", 5e-324),
        ("rate", 1.7e308),
        ("rate", 3),
        ("share", 0.0),
        ("share", math.nextafter(1, 0)),
        ("quantile", 5e-324),
        ("quantile", 1),
        ("level", -1e300),
        ("goal", None),
        ("goal", -2.5),
        ("switch", True),
        ("name", ""),
        ("name", "anything"),
        ("kind", "fancy"),
        ("loss", "mine:huber"),
        ("layers", (1,)),
        ("length", (0, 0, 1, 10)),
        ("length", (0.5, 2.5, 10, 1.0)),
    ],
)
def test_what_is_possible_is_kept_as_it_is(name, value):
    kept = getattr(Example(**{name: value}), name)
    assert repr(kept) == repr(value)  # so that whole numbers stay whole, also in JSON


@pytest.mark.parametrize(
    "name, value, message",
    [
        # just beyond the ends
        ("count", 0, "count must be at least 1, got 0"),
        ("rate", 0.0, "rate must be above 0, got 0.0"),
        ("share", -5e-324, "share must be at least 0 and below 1, got -5e-324"),
        ("share", 1, "share must be at least 0 and below 1, got 1"),
        ("quantile", 0, "quantile must be above 0 and at most 1, got 0"),
        (
            "quantile",
            math.nextafter(1, 2),
            "quantile must be above 0 and at most 1, got 1.0000000000000002",
        ),
        # numbers that are none
        ("rate", INF, "rate must be a finite number, got inf"),
        ("level", -INF, "level must be a finite number, got -inf"),
        ("level", NAN, "level must be a finite number, got nan"),
        ("level", 10**309, f"level must be a finite number, got 1{'0' * 309}"),
        ("goal", INF, "goal must be a finite number, got inf"),
        ("share", np.float64(NAN), "share must be a finite number, got nan"),
        ("count", INF, "count must be a whole number, got inf"),
        # another type
        ("count", 2.0, "count must be a whole number, got 2.0"),
        ("count", np.float64(2.0), "count must be a whole number, got 2.0"),
        ("count", "3", "count must be a whole number, got '3'"),
        ("count", None, "count must be a whole number, got None"),
        ("count", True, "count must be a whole number, got True"),
        ("count", np.True_, "count must be a whole number, got True"),
        ("rate", "1e-3", "rate must be a finite number, got '1e-3'"),
        ("rate", False, "rate must be a finite number, got False"),
        ("rate", 1j, "rate must be a finite number, got 1j"),
        ("rate", None, "rate must be a finite number, got None"),
        ("goal", "none", "goal must be a finite number, got 'none'"),
        ("switch", 1, "switch must be true or false, got 1"),
        ("switch", "yes", "switch must be true or false, got 'yes'"),
        ("name", 3, "name must be text, got 3"),
        ("name", ["a"], "name must be text, got ['a']"),
        (
            "count",
            np.zeros((2, 2)),
            "count must be a whole number, got array([[0., 0.], [0., 0.]])",
        ),
        # choices
        ("kind", "Plain", "kind must be one of plain, fancy, got 'Plain'"),
        ("kind", "a:b", "kind must be one of plain, fancy, got 'a:b'"),
        ("kind", ["plain"], "kind must be text, got ['plain']"),
        ("loss", "huber", "loss must be one of mle, module:name, got 'huber'"),
        # lists
        ("layers", (), "layers must not be empty"),
        ("layers", 4, "layers must be a list, got 4"),
        ("layers", "44", "layers must be a list, got '44'"),
        ("layers", (4, 0), "each number of layers must be at least 1, got 0"),
        ("layers", (4, 2.5), "each number of layers must be a whole number, got 2.5"),
        ("layers", (4, True), "each number of layers must be a whole number, got True"),
        ("layers", ((4, 4), 4), "each number of layers must be a whole number, got (4, 4)"),
        # schedules
        ("length", 3, "length must be a list, got 3"),
        ("length", (0, 1, 2), "length must be 4 numbers, got 3"),
        ("length", (0, 1, 2, 3, 4), "length must be 4 numbers, got 5"),
        (
            "length",
            (2, 1, 1, 1),
            "the epochs of length must be at least 0 and in order, got 2 and 1",
        ),
        (
            "length",
            (-1, 1, 1, 1),
            "the epochs of length must be at least 0 and in order, got -1 and 1",
        ),
        ("length", (NAN, 1, 1, 1), "each epoch of length must be a finite number, got nan"),
        ("length", (0, INF, 1, 1), "each epoch of length must be a finite number, got inf"),
        ("length", (0, "1", 1, 1), "each epoch of length must be a finite number, got '1'"),
        (
            "length",
            (0, 1, 0.99, 1),
            "each value of length must be at least 1 and at most 10, got 0.99",
        ),
        (
            "length",
            (0, 1, 1, 10.5),
            "each value of length must be at least 1 and at most 10, got 10.5",
        ),
        ("length", (0, 1, 1, NAN), "each value of length must be a finite number, got nan"),
    ],
)
def test_what_is_impossible_is_refused_in_one_sentence(name, value, message):
    with pytest.raises(ValueError) as error:
        Example(**{name: value})
    assert str(error.value) == message


@pytest.mark.parametrize(
    "name, value, plain",
    [
        ("count", np.int64(3), 3),
        ("count", np.uint8(3), 3),
        ("rate", np.float64(0.1), 0.1),
        ("rate", np.int32(2), 2),
        ("rate", np.float32(0.5), 0.5),
        ("rate", fractions.Fraction(1, 4), 0.25),
        ("goal", np.float64(-1.0), -1.0),
        ("switch", np.True_, True),
        ("switch", np.bool_(False), False),
        ("layers", [np.int64(8), 9], (8, 9)),
        ("length", [np.int64(0), np.float64(1.0), 2, 3], (0, 1.0, 2, 3)),
    ],
)
def test_numbers_are_pythons_own_whoever_made_them(name, value, plain):
    kept = getattr(Example(**{name: value}), name)
    assert repr(kept) == repr(plain)


@pytest.mark.parametrize(
    "name, text",
    [
        ("count", "how many; at least 1"),
        ("rate", "how fast; above 0"),
        ("share", "how much; at least 0 and below 1"),
        ("quantile", "which; above 0 and at most 1"),
        ("goal", "how far; unset: any"),
        ("switch", "whether"),
        ("name", "who"),
        ("kind", "how: plain, fancy (with a bow)"),
        ("loss", "why: mle, module:name (your own)"),
        ("layers", "units; each at least 1"),
        ("length", "steps; epochs at least 0 and in order, values at least 1 and at most 10"),
    ],
)
def test_help_ends_with_what_the_setting_may_be(name, text):
    (field,) = (field for field in dataclasses.fields(Example) if field.name == name)
    assert field.metadata["values"].help(field.metadata["description"], field.type) == text


def test_default_is_checked_like_any_value():
    @dataclasses.dataclass(frozen=True)
    class Wrong(Section):
        count: int = setting(0, "how many", low=1)

    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        Wrong()


def test_unknown_setting_names_the_nearest():
    known = ("model_hidden_units", "agent_hidden_units", "loss")
    assert unknown("model_hiden_units", known) == (
        "there is no setting 'model_hiden_units'; did you mean model_hidden_units?"
    )
    assert unknown("q", known) == "there is no setting 'q'"
