"""The losses around one state of the pendulum, as the predicted state moves away from the real
one.
"""

import numpy as np
import tensorflow as tf

from experiments.paper.task import LARGEST_ANGLE, LARGEST_VELOCITY, LOSSES, Landscape
from vagram_tf.model import losses
from vagram_tf.model.value_gradients import value_gradients
from vagram_tf.types import ValueFunction

_POINTS = 101  # of the grid along each axis
_VALLEY = 0.001  # a loss below this share of its median over the plane is as good as none


def observe(angle: np.ndarray, velocity: np.ndarray) -> tf.Tensor:
    """Returns the pendulum's observations `[..., 3]`: cosine and sine of the angle, angular
    velocity.
    """
    return tf.constant(np.stack([np.cos(angle), np.sin(angle), velocity], axis=-1), tf.float32)


def compute(value_function: ValueFunction, angle: float, velocity: float, title: str) -> Landscape:
    """Evaluates the losses of a prediction at every point of the plane.

    For `mle` the predicted variance is fixed: to that of each dimension over the plane, so that it
    is the squared error in standard deviations.

    Args:
      value_function: `[B, 3] -> [B]`.
      angle: of the real next state, rad.
      velocity: rad/s.
      title: of the figure.

    Raises:
      ValueError: in one sentence, a loss is the same, or not finite, on half of the plane or more.
    """
    angles = np.linspace(-LARGEST_ANGLE, LARGEST_ANGLE, _POINTS)
    velocities = np.linspace(-LARGEST_VELOCITY, LARGEST_VELOCITY, _POINTS)
    reference = np.array(
        [
            angles[np.argmin(np.abs(angles - angle))],
            velocities[np.argmin(np.abs(velocities - velocity))],
        ]
    )
    # One member's predictions: [E, B, D]
    plane = tf.reshape(observe(*np.meshgrid(angles, velocities)), [1, -1, 3])
    real = observe(*reference[:, np.newaxis])
    target = tf.repeat(real, plane.shape[1], axis=0)
    gradient = value_gradients([value_function], real)
    gradients = tf.repeat(gradient, plane.shape[1], axis=0)
    value = value_function(plane[0])
    log_variance = tf.math.log(
        tf.math.reduce_variance(plane, axis=1, keepdims=True)
    ) + tf.zeros_like(plane)
    by_loss = {
        "mle": losses.gaussian_nll(plane, log_variance, target),
        "mse": losses.mse(plane, target),
        "itervaml": losses.itervaml(
            value[tf.newaxis, :, tf.newaxis],
            tf.repeat(value_function(real)[:, tf.newaxis], plane.shape[1], axis=0),
        ),
        "taylor": losses.taylor(plane, target, gradients),
        "vagram": losses.vagram(plane, target, gradients),
    }
    shape = [_POINTS, _POINTS]
    loss = np.stack([by_loss[name].numpy().reshape(shape) for name in LOSSES])
    flat = [name for name, of in zip(LOSSES, loss, strict=True) if not np.median(of - of.min()) > 0]
    if flat:
        raise ValueError(
            f"there is nothing to draw of {', '.join(flat)}: the value function is flat around "
            f"{angle:g} rad, {velocity:g} rad/s, or not finite; take another state or export"
        )
    return Landscape(
        title,
        angles,
        velocities,
        reference,
        value.numpy().reshape(shape),
        gradient.numpy()[0, 0],
        loss,
    )


def height(loss: np.ndarray) -> np.ndarray:
    """Returns a loss above its smallest, in units of its median over the plane: what the figure's
    colours show.
    """
    above = loss - np.min(loss)
    return above / np.median(above)


def valley(loss: np.ndarray) -> np.ndarray:
    """Returns bool `[Y, X]`: where a prediction is as good as perfect for the loss."""
    return height(loss) < _VALLEY


def table(found: Landscape) -> str:
    """Returns the report for the terminal: where each loss is smallest, and how far its valley
    reaches.
    """
    angle, velocity = found.reference
    lines = [
        f"real next state {angle:.2f} rad, {velocity:.2f} rad/s; dV/ds' by cosine, sine and "
        "velocity " + ", ".join(f"{of:.3g}" for of in found.value_gradient),
        "",
        f"{'':9}  {'smallest at':>20}  {'as good as none on':>18}  and as far away as",
    ]
    angles, velocities = np.meshgrid(found.angle, found.velocity)
    turned = np.abs((angles - angle + np.pi) % (2 * np.pi) - np.pi)
    faster = np.abs(velocities - velocity)
    for name, loss in zip(LOSSES, found.loss, strict=True):
        row, column = np.unravel_index(np.argmin(loss), loss.shape)
        good = valley(loss)
        smallest = f"{found.angle[column]:.2f}, {found.velocity[row]:.2f}"
        lines.append(
            f"{name:9}  {smallest:>20}  {100 * good.mean():16.2f} %  {turned[good].max():.2f} rad, "
            f"{faster[good].max():.2f} rad/s"
        )
    return "\n".join([*lines, ""])
