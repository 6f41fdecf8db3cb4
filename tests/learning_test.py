"""Does it learn? InvertedPendulum-v5 with its preset, seed 0, compiled as users run it, to the
environment's goal.
"""

import json

import programs
import pytest

pytestmark = pytest.mark.slow

GOAL = 950.0

# Trains until the goal is reached.
_TRAIN = """
import json, sys
from vagram_tf.presets import preset
from vagram_tf.run.training import Training

config = preset("InvertedPendulum-v5").replace(loss=sys.argv[1], num_steps=3000, eval_every=250)

def reached(training):
    evaluation = training.evaluation
    return evaluation is not None and evaluation.returns.mean() >= float(sys.argv[3])

with Training(config, sys.argv[2]) as training:
    returns, lengths = training.learn(callback=reached).evaluation
print(json.dumps([returns.tolist(), lengths.tolist()]))
"""


@pytest.mark.parametrize("loss", ["vagram", "mle"])
def test_balances_the_pole_within_3000_training_steps(tmp_path, loss):
    process = programs.python(
        "-c", _TRAIN, loss, str(tmp_path), str(GOAL), environment=programs.COMPILED
    )
    assert process.returncode == 0, process.stderr
    returns, lengths = json.loads(process.stdout.splitlines()[-1])
    assert len(returns) == 10
    assert sum(returns) / 10 >= GOAL
    assert sum(lengths) / 10 >= GOAL  # a reward of 1 per step
