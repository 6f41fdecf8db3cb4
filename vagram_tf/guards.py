"""Numerical guards: a run that has gone wrong stops and says where."""

import math
from collections.abc import Mapping

from vagram_tf.errors import Fault


class Diverged(Fault):
    """A quantity is not finite or has left its bound; the message names it, the step and its last
    good value.
    """


class NumericalGuard:
    """Checks the quantities of a run and remembers the last good value of each."""

    def __init__(self) -> None:
        self._last_good: dict[str, float] = {}

    def check(
        self, env_step: int, values: Mapping[str, float], bounds: Mapping[str, float] | None = None
    ) -> None:
        """Checks that values are finite and, where a bound is given, within it in size.

        Raises:
          Diverged: one is not.
        """
        bounds = bounds or {}
        for name, value in values.items():
            bound = bounds.get(name, math.inf)
            if not math.isfinite(value) or abs(value) > bound:
                reason = (
                    f"beyond the bound of {bound:.4g}" if math.isfinite(value) else "not finite"
                )
                last = self._last_good.get(name)
                history = (
                    "it has no earlier value"
                    if last is None
                    else f"its last good value was {last:.6g}"
                )
                raise Diverged(
                    f"{name} is {value:.6g} at environment step {env_step}, {reason}; {history}"
                )
            self._last_good[name] = value


def q_bound(
    factor: float, discount: float, largest_reward: float, temperature: float, action_size: int
) -> float:
    """Returns the |Q| beyond which the critics have diverged.

    No policy earns more than the largest reward and the entropy bonus at every step; the factor
    leaves room for rewards that have not been seen yet. A temperature above the largest reward is
    itself a sign of divergence and does not widen the bound.

    Args:
      factor: `divergence_factor`.
      discount: per environment step.
      largest_reward: that has been seen, in size; counts as 1 at least.
      temperature: SAC's.
      action_size: A.
    """
    reward = max(largest_reward, 1.0)
    return factor * (reward + min(temperature, reward) * action_size) / (1.0 - discount)
