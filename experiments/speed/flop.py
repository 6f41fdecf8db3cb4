"""Floating-point operations of the matrix products that an algorithm cannot do without.

A product `[B, n] x [n, m]` takes 2 B n m. A layer's backward pass takes one such product for its
kernel and one for its input, which the first layer needs only where the gradient goes on to what is
below it.
"""

from itertools import pairwise


def dense(batch: int, sizes: list[int]) -> float:
    """One forward pass through layers of these sizes."""
    return 2.0 * batch * sum(n * m for n, m in pairwise(sizes))


def sac_update(batch: int, observation: int, action: int, hidden: tuple[int, ...]) -> float:
    """One update of actor, two critics and temperature (Haarnoja et al. 2018).

    Critics: both targets and both critics forward, kernels and hidden inputs of both backward; for
    the actor's loss both forward and both backward to the action. Actor: forward for the target and
    for its own loss, one backward. The temperature uses the actor's log probabilities.
    """
    critic, actor = [observation + action, *hidden, 1], [observation, *hidden, 2 * action]
    full, inner = dense(batch, critic), dense(batch, critic[1:])
    critics = 2 * (full + full + full + inner + full + full)
    return critics + 3 * dense(batch, actor) + dense(batch, actor[1:])


def ensemble_step(
    members: int,
    batch: int,
    observation: int,
    action: int,
    hidden: tuple[int, ...],
    likelihood: bool,
) -> float:
    """One training step of an ensemble with heads for mean and log-variance.

    Without a likelihood the log-variance head sends no gradient into the features.
    """
    outputs = observation + 1
    trunk, head = [observation + action, *hidden], [hidden[-1], outputs]
    forward = dense(batch, trunk) + 2 * dense(batch, head)
    backward = forward + dense(batch, trunk[1:]) + (2 if likelihood else 1) * dense(batch, head)
    return members * (forward + backward)


def imagined_transition(
    observation: int, action: int, agent_hidden: tuple[int, ...], model_hidden: tuple[int, ...]
) -> float:
    """One step of one rollout: the policy and one member of the ensemble."""
    policy = dense(1, [observation, *agent_hidden, 2 * action])
    return (
        policy
        + dense(1, [observation + action, *model_hidden])
        + 2 * dense(1, [model_hidden[-1], observation + 1])
    )


def value_gradient(observation: int, action: int, hidden: tuple[int, ...]) -> float:
    """dV/ds of two critics and two targets at one state: the greedy action, four forward and four
    backward passes.
    """
    policy = dense(1, [observation, *hidden, action])
    return 4 * (policy + 2 * dense(1, [observation + action, *hidden, 1]))
