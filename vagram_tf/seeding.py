"""Where every random number of a run comes from.

A run has one seed. Each source of randomness gets its own seed, derived from the run's seed and a
name, so that adding a source, or drawing more from one, never shifts another:

| name | what it seeds |
|---|---|
| `"networks"` | initial weights (Python, NumPy and TensorFlow global seeds) |
| `"episode", k` | reset of the k-th training episode (environment and distractor start) |
| `"exploration"` | uniform actions of the initial random steps |
| `"policy"` | action noise while collecting, in the SAC losses and in imagined rollouts |
| `"replay", "real" or "imagined"` | which transitions a SAC batch holds, where rollouts start |
| `"model"` | holdout split, bootstrap, batch order, samples of the prediction |
| `"termination"` | batches of the learned termination function |
| `"rollouts"` | which elite takes a step, model noise |
| `"evaluation", i` | the i-th evaluation environment; its episode k is that of env step k |

Programs that judge an export derive theirs from a seed of their own under the same names, and
"bootstrap"; a data set's episodes have "collect", and the choice of those that a fit to it leaves
out "holdout".

The dynamics of distractors have a seed of their own (`EnvConfig.distractor_seed`): they belong to
the task.
"""

import hashlib


def derive(seed: int, *path: str | int) -> int:
    """Returns the seed for one source of randomness: the first 31 bits of a SHA-256 of the seed and
    the path.

    Args:
      seed: the run's seed.
      *path: the source's name and indices, e.g. `"episode", 12`.

    Returns:
      An integer in [0, 2**31), fit for NumPy, Gymnasium and TensorFlow alike.
    """
    text = "/".join(str(part) for part in (seed, *path))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def first_evaluation(seed: int, env_step: int = 0) -> int:
    """Returns the seed of the first episode of the evaluation at an environment step: the episode
    that is filmed.
    """
    return derive(derive(seed, "evaluation", 0), "episode", env_step)
