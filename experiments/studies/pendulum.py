"""The paper's questions on tasks that take a minute: a tiny model, with and without distractors, and both losses.

80 runs of about a minute on one core each: under an hour on two cores, so both sizes are the same.
"""

from experiments.sweeps.study import Study, product, vary

_TASKS = {
    "InvertedPendulum": {"name": "InvertedPendulum-v5", "num_steps": 2000},
    "Pendulum": {"name": "Pendulum-v1", "num_steps": 2000},
}
_DIFFICULTIES = {
    "1x8": {"model_hidden_units": (8,)},
    "1x8_distractors": {"model_hidden_units": (8,), "distractors": 10},
}

FULL = Study(
    common={"video_steps": 0},
    settings=product(_TASKS, _DIFFICULTIES, vary("loss", "vagram", "mle")),
    seeds=range(10),
)

EVENING = FULL
