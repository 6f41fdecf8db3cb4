"""docs/python.md names every public name, with the signature that it has."""

import inspect
import operator
import re
from pathlib import Path

import vagram_tf

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "python.md").read_text()
# The methods of an objective stand in a table of their own, by their bare names.
METHODS = re.search(
    r"^### `Objective\((?:.*\n)+?\| method \|.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE
).group(1)
DOCUMENTED = dict(
    re.findall(r"^(?:### |\| )`(\w+(?:\.\w+)?)(\(.*?\))?`", PAGE.replace(METHODS, ""), re.MULTILINE)
)


def signature(function):
    """Returns a function's parameters as the page shows them: without types, `...` for a default
    that is no literal.
    """
    parameters = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == "self":
            continue
        default = parameter.default
        if default is not parameter.empty and not isinstance(
            default, (bool, int, float, str, type(None))
        ):
            default = type("", (), {"__repr__": lambda _: "..."})()
        parameters.append(parameter.replace(annotation=parameter.empty, default=default))
    return str(inspect.Signature(parameters))


def test_every_public_name_is_documented():
    functions = {
        f"losses.{name}"
        for name, function in vars(vagram_tf.losses).items()
        if inspect.isfunction(function) and not name.startswith("_")
    }
    methods = {
        f"{owner.__name__}.{name}"
        for owner in (vagram_tf.Config, vagram_tf.Dataset, vagram_tf.Training)
        for name, _ in inspect.getmembers(owner, inspect.isroutine)
        if not name.startswith("_")
    }
    planning = {
        f"plan.{name}"
        for name, thing in vars(vagram_tf.plan).items()
        if getattr(thing, "__module__", None) == vagram_tf.plan.__name__
        and callable(thing)
        and not name.startswith("_")
    } - {"plan.Plan"}
    assert set(DOCUMENTED) == {*vagram_tf.__all__} | functions | methods | planning


def test_signatures_are_the_functions_own():
    for name, shown in DOCUMENTED.items():
        thing = operator.attrgetter(name)(vagram_tf)
        assert shown == ("" if inspect.ismodule(thing) else signature(thing)), name


def test_every_method_of_an_objective_is_documented_with_its_signature():
    shown = {}
    for row in METHODS.splitlines()[1:]:
        shown |= dict(re.findall(r"`(\w+)(\(.*?\))?`", row.split("|")[1]))
    methods = dict(inspect.getmembers(vagram_tf.Objective, inspect.isfunction))
    public = {name for name in methods if not name.startswith("_")}
    assert set(shown) == public - {"terms", "terms_of"}  # which are not for overriding
    for name, parameters in shown.items():
        assert parameters in ("", signature(methods[name])), name
