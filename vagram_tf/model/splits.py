"""Which examples a fit sees: the holdout, each member's bootstrap sample, and the order of an
epoch.

Examples are told by their slots in the dataset. What is random is drawn from the generator that is
passed in.
"""

from typing import Any

import tensorflow as tf


def held_out(count: int, share: float) -> tf.Tensor:
    """Says of each of `count` slots whether it is held out for life, at least one: bool `[count]`.

    Every `1 / share`-th slot is, so no score is ever taken on data that an earlier fit has trained
    on.
    """
    step = tf.range(count, dtype=tf.float64)
    out = tf.floor((step + 1.0) * share) > tf.floor(step * share)
    return out if tf.reduce_any(out) else step == count - 1.0


def split(
    count: int, share: float, most: int, generator: tf.random.Generator
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the slots to train on, and at most so many random ones of those held out for life."""
    slots, out = tf.range(count), held_out(count, share)
    train, holdout = tf.boolean_mask(slots, ~out), tf.boolean_mask(slots, out)
    chosen = tf.argsort(generator.uniform([holdout.shape[0]]))[:most]
    return train, tf.gather(holdout, chosen)


def bootstrap(train: tf.Tensor, members: int, generator: tf.random.Generator) -> tf.Tensor:
    """Returns `[E, N]` of the slots `[N]`: each member's own sample with replacement, for a whole
    fit.
    """
    shape = [members, train.shape[0]]
    return tf.gather(train, generator.uniform(shape, maxval=train.shape[0], dtype=tf.int32))


def shuffled_batches(
    samples: tf.Tensor, batch: int, least_steps: int, generator: tf.random.Generator
) -> tf.Tensor:
    """Returns an epoch of the samples `[E, N]`: slots `[steps, E, batch]`.

    Few samples are passed more often, each time in another order, until there are steps enough. A
    remainder that fills no batch is left out.
    """
    count = samples.shape[1]
    passes = max(1, -(-least_steps * batch // count))
    # One order for all members: what stands at a position differs from member to member anyway.
    order = tf.reshape(tf.argsort(generator.uniform([passes, count])), [-1])
    shuffled = tf.gather(samples, order, axis=1)
    steps = shuffled.shape[1] // batch
    batches = tf.reshape(shuffled[:, : steps * batch], [samples.shape[0], steps, batch])
    return tf.transpose(batches, [1, 0, 2])


def gather(fields: Any, slots: tf.Tensor) -> Any:
    """Takes the slots, of any shape, from every tensor of a structure."""
    return tf.nest.map_structure(lambda field: tf.gather(field, slots), fields)
