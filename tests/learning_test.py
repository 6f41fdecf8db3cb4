"""Does it learn? InvertedPendulum-v5 with its preset, seed 0, to the environment's goal."""

import pytest

from vagram_tf.presets import preset
from vagram_tf.run.directory import RunDirectory
from vagram_tf.run.training import Training

GOAL = 950.0


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["vagram", "mle"])
def test_balances_the_pole_within_3000_training_steps(tmp_path, loss):
    config = preset("InvertedPendulum-v5").replace(
        loss=loss, num_steps=3000, eval_every=250, eval_episodes=10, seed=0)
    training = Training(config, RunDirectory(tmp_path, config))

    def reached():
        return training.evaluation is not None and training.evaluation.returns.mean() >= GOAL

    outcome = training.run(lambda _: None, reached)
    assert outcome.evaluation.returns.shape == (10,)
    assert outcome.evaluation.returns.mean() >= GOAL
    assert outcome.evaluation.lengths.mean() >= GOAL  # a reward of 1 per step
