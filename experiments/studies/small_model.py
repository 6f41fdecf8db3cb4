"""A model too small for the task: Hopper, `vagram` against `mle` and `mse` as the model shrinks.

Voelcker et al. 2022, section 5.1: with a model of two layers of 64 units the value-aware loss keeps the return that
the likelihood loses. `FULL` has the paper's agent; `EVENING` the smallest model, and the agent of `distractors`: that
of the paper learns too slowly for so few steps.
"""

from experiments.sweeps.study import Settings, Study, product, vary

_TASK = {"name": "Hopper-v5", "video_steps": 0}
_MODELS: Settings = {
    "4x200": {"model_hidden_units": (200, 200, 200, 200)},
    "3x64": {"model_hidden_units": (64, 64, 64)},
    "2x64": {"model_hidden_units": (64, 64)},
}

# Source: pairlab/vagram, Hopper.
_PAPER_AGENT = {
    "agent_hidden_units": (1024, 1024),
    "feature_normalization": True,
    "actor_learning_rate": 3e-5,
    "target_update_period": 4,
}

FULL = Study(
    common={**_TASK, **_PAPER_AGENT, "num_steps": 125_000},
    settings=product(vary("loss", "vagram", "mle", "mse"), _MODELS),
    seeds=range(10),
)

# Critics that diverge are a result here: such runs go on to their end.
_QUICK_AGENT = {"observation_normalization": True, "divergence_factor": 1e9}

EVENING = Study(
    common={**_TASK, **_QUICK_AGENT, "num_steps": 20_000},
    settings=product(vary("loss", "vagram", "mle"), {"2x64": _MODELS["2x64"]}),
    seeds=range(5),
)
