"""A swing-up in which the model must choose: Pendulum-v1 with more predictable distractors than the
model can carry, and rollouts of five steps; `vagram` and its controls.

`pendulum` balances, which even a bad model teaches. Here the return depends on the model, which
`task_only` shows: it fits the pendulum's own dimensions alone, as if it knew which they are.

Weights are as good as the critics that they come from. DISCOUNT_95 is EVENING with critics that
look 20 steps ahead instead of 100, and nothing else changed.
"""

from experiments.studies import CRITICS, LOSSES, SAC
from vagram_tf.study import Settings, Study, product, vary

_COMMON = {
    "name": "Pendulum-v1",
    "num_steps": 2000,
    "video_steps": 0,
    "eval_episodes": 5,
    "distractor_kind": "rotation",
    "model_hidden_units": (16, 16),
    "rollout_schedule": (0.0, 0.0, 5.0, 5.0),
    **CRITICS,
}
_ALL: Settings = {**LOSSES, **SAC}

FULL = Study(
    common=_COMMON, settings=product(_ALL, vary("distractors", 5, 15, 30)), seeds=range(3, 13)
)

_AND_CONTROLS: Settings = {
    **_ALL,
    "agreement": {"loss": "vagram", "value_gradient_weights": "agreement"},
    "task_only": {"loss": "experiments.controls.task_only:task_only"},
}

EVENING = Study(
    common={**_COMMON, "distractors": 30},
    settings=_AND_CONTROLS,
    seeds=range(3, 13),  # 0 to 2 have chosen this case
)

DISCOUNT_95 = Study(
    common={**EVENING.common, "discount": 0.95}, settings=_AND_CONTROLS, seeds=range(3, 13)
)
