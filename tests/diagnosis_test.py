"""What is looked at after a fit: hand-computed, and without a trace in the run."""

import numpy as np
import programs
import pytest
import tensorflow as tf

from vagram_tf.agent.sac import SoftActorCritic
from vagram_tf.dyna import Dyna
from vagram_tf.run import diagnosis


@pytest.fixture(scope="module")
def dyna():
    """A loop with 60 random steps, in episodes of 25, of a pendulum with two distractors: D = 5."""
    loop = Dyna(programs.tiny(random_steps=60, distractors=2))
    for _ in range(60):
        loop.step()
    return loop


def held_out(data):
    return np.arange(len(data.reward)) % 5 == 4


def test_value_gradients_of_a_known_value(dyna, monkeypatch):
    values = [lambda s: 3.0 * s[:, 0] + 0.0 * s[:, 4], lambda s: 4.0 * s[:, 0] ** 2]
    monkeypatch.setattr(SoftActorCritic, "value_functions", values)
    found = diagnosis.diagnose(dyna)
    data = dyna.real.all()
    spread = np.std(data.next_observation - data.observation, axis=0)[0]  # of all the data
    assert not 0.8 < spread < 1.25
    after = data.next_observation.numpy()[held_out(data)]
    norm = spread * np.stack([np.full(12, 3.0), np.abs(8.0 * after[:, 0])], axis=1)
    np.testing.assert_allclose(found.histograms["value_gradient/norms"], norm, rtol=1e-5)
    rms = np.sqrt((9.0 + np.mean((8.0 * after[:, 0]) ** 2)) / 2)
    np.testing.assert_allclose(found.sensitivity, [rms * after[:, 0].std(), 0, 0, 0, 0], rtol=1e-5)
    scalars = found.scalars
    assert scalars["value_gradient/norm"] == pytest.approx(norm.mean(), rel=1e-5)
    longest = np.quantile(norm, 0.95, axis=0)
    assert scalars["value_gradient/clip_norm"] == pytest.approx(longest.mean(), rel=1e-5)
    assert scalars["value_gradient/clipped_share"] == pytest.approx(
        (norm[:, 1].max() - longest[1]) / norm.sum(), rel=1e-4
    )
    assert scalars["value_gradient/rms_task"] == pytest.approx(
        found.sensitivity[0] / np.sqrt(3), rel=1e-5
    )
    assert scalars["value_gradient/rms_distractors"] == 0.0


def test_value_and_errors_are_of_the_held_out_transitions(dyna, monkeypatch):
    data = dyna.real.all()
    chosen = held_out(data)
    monkeypatch.setattr(SoftActorCritic, "value_functions", [lambda s: s[:, 1]])
    head = dyna.ensemble._mean_head
    weights = head.get_weights()
    head.set_weights([np.zeros_like(weight) for weight in weights])  # predicts no change
    np.testing.assert_array_equal(dyna.ensemble._target_mean, np.zeros(6))
    found = diagnosis.diagnose(dyna)
    head.set_weights(weights)
    value = data.next_observation.numpy()[chosen, 1:2]  # [B, C]
    assert found.histograms["train/value"].tolist() == value.tolist()
    change = (data.next_observation - data.observation).numpy()[chosen]
    expected = np.sqrt(np.mean((change / change.std(axis=0)) ** 2, axis=1))
    np.testing.assert_allclose(
        found.histograms["model/member_errors"], np.tile(expected, (3, 1)), rtol=1e-4
    )


def test_open_loop_follows_the_newest_of_the_longest_stretches(dyna):
    data = dyna.real.all()
    # Steps 26 to 50 are an episode, 51 to 60 its successor.
    real, predicted = diagnosis.open_loop(dyna, 30)
    np.testing.assert_array_equal(real[:-1], data.observation[25:50])
    np.testing.assert_array_equal(real[-1], data.next_observation[49])
    assert predicted.shape == (2, 26, 5)
    np.testing.assert_array_equal(predicted[:, 0], np.tile(real[0], (2, 1)))
    state = predicted[:, 6:7]
    action = tf.tile(data.action[tf.newaxis, 31:32], [2, 1, 1])
    step = dyna.ensemble(tf.constant(state), action, members=dyna.ensemble.elites).next_observation
    np.testing.assert_allclose(predicted[:, 7:8], step, rtol=1e-5)
    short, _ = diagnosis.open_loop(dyna, 8)
    np.testing.assert_array_equal(short[:-1], data.observation[52:60])


def test_looking_changes_nothing(dyna, tmp_path):
    states = []
    for name in ("before", "after"):
        states.append(programs.saved_state(programs.save(dyna, tmp_path / name)))
        diagnosis.diagnose(dyna)
        diagnosis.open_loop(dyna, 10)
    assert len(states[0]) > 50 and states[0] == states[1]
