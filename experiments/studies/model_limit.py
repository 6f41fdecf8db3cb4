"""Is the model the limit? Models made worse on purpose, a perfect one, and none, on Hopper; in half
an hour on InvertedPendulum with distractors, without the perfect one.

`shrunk_0.3` leaves out 0.3 of each change of state that its model predicts; `simulator` steps the
simulator itself in its rollouts; `sac` has no rollouts. Where returns do not depend on the model,
no loss can matter.
"""

from experiments.studies import CRITICS, SAC, SHORT, learned_temperature, mostly_imagined
from vagram_tf.study import Settings, Study

_WORLDS: Settings = {
    "learned": {},
    "shrunk_0.3": {"rollout_shrinkage": 0.3},
    "shrunk_0.6": {"rollout_shrinkage": 0.6},
    "simulator": {"rollout_model": "simulator"},
    **SAC,
}
_COMMON = {
    "name": "Hopper-v5",
    "loss": "vagram",
    "video_steps": 0,
    **CRITICS,  # as in `distractors`, whose runs without any are these
}

FULL = Study(common={**_COMMON, "num_steps": 125_000}, settings=_WORLDS, seeds=range(10))

EVENING = Study(
    common={**_COMMON, **SHORT, "model_hidden_units": (128, 128, 128)},
    settings=_WORLDS,
    seeds=range(5),
)

LEARNED_TEMPERATURE = learned_temperature(EVENING)
MOSTLY_IMAGINED = mostly_imagined(EVENING)

# The task, agent and model of `pendulum`, whose runs of `vagram` and `sac` are `learned` and `sac`.
# The simulator cannot be the model there: observations hold more than its state.
QUICK = Study(
    common={
        **_COMMON,
        "name": "InvertedPendulum-v5",
        "distractors": 10,
        "distractor_kind": "rotation",
        "num_steps": 2000,
        "eval_episodes": 5,
        "model_hidden_units": (64, 64),
    },
    settings={name: world for name, world in _WORLDS.items() if name != "simulator"},
    seeds=range(5),
)
