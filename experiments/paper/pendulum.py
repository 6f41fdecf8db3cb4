"""What the paper's first two figures have in common: the task and the losses."""

from pathlib import Path

ENVIRONMENT = "Pendulum-v1"
LOSSES = ("mle", "mse", "itervaml", "taylor", "vagram")


def check_policy(directory: str | Path) -> None:
    """Raises ValueError, in one sentence, for what is no policy's export of the task."""
    from vagram_tf.export.load import check_export, environment_of

    environment = environment_of(check_export(directory, "policy"))
    if environment.name != ENVIRONMENT or environment.distractors:
        raise ValueError(f"{directory} is of {environment.name} with {environment.distractors} distractors; expected "
                         f"is {ENVIRONMENT} without")
