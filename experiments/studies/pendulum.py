"""The paper's questions on tasks that take minutes: a tiny model, with and without distractors, and both losses.

80 runs of 40 to 100 s on one core each, half an hour to a little over an hour on two, so both sizes are the same.
"""

from experiments.sweeps.study import Settings, Study, product, vary

_TASKS: Settings = {
    "InvertedPendulum": {"name": "InvertedPendulum-v5", "num_steps": 2000},
    "Pendulum": {"name": "Pendulum-v1", "num_steps": 1500},
}
_DIFFICULTIES: Settings = {
    "1x8": {"model_hidden_units": (8,)},
    "1x8_5_distractors": {"model_hidden_units": (8,), "distractors": 5},
}

FULL = Study(
    common={"video_steps": 0, "eval_episodes": 5, "feature_normalization": True},
    settings=product(vary("loss", "vagram", "mle"), _TASKS, _DIFFICULTIES),
    seeds=range(10),
)

EVENING = FULL
