"""A swing-up in which the model must choose: Pendulum-v1 with distractors that can be predicted, a
model whose narrowest layer cannot carry them all, and rollouts of five steps; all losses.

`pendulum` balances, which even a bad model teaches. Here the model has room for the task's motion
in its first layer, and eight units for the 19 numbers that it is given.
"""

from experiments.studies import LOSSES, SAC
from vagram_tf.study import Settings, Study, product, vary

_COMMON = {
    "name": "Pendulum-v1",
    "num_steps": 1500,
    "video_steps": 0,
    "eval_episodes": 5,
    "distractor_kind": "rotation",
    "model_hidden_units": (64, 8),
    "rollout_schedule": (0.0, 0.0, 5.0, 5.0),
    "observation_normalization": True,
    # Critics that diverge are a result here: such runs go on to their end.
    "divergence_factor": 1e9,
}
_ALL: Settings = {**LOSSES, **SAC}

FULL = Study(
    common=_COMMON, settings=product(_ALL, vary("distractors", 0, 5, 15, 30)), seeds=range(3, 13)
)

# Seeds 0 to 2 have chosen this case.
EVENING = Study(common={**_COMMON, "distractors": 15}, settings=_ALL, seeds=range(3, 13))
