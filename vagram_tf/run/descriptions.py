"""What TensorBoard says beside the numbers: a sentence for each tag, and the settings."""

from typing import Any

from vagram_tf.config import FIELDS, Config

TAGS = {
    "eval/mean_reward": "Mean undiscounted return of the greedy episodes of an evaluation.",
    "eval/std_reward": "Standard deviation of the returns of those episodes.",
    "eval/mean_ep_length": "Mean length of the greedy episodes of an evaluation, in steps.",
    "rollout/ep_rew_mean": "Mean return of the last 100 training episodes, exploration included.",
    "rollout/ep_len_mean": "Mean length of the last 100 training episodes, in steps.",
    "train/critic_loss": "Loss of both critics: mean over the updates of a step.",
    "train/actor_loss": "Loss of the actor: mean over the updates of a step.",
    "train/ent_coef": "Entropy temperature, which weighs entropy against reward.",
    "train/ent_coef_loss": "Loss of the entropy temperature: mean over the updates of a step.",
    "train/q_mean": "Mean Q value of the last batch, discounted. It should settle.",
    "train/q_max": "Largest |Q| of the last batch. The run stops where it is impossibly large.",
    "train/imagined_share": "Share of imagined transitions in a batch.",
    "train/value": "Values of held-out states, by critic, after each fit.",
    "model/holdout_mse": "Squared error of the predicted change on the holdout, in units of the "
    "changes' variance, mean over the elites. 1 is as good as always predicting the mean change.",
    "model/holdout_loss": "The objective's own term on the holdout, mean over the elites. It "
    "cannot be compared between objectives.",
    "model/holdout_reward_loss": "The objective's term of the reward on the holdout, mean over "
    "the elites.",
    "model/fit_steps": "Gradient steps of a fit.",
    "model/fit_epochs": "Epochs of a fit.",
    "model/fit_score": "What early stopping judges a fit by, mean over the members; lower is "
    "better.",
    "model/weight_sum": "Sum over all weights of the ensemble: a number only if they all are.",
    "model/member_errors": "Error of each member on held-out transitions, in standard deviations "
    "of the change that was to be predicted.",
    "model/rollout_length": "Steps of an imagined rollout, by the schedule.",
    "model/rollout_dropped_share": "Share of the imagined steps that were dropped: not finite, or "
    "far outside of the data.",
    "model/imagined_transitions": "Transitions in the imagined buffer.",
    "model/termination_accuracy": "Accuracy of the learned rule of termination on the holdout, "
    "mean over ends and other steps.",
    "model/termination_threshold": "Probability from which on that rule ends an episode.",
    "model/open_loop": "What the elites predict for real steps from the first state and the real "
    "actions alone, in the dimensions that the value depends on most.",
    "value_gradient/norm": "Mean norm of dV/ds' on held-out transitions, each dimension in units "
    "of its change's spread.",
    "value_gradient/clip_norm": "The quantile of these norms that longer gradients are cut to.",
    "value_gradient/clipped_share": "What that cuts away, as a share of their total length.",
    "value_gradient/rms_task": "By how much the value changes when a dimension of the task does by "
    "its standard deviation.",
    "value_gradient/rms_distractors": "By how much the value changes when a distractor does by its "
    "standard deviation. It should fall.",
    "value_gradient/norms": "Norms of dV/ds' on held-out transitions, by critic.",
    "value_gradient/sensitivity": "Which dimensions the value depends on, fit after fit: 1 is the "
    "most important one of a fit.",
    "time/fps": "Environment steps per second of wall time, fits and updates included.",
    "video/policy": "The first of the last evaluation's greedy episodes.",
}

# TensorBoard orders settings by name, capitals first, and shows the first five.
_FIRST = {
    "name": "Environment",
    "distractors": "Distractors",
    "loss": "Loss",
    "seed": "Seed",
}


def hparams(config: Config) -> dict[str, bool | int | float | str]:
    """Returns the settings as the HParams tab takes them, by the names that it shows."""
    values = {_FIRST.get(name, name): _hparam(value) for name, value in config.flat().items()}
    return values | {"Seed": str(config.run.seed)}  # which is no quantity


def settings_table(config: Config) -> str:
    """Returns the settings in Markdown, a row each."""
    rows = [
        f"| {name} | {_hparam(value)} | {FIELDS[name].help} |"
        for name, value in config.flat().items()
    ]
    return "\n".join(["| setting | value | what it is |", "|---|---|---|", *rows])


def _hparam(value: Any) -> bool | int | float | str:
    if value is None:
        return "unset"
    return ",".join(map(str, value)) if isinstance(value, tuple) else value
