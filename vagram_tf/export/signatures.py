"""What the exported modules share: functions that check and document what they take and give."""

import functools
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import tensorflow as tf

# 64-bit numbers, which NumPy makes where a function takes the 32-bit ones.
_WIDER = {tf.float32: tf.float64, tf.int32: tf.int64}


class Value(NamedTuple):
    """An input or an output of a signature.

    Attributes:
      shape: letters and numbers, e.g. "B D".
      meaning: what it is, with its unit.
      dtype: of its elements.
    """

    shape: str
    meaning: str
    dtype: tf.DType = tf.float32


OBSERVATION = Value("B D", "in the environment's units, as dimension_names says")
SEED = Value("2", "any two numbers; the same ones give the same draw", tf.int32)


class Signature(NamedTuple):
    """A function of an export.

    Attributes:
      function: from the inputs, in this order, to the outputs.
      inputs: by name.
      outputs: by name.
    """

    function: Callable[..., dict[str, tf.Tensor]]
    inputs: Mapping[str, Value]
    outputs: Mapping[str, Value]

    def documentation(self) -> dict[str, Any]:
        """Returns the names, shapes, dtypes and meanings of inputs and outputs, for
        `metadata.json`.
        """
        return {
            side: {
                name: {
                    "shape": value.shape.split(),
                    "dtype": value.dtype.name,
                    "meaning": value.meaning,
                }
                for name, value in values.items()
            }
            for side, values in (("inputs", self.inputs), ("outputs", self.outputs))
        }


class Exported(tf.Module):
    """A module of signatures. Loaded, `serving_default` is the call of the object and the others
    are its methods.

    Args:
      name: of the module.
      variables: all that the functions read.
      signatures: by name.
      sizes: of the letters whose size is fixed, e.g. `{"D": 4}`.
    """

    def __init__(
        self,
        name: str,
        variables: Sequence[tf.Variable],
        signatures: dict[str, Signature],
        sizes: dict[str, int],
    ):
        super().__init__(name=name)
        # Tracked for the SavedModel; the Keras objects around them are not.
        self._weights = list(variables)
        # A plain dictionary would be saved, in part.
        self.documentation = MappingProxyType(
            {
                "sizes": sizes,
                "signatures": {key: of.documentation() for key, of in signatures.items()},
            }
        )
        self._served = {}
        for key, signature in signatures.items():
            served, method = _functions(signature, sizes)
            self._served[key] = served
            setattr(self, "__call__" if key == "serving_default" else key, method)

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Writes a SavedModel."""
        tf.saved_model.save(self, os.fspath(directory), signatures=self._served)


def _functions(signature: Signature, sizes: dict[str, int]) -> tuple[Any, Any]:
    """Returns a function of a fixed signature, for servers, and one that takes 64-bit numbers, too.

    A restored function looks for a trace that fits its arguments and, if there is none, lists those
    that there are. The second function therefore has traces for any shape and for 64-bit numbers;
    both say in words what does not fit.
    """
    specs = [
        tf.TensorSpec(
            [sizes.get(axis) if axis.isalpha() else int(axis) for axis in value.shape.split()],
            value.dtype,
            name,
        )
        for name, value in signature.inputs.items()
    ]
    # Where each of the inputs has its rows, if it has any.
    axes = [value.shape.split() for value in signature.inputs.values()]
    batch = [names.index("B") if "B" in names else None for names in axes]

    @functools.wraps(signature.function)  # for the names of the arguments
    def fixed(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = [
            tf.shape(value)[axis]
            for value, axis in zip(inputs, batch, strict=True)
            if axis is not None
        ]
        alike = tf.debugging.Assert(
            tf.reduce_all(tf.equal(rows, rows[0])),
            [f"{' and '.join(signature.inputs)} must have as many rows; they have", *rows],
        )
        with tf.control_dependencies([alike] if len(rows) > 1 else []):
            return signature.function(
                *(
                    tf.debugging.check_numerics(value, f"{spec.name} must be finite")
                    if spec.dtype.is_floating
                    else value
                    for spec, value in zip(specs, inputs, strict=True)
                )
            )

    def fitting(*inputs: tf.Tensor) -> Any:
        return served(*(_fitting(value, spec) for spec, value in zip(specs, inputs, strict=True)))

    @functools.wraps(signature.function)
    def cast(*inputs: tf.Tensor) -> Any:
        return any_shape(*(tf.cast(x, spec.dtype) for spec, x in zip(specs, inputs, strict=True)))

    # Concrete functions: saving traces the others once more.
    served = tf.function(fixed, autograph=False).get_concrete_function(*specs)
    shapeless = [tf.TensorSpec(None, spec.dtype, spec.name) for spec in specs]
    any_shape = tf.function(fitting, autograph=False).get_concrete_function(*shapeless)
    method = tf.function(cast, autograph=False)
    for dtypes in itertools.product(*((spec.dtype, _WIDER[spec.dtype]) for spec in specs)):
        method.get_concrete_function(
            *(
                tf.TensorSpec(None, dtype, spec.name)
                for spec, dtype in zip(specs, dtypes, strict=True)
            )
        )
    return served, method


def _fitting(value: tf.Tensor, spec: tf.TensorSpec) -> tf.Tensor:
    """Returns a value with the shape of its specification; says so when it is run where it has
    another one.
    """
    # Hides its shape: TensorFlow would object first.
    value = tf.compat.v1.placeholder_with_default(value, None)
    expected = str(spec.shape.as_list()).replace("None", "?")
    known = [axis for axis, size in enumerate(spec.shape) if size is not None]
    shape = tf.pad(tf.shape(value), [[0, spec.shape.rank]])  # long enough, whatever the rank
    fits = tf.equal(tf.rank(value), spec.shape.rank) & tf.reduce_all(
        tf.equal(tf.gather(shape, known), [spec.shape[axis] for axis in known])
    )
    check = tf.debugging.Assert(
        fits, [f"{spec.name} must have the shape {expected}; its shape is", tf.shape(value)]
    )
    with tf.control_dependencies([check]):
        return tf.ensure_shape(value, spec.shape)
