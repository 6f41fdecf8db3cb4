"""What matters in VaGraM: Hopper with 15 distractors, one change at a time from `vagram`."""

from experiments.studies import CRITICS, LOSSES, SAC, SHORT
from vagram_tf.study import Settings, Study

_TASK = {
    "name": "Hopper-v5",
    "distractors": 15,
    "video_steps": 0,
    **CRITICS,
}

_CHANGES: Settings = {
    **LOSSES,
    **SAC,
    "itervaml": {"loss": "itervaml"},
    "calibrated_itervaml": {"loss": "calibrated_itervaml"},
    "taylor": {"loss": "taylor"},
    "no_clip": {"value_gradient_quantile": 1.0},
    "unscaled": {"value_gradient_scale": "none"},
    "example_weights": {"value_gradient_weights": "example"},
    "dimension_weights": {"value_gradient_weights": "dimension"},
    "agreement_weights": {"value_gradient_weights": "agreement"},
    "all_value_functions": {"value_functions": "all"},
    "targets_only": {"value_functions": "targets"},
    "reward_as_heavy_as_the_state": {"reward_weight": 1.0},
    "state_targets": {"model_target": "state"},
    "no_averaging": {"model_averaging": 0.0},
    "no_warm_up": {"warm_up_epochs": 0.0},
    "no_observation_normalization": {"observation_normalization": False},
    "feature_normalization": {"feature_normalization": True},
    "no_layer_normalization": {"layer_normalization": False},
    "rollout_noise": {"rollout_noise": "on"},
}

FULL = Study(common={**_TASK, "num_steps": 125_000}, settings=_CHANGES, seeds=range(10))

EVENING = Study(
    common={**_TASK, **SHORT, "num_steps": 10_000, "model_hidden_units": (128, 128, 128)},
    settings=_CHANGES,
    seeds=range(2),
)
