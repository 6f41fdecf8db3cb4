"""The paper's questions on tasks that take minutes: a model of 8 units, all losses, with and
without distractors.

Nonlinear distractors are noise to such a model; ten of `rotation` can be predicted, and are more
than it can carry.
"""

from experiments.studies import LOSSES, SAC
from vagram_tf.study import Settings, Study, product, vary

_TASKS: Settings = {
    "InvertedPendulum": {"name": "InvertedPendulum-v5", "num_steps": 2000},
    "Pendulum": {"name": "Pendulum-v1", "num_steps": 1500},
}
_DISTRACTORS: Settings = {
    "0": {"distractors": 0},
    **product(vary("distractors", 5), vary("distractor_kind", "nonlinear")),
    **product(vary("distractors", 10), vary("distractor_kind", "rotation")),
}

FULL = Study(
    common={
        "video_steps": 0,
        "eval_episodes": 5,
        "model_hidden_units": (8,),
        "observation_normalization": True,
        # Critics that diverge are a result here: such runs go on to their end.
        "divergence_factor": 1e9,
    },
    settings=product({**LOSSES, **SAC}, _TASKS, _DISTRACTORS),
    seeds=range(10),
)

EVENING = FULL
