"""What bounds the speed of learning: the matrix products of an update alone, in their shapes,
compiled the same way.

Small products do not reach the speed of the large one that everything is divided by. Here are those
that a SAC update and an ensemble step cannot do without, as `flop` counts them, and nothing else.
TensorFlow must be loaded.
"""

from collections.abc import Callable
from itertools import pairwise

import tensorflow as tf

_STEPS = 100  # in one call
_RATE = 1e-9  # the step along the gradients, which keeps the products in the loop

Kernels = list[tf.Tensor]


def sac_updates(
    batch: int, observation: int, action: int, hidden: tuple[int, ...]
) -> tuple[Callable[[], object], int]:
    """Returns a call that computes the products of SAC updates, and of how many."""
    critic, actor = [observation + action, *hidden, 1], [observation, *hidden, 2 * action]
    kernels = [_kernels([], sizes) for sizes in (critic, critic, critic, critic, actor)]
    real, acted = (tf.random.normal([batch, critic[0]]) for _ in range(2))
    states, after = (tf.random.normal([batch, actor[0]]) for _ in range(2))

    def update(critics: list[Kernels], policy: Kernels) -> tuple[list[Kernels], Kernels]:
        used = [forward(after, policy)[-1]]
        learned = []
        for critic_kernels, target in zip(critics[:2], critics[2:], strict=True):
            outputs, judged = forward(real, critic_kernels), forward(acted, critic_kernels)
            used += [forward(acted, target)[-1], backward(outputs, critic_kernels[1:])]
            used.append(backward(judged, critic_kernels))
            learned.append(descend(critic_kernels, outputs))
        outputs = forward(states, policy)
        used.append(backward(outputs, policy[1:]))
        return [*learned, *(_kept(target, used) for target in critics[2:])], descend(
            policy, outputs
        )

    return _repeated(update, (kernels[:4], kernels[4])), _STEPS


def ensemble_steps(
    members: int, batch: int, observation: int, action: int, hidden: tuple[int, ...]
) -> tuple[Callable[[], object], int]:
    """Likewise for training steps of an ensemble under a likelihood."""
    trunk = _kernels([members], [observation + action, *hidden])
    heads = [_kernels([members], [hidden[-1], observation + 1]) for _ in range(2)]
    inputs = tf.random.normal([members, batch, observation + action])

    def step(trunk: Kernels, heads: list[Kernels]) -> tuple[Kernels, list[Kernels]]:
        features = forward(inputs, trunk)
        predicted = [forward(features[-1], head) for head in heads]
        used = [backward(outputs, head) for outputs, head in zip(predicted, heads, strict=True)]
        used.append(backward(features, trunk[1:]))
        return _kept(descend(trunk, features), used), [
            descend(head, outputs) for head, outputs in zip(heads, predicted, strict=True)
        ]

    return _repeated(step, (trunk, heads)), _STEPS


def forward(inputs: tf.Tensor, kernels: Kernels) -> list[tf.Tensor]:
    """Returns the inputs and the output of every layer, `[..., B, n]`."""
    outputs = [inputs]
    for kernel in kernels:
        outputs.append(tf.matmul(outputs[-1], kernel))
    return outputs


def backward(outputs: list[tf.Tensor], kernels: Kernels) -> tf.Tensor:
    """Sends the last output back through the layers as if it were a gradient."""
    gradient = outputs[-1]
    for kernel in reversed(kernels):
        gradient = tf.matmul(gradient, kernel, transpose_b=True)
    return gradient


def descend(kernels: Kernels, outputs: list[tf.Tensor]) -> Kernels:
    """Takes every kernel's gradient, were the layers' outputs theirs, and a tiny step along it."""
    return [
        kernel - _RATE * tf.matmul(before, after, transpose_a=True)
        for kernel, before, after in zip(kernels, outputs[:-1], outputs[1:], strict=True)
    ]


def _kept(kernels: Kernels, used: list[tf.Tensor]) -> Kernels:
    """Returns the kernels, all but unchanged, so that they depend on all of what is used."""
    return [
        kernel + _RATE * tf.add_n([tf.reduce_sum(tensor) for tensor in used]) for kernel in kernels
    ]


def _kernels(members: list[int], sizes: list[int]) -> Kernels:
    return [tf.random.normal([*members, n, m], stddev=n**-0.5) for n, m in pairwise(sizes)]


def _repeated(step: Callable[..., tuple], state: tuple) -> Callable[[], object]:
    """Returns a call that takes so many compiled steps from a state."""

    @tf.function(jit_compile=True, autograph=False)
    def steps() -> tf.Tensor:
        flat = tf.nest.flatten(state)

        def body(i: tf.Tensor, *tensors: tf.Tensor) -> list[tf.Tensor]:
            return [i + 1, *tf.nest.flatten(step(*tf.nest.pack_sequence_as(state, list(tensors))))]

        _, *after = tf.while_loop(lambda i, *_: i < _STEPS, body, [tf.constant(0), *flat])
        return tf.add_n([tf.reduce_sum(tensor) for tensor in after])

    return lambda: steps().numpy()
