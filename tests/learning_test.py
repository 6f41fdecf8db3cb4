"""Does it learn? InvertedPendulum-v5 with its preset but a smaller model, seed 0, compiled as users
run it, to the environment's goal.
"""

import json

import programs
import pytest

pytestmark = pytest.mark.slow

GOAL = 950.0
EPISODES = 3

# Trains with each loss until the goal is reached.
_TRAIN = """
import json, sys
from vagram_tf.presets import preset
from vagram_tf.run.training import Training

settings, goal, found = json.loads(sys.argv[2]), float(sys.argv[3]), {}

def reached(training):
    evaluation = training.evaluation
    return evaluation is not None and evaluation.returns.mean() >= goal

for loss in ("vagram", "mle"):
    config = preset("InvertedPendulum-v5").replace(loss=loss, **settings)
    with Training(config, sys.argv[1]) as training:
        evaluation = training.learn(callback=reached).evaluation
    found[loss] = [numbers.tolist() for numbers in evaluation]
print(json.dumps(found))
"""
SETTINGS = {
    "num_steps": 3000,
    "eval_every": 250,
    "eval_episodes": EPISODES,
    "model_hidden_units": (32, 32),
    "members": 3,
    "elites": 2,
}


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Returns and lengths of the last evaluation, by loss."""
    process = programs.python(
        *("-c", _TRAIN, str(tmp_path_factory.mktemp("runs")), json.dumps(SETTINGS), str(GOAL)),
        environment=programs.COMPILED,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


@pytest.mark.parametrize("loss", ["vagram", "mle"])
def test_balances_the_pole_within_3000_training_steps(learned, loss):
    returns, lengths = learned[loss]
    assert len(returns) == EPISODES
    assert sum(returns) / EPISODES >= GOAL
    assert sum(lengths) / EPISODES >= GOAL  # a reward of 1 per step
