"""Does a bound on a fit's cost cost return? InvertedPendulum with fits cut far shorter than they
would be.

`--max_fit_steps` keeps a fit from growing with the data. On Hopper it begins to cut fits at some
20,000 stored transitions; here it is set so low that it cuts nearly all of them.
"""

from experiments.studies import TO_THE_END
from vagram_tf.study import Study

FULL = Study(
    common={"name": "InvertedPendulum-v5", "video_steps": 0, "eval_episodes": 5, **TO_THE_END},
    settings={"default": {}, "50_steps": {"max_fit_steps": 50}},
    seeds=range(10),
)

EVENING = FULL
