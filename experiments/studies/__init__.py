"""Studies, one file each, in the sizes that its constants name; here what several have in common.

A study's settings differ in nothing but what they are named after.
"""

import dataclasses

from vagram_tf.study import Settings, Study

# What a claim about a loss is read beside. `mle` draws its rollouts from the predicted Gaussian, as
# MBPO does, and `vagram` and `mse` take the mean: `mle_mean` is the likelihood without that noise,
# so that it differs from `vagram` in the loss alone. `mle_fixed` is the likelihood of the paper's
# code: its variance has fixed bounds in raw units, that of `mle` bounds that are learned.
LOSSES: Settings = {
    "vagram": {"loss": "vagram"},
    "mle": {"loss": "mle"},
    "mle_mean": {"loss": "mle", "rollout_noise": "off"},
    "mse": {"loss": "mse"},
    "mle_fixed": {"loss": "mle", "variance_bounds": "fixed"},
    "mle_fixed_mean": {"loss": "mle", "variance_bounds": "fixed", "rollout_noise": "off"},
}

# The same agent and updates on real data alone: does a model help at all?
SAC: Settings = {"sac": {"rollout_model": "none"}}

# Critics that diverge are a result: such runs go on to their end.
TO_THE_END = {"divergence_factor": 1e9}

# Critics that live with distractors, which have a size of 20 where positions have one of 0.1: as
# they come they fill the critics.
CRITICS = {"observation_normalization": True, **TO_THE_END}

# What makes a run of a locomotion task a matter of minutes. Fits go on from where the last one
# ended, so that models of 60 fits of at most 500 steps are trained for long, too.
SHORT = {"num_steps": 20_000, "max_fit_steps": 500, "eval_episodes": 5}

# SAC's temperature as MBPO and the paper's code have it: Hopper's preset holds it.
TEMPERATURE = {"initial_temperature": 0.1, "temperature_learning_rate": 3e-4}


def learned_temperature(study: Study) -> Study:
    """Returns a study of Hopper whose temperature is learned."""
    return dataclasses.replace(study, common={**study.common, **TEMPERATURE})


def mostly_imagined(study: Study) -> Study:
    """Returns the same, and with MBPO's share of imagined data, too: 0.95 from the start."""
    learned = learned_temperature(study)
    share = {"imagined_share": (0.0, 0.0, 0.95, 0.95)}
    return dataclasses.replace(learned, common={**learned.common, **share})
