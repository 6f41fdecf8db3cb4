"""Dimensions that have nothing to do with the task: Hopper, `vagram` against `mle` as they become more.

Voelcker et al. 2022, section 5.2. A setting is named after its loss, the number of distractors and their kind.
`mle_fixed` is the likelihood of the paper's code: its variance cannot exceed 1.6 in the observation's units, where the
distractors' is some 50.
"""

from experiments.sweeps.study import Settings, Study, product, vary

# Without normalised features the critics diverge with 15 nonlinear distractors, whose size is 20, under either loss.
_TASK = {"name": "Hopper-v5", "video_steps": 0, "feature_normalization": True}
_LOSSES: Settings = {**vary("loss", "vagram", "mle"), "mle_fixed": {"loss": "mle", "variance_bounds": "fixed"}}
_NONE: Settings = {"0": {"distractors": 0}}

FULL = Study(
    common={**_TASK, "num_steps": 125_000},
    settings={
        **product(_LOSSES, _NONE),
        **product(_LOSSES, vary("distractors", 5, 10, 15, 20), vary("distractor_kind", "nonlinear", "noise")),
    },
    seeds=range(10),
)

EVENING = Study(
    common={**_TASK, "num_steps": 20_000, "model_hidden_units": (128, 128, 128)},
    settings={
        **product(_LOSSES, _NONE),
        **product(_LOSSES, vary("distractors", 15), vary("distractor_kind", "nonlinear")),
    },
    seeds=range(5),
)
