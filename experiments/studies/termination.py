"""Does a learned termination function do as well as the known one? Hopper, whose episodes end when
it falls.
"""

from experiments.studies import CRITICS, SHORT
from vagram_tf.study import Study, vary

_TASK = {"name": "Hopper-v5", "loss": "vagram", "video_steps": 0, **CRITICS}

FULL = Study(
    common={**_TASK, "num_steps": 125_000},
    settings=vary("termination", "auto", "learned"),
    seeds=range(10),
)

EVENING = Study(
    common={**_TASK, **SHORT, "num_steps": 10_000, "model_hidden_units": (128, 128, 128)},
    settings=vary("termination", "auto", "learned"),
    seeds=range(5),
)
