"""What keeps critics sound: Hopper, as what its critics see and make of it is normalised or not.

Batches are 95 % imagined from the start, so that critics learn from states that nobody has seen:
that is where they diverge. A setting is named after its loss, its distractors, and what is
normalised: `plain` nothing, `observations` the agent's observations, `layers` the critics' hidden
layers (the default), `features` the last layers' outputs, as in the paper's agent.
"""

import dataclasses

from experiments.studies import LOSSES, SHORT, TO_THE_END, distractors, mostly_imagined
from vagram_tf.study import Settings, Study, product

_COMMON = {
    "name": "Hopper-v5",
    "video_steps": 0,
    **TO_THE_END,
    "observation_normalization": False,
    "layer_normalization": False,
    "feature_normalization": False,
}
_LOSSES: Settings = {loss: LOSSES[loss] for loss in ("vagram", "mle", "mle_mean")}
# `vagram` with the noise in its rollouts that `mle` has.
_NOISE: Settings = {"vagram_noise": {"loss": "vagram", "rollout_noise": "on"}}
_WORLDS: Settings = {
    "30_rotation": {"distractors": 30, "distractor_kind": "rotation"},
    "0": {"distractors": 0},
}
_NORMALIZED: Settings = {
    "plain": {},
    "observations": {"observation_normalization": True},
    "layers": {"layer_normalization": True},
    "both": {"observation_normalization": True, "layer_normalization": True},
    "features": {"feature_normalization": True},
}
_ALL = product(_LOSSES, _WORLDS, _NORMALIZED)

FULL = mostly_imagined(
    Study(common={**_COMMON, "num_steps": 125_000}, settings=_ALL, seeds=range(10))
)

EVENING = mostly_imagined(
    Study(
        common={
            **_COMMON,
            **SHORT,
            "num_steps": 2000,
            "eval_every": 500,
            "model_hidden_units": (32, 32),
        },
        settings=_ALL,
        seeds=range(2),
    )
)

# The preset's agent and the default's critics, for as long as an evening allows.
LONG = dataclasses.replace(
    distractors.EVENING, settings=product({**_LOSSES, **_NOISE}, distractors.WORLDS), seeds=range(3)
)
