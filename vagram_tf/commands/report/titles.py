"""How figures name a task."""


def task(environment: str, distractors: int, kind: str) -> str:
    """Returns an environment's name with its distractors, if it has any."""
    if not distractors:
        return environment
    return f"{environment}, {distractors} {kind} distractor{'s' * (distractors > 1)}"
