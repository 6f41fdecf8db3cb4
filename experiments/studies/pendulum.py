"""A task that takes a minute: InvertedPendulum with ten distractors that can be predicted, all
losses.

`EVENING` is the case where value errors differ most in `experiments.fit_study`: a model of two
layers of 64 units, in which `vagram` has half the value error of `mle` and of `mse`. `FULL` adds
Pendulum-v1, no distractors, and nonlinear ones, which can hardly be predicted.
"""

from experiments.studies import CRITICS, LOSSES, SAC
from vagram_tf.study import Settings, Study, product, vary

_TASKS: Settings = {
    "InvertedPendulum": {"name": "InvertedPendulum-v5", "num_steps": 2000},
    "Pendulum": {"name": "Pendulum-v1", "num_steps": 1500},
}
_ROTATION: Settings = product(vary("distractors", 10), vary("distractor_kind", "rotation"))
_DISTRACTORS: Settings = {
    "0": {"distractors": 0},
    **product(vary("distractors", 5), vary("distractor_kind", "nonlinear")),
    **_ROTATION,
}
_COMMON = {
    "video_steps": 0,
    "eval_episodes": 5,
    "model_hidden_units": (64, 64),
    **CRITICS,
}
_ALL: Settings = {**LOSSES, **SAC}

FULL = Study(common=_COMMON, settings=product(_ALL, _TASKS, _DISTRACTORS), seeds=range(10))

EVENING = Study(
    common=_COMMON,
    settings=product(_ALL, {"InvertedPendulum": _TASKS["InvertedPendulum"]}, _ROTATION),
    seeds=range(10),
)
