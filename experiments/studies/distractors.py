"""Dimensions that have nothing to do with the task: Hopper, `vagram` and its controls as they
become more.

Voelcker et al. 2022, section 5.2. A setting is named after its loss, the number of distractors and
their kind. Those of `rotation` can be predicted exactly, and take a model's capacity; nonlinear
ones can hardly be predicted from few data.
"""

from experiments.studies import CRITICS, LOSSES, SAC, SHORT, learned_temperature, mostly_imagined
from vagram_tf.study import Settings, Study, product, vary

_TASK = {
    "name": "Hopper-v5",
    "video_steps": 0,
    **CRITICS,
}
_ALL: Settings = {**LOSSES, **SAC}
_NONE: Settings = {"0": {"distractors": 0}}
_FIFTEEN: Settings = product(vary("distractors", 15), vary("distractor_kind", "nonlinear"))
_THIRTY: Settings = product(vary("distractors", 30), vary("distractor_kind", "rotation"))
WORLDS: Settings = {**_THIRTY, **_FIFTEEN, **_NONE}

FULL = Study(
    common={**_TASK, "num_steps": 125_000},
    settings={
        **product(_ALL, _NONE),
        **product(
            _ALL, vary("distractors", 5, 10, 15, 20), vary("distractor_kind", "nonlinear", "noise")
        ),
    },
    seeds=range(10),
)

EVENING = Study(
    common={**_TASK, **SHORT, "model_hidden_units": (128, 128, 128)},
    settings=product(_ALL, WORLDS),
    seeds=range(5),
)

LEARNED_TEMPERATURE = learned_temperature(EVENING)
MOSTLY_IMAGINED = mostly_imagined(EVENING)
