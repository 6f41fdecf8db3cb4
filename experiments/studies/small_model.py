"""A model too small for the task: Hopper, `vagram` and its controls as the model shrinks.

Voelcker et al. 2022, section 5.1: with a model of two layers of 64 units the value-aware loss keeps
the return that the likelihood loses. `FULL` has the paper's agent; `EVENING` the width at which
`vagram` has half the value error of `mle` in `experiments.fit_study`, and the agent of
`distractors`: that of the paper learns too slowly for so few steps.
"""

from experiments.studies import CRITICS, LOSSES, SAC, SHORT, TEMPERATURE, TO_THE_END
from vagram_tf.study import Settings, Study, product

_TASK = {"name": "Hopper-v5", "video_steps": 0, **TO_THE_END}
_MODELS: Settings = {
    "4x200": {"model_hidden_units": (200, 200, 200, 200)},
    "3x64": {"model_hidden_units": (64, 64, 64)},
    "2x64": {"model_hidden_units": (64, 64)},
}

# Source: pairlab/vagram, Hopper.
_PAPER_AGENT = {
    "agent_hidden_units": (1024, 1024),
    "feature_normalization": True,
    "layer_normalization": False,
    "actor_learning_rate": 3e-5,
    **TEMPERATURE,
    "target_update_period": 4,
}

FULL = Study(
    common={**_TASK, **_PAPER_AGENT, "num_steps": 125_000},
    settings={**product(LOSSES, _MODELS), **SAC},
    seeds=range(10),
)

EVENING = Study(
    common={**_TASK, **CRITICS, **SHORT, "model_hidden_units": (32, 32)},
    settings={**LOSSES, **SAC},
    seeds=range(5),
)
