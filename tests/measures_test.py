"""Statistics of a model's errors, against values worked out by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf

from vagram_tf.commands.judging import measures
from vagram_tf.commands.judging.measures import Steps
from vagram_tf.export.load import Export

T, F = True, False


def steps_of(observation, last, action=None, reward=None, terminated=None, behaviour="greedy"):
    """Steps whose next observation is the next row, one more than `last` has."""
    observation = np.asarray(observation, np.float64)
    count = len(last)
    return Steps(
        observation[:-1],
        np.zeros([count, 1]) if action is None else np.asarray(action, np.float64),
        np.zeros(count) if reward is None else np.asarray(reward, np.float64),
        observation[1:],
        np.zeros(count, bool) if terminated is None else np.asarray(terminated),
        np.asarray(last),
        np.asarray([behaviour] * count if isinstance(behaviour, str) else behaviour),
    )


def predicts(function, stddev=1.0, reward=0.0, terminated=False):
    """A model of the mean `function(observation, action)`."""

    def predict(observation, action):
        count = len(observation)
        return {
            "next_observation": function(observation, action),
            "next_observation_stddev": np.full(observation.shape, stddev),
            "reward": np.broadcast_to(reward, count),
            "terminated": np.broadcast_to(terminated, count),
        }

    return predict


def linear_value(*weights):
    """One critic for each row of weights: `V = weights · s`."""
    weights = np.asarray(weights, np.float64)
    return lambda observation: {
        "value": weights @ observation.T,
        "value_gradient": np.broadcast_to(
            weights[:, np.newaxis], [len(weights), *observation.shape]
        ),
    }


def test_windows_end_with_their_episode():
    assert measures.windows(np.array([F, F, T, T, F, T]), 3).tolist() == [
        [T, T, T, T, T, T],
        [T, T, F, F, T, F],
        [T, F, F, F, F, F],
    ]


def test_open_loop_error_of_a_linear_model():
    """The world doubles, the model multiplies by 3: from 1 it says 3, 9, 27 where 2, 4, 8 come."""
    steps = steps_of([[1.0], [2.0], [4.0], [8.0]], [F, F, T])
    report = measures.summarise(
        steps,
        measures.compare(
            steps, predicts(lambda observation, _: 3 * observation), linear_value([1.0]), horizon=3
        ),
    )
    loop = report["open_loop"]
    assert loop["count"] == [3, 2, 1]
    # 3-2, 6-4, 12-8; then 9-4, 18-8; then 27-8.
    np.testing.assert_allclose(loop["error"], [[math.sqrt(21 / 3)], [math.sqrt(125 / 2)], [19]])
    # 2-1, 4-2, 8-4; then 4-1, 8-2; then 8-1.
    np.testing.assert_allclose(loop["no_change"], [[math.sqrt(21 / 3)], [math.sqrt(45 / 2)], [7]])
    scale = np.std([1.0, 2.0, 4.0])
    np.testing.assert_allclose(loop["all"], np.array([math.sqrt(7), math.sqrt(62.5), 19]) / scale)
    np.testing.assert_allclose(
        loop["all_no_change"], np.array([math.sqrt(7), math.sqrt(22.5), 7]) / scale
    )


def test_open_loop_takes_the_real_actions_in_turn_and_no_real_state():
    """The world adds the action; the model knows that, so it is right for as long as it is
    asked.
    """
    actions = np.array([[1.0], [10.0], [100.0], [1000.0]])
    steps = steps_of(
        np.concatenate([[[5.0]], 5.0 + np.cumsum(actions, axis=0)]), [F, F, F, T], action=actions
    )
    comparison = measures.compare(
        steps,
        predicts(lambda observation, action: observation + action),
        linear_value([1.0]),
        horizon=4,
    )
    assert comparison.predicted[:, 0, 0].tolist() == [6.0, 16.0, 116.0, 1116.0]
    np.testing.assert_array_equal(
        comparison.predicted[comparison.fits], comparison.real[comparison.fits]
    )


def test_a_model_that_runs_away_is_infinitely_wrong_from_then_on():
    steps = steps_of(np.full([5, 1], 1.0), [F, F, F, T])

    def runaway(observation, action):
        assert np.isfinite(observation).all()  # exports refuse other numbers
        return np.where(observation > 10.0, np.nan, observation + 6.0)

    comparison = measures.compare(steps, predicts(runaway), linear_value([2.0]), horizon=4)
    assert comparison.predicted[:2, 0, 0].tolist() == [7.0, 13.0]
    assert np.isnan(comparison.predicted[2, 0, 0]) and comparison.predicted[3, 0, 0] == np.inf
    assert comparison.values.predicted[:, 0].tolist() == [14.0, 26.0, np.inf, np.inf]


def test_nothing_of_the_next_episode_enters():
    """Two episodes far apart: an error across the border would be 1,000."""
    steps = Steps(
        np.array([[0.0], [1.0], [1000.0], [1001.0]]),
        np.zeros([4, 1]),
        np.zeros(4),
        np.array([[1.0], [2.0], [1001.0], [1002.0]]),
        np.zeros(4, bool),
        np.array([F, T, F, T]),
        np.array(["greedy"] * 4),
    )
    report = measures.summarise(
        steps,
        measures.compare(
            steps, predicts(lambda observation, _: observation), linear_value([1.0]), horizon=3
        ),
    )
    assert report["open_loop"]["count"] == [4, 2, 0]
    assert report["open_loop"]["error"][:2] == [[1.0], [2.0]]
    assert math.isnan(report["open_loop"]["error"][2][0])  # no episode lasts three steps


@pytest.mark.parametrize(
    "spread, expected",
    [
        (1.0, (0.5, 0.8, 0.95)),
        (2.0, (0.8227, 0.9896, 0.99991)),  # twice too wide: P(|z| < 2 · 0.6745) and so on
        (0.5, (0.2641, 0.4784, 0.6729)),
    ],
)
def test_coverage_of_gaussian_errors(spread, expected):
    """40,000 draws of two dimensions of different size: four standard errors."""
    stddev = np.array([0.1, 5.0])
    error = np.random.default_rng(0).normal(size=[40000, 2]) * stddev
    covered = measures.coverage(error, np.broadcast_to(spread * stddev, error.shape))
    assert covered.shape == (3, 2)
    tolerance = 4 * np.sqrt(np.array(expected) * (1 - np.array(expected)) / 40000)
    assert (
        np.abs(covered - np.array(expected)[:, np.newaxis]) < tolerance[:, np.newaxis] + 1e-4
    ).all()


def test_coverage_counts_by_dimension():
    error = np.array([[0.5, 3.0], [-0.6, 0.1], [0.7, 1.0], [-1.3, -1.2]])
    # The intervals end at 0.674, 1.282 and 1.960.
    assert measures.coverage(error, np.ones_like(error)).tolist() == [
        [0.5, 0.25],
        [0.75, 0.75],
        [1.0, 0.75],
    ]


def test_confusion_counts():
    predicted, real = np.array([T, T, T, F, F, F, F]), np.array([T, T, F, T, F, F, F])
    assert measures.confusion(predicted, real) == {
        "true_positives": 2,
        "false_positives": 1,
        "false_negatives": 1,
        "true_negatives": 3,
    }


def test_values_are_the_critics_mean_and_gradients_their_root_mean_square():
    """V = 4a - b on average of the critics 3a and 5a - 2b."""
    steps = steps_of([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]], [F, T])
    comparison = measures.compare(
        steps,
        predicts(lambda observation, _: observation + 1.0),
        linear_value([3.0, 0.0], [5.0, -2.0]),
        horizon=1,
    )
    report = measures.summarise(steps, comparison)
    # The predictions are (1, 1) and (2, 1), where (1, 0) and (1, 2) come: errors (0, 1) and (1,
    # -1).
    np.testing.assert_allclose(measures.value_error(comparison.values), [1.0, 5.0])
    np.testing.assert_allclose(report["value"]["error"], [math.sqrt(26 / 2)])
    # V is linear.
    np.testing.assert_allclose(report["value"]["first_order_error"], math.sqrt(26 / 2))
    np.testing.assert_allclose(report["value"]["no_change"], [math.sqrt((16 + 4) / 2)])
    np.testing.assert_allclose(
        report["value_gradient"]["root_mean_square"], [math.sqrt(17), math.sqrt(2)]
    )
    np.testing.assert_allclose(report["value_gradient"]["share"], [17 / 19, 2 / 19])


def test_constant_dimension_is_not_divided_by_zero():
    steps = steps_of([[3.0], [3.0], [3.0]], [F, T])
    comparison = measures.compare(
        steps, predicts(lambda observation, _: observation + 0.5), linear_value([1.0]), horizon=1
    )
    assert measures.state_error(comparison).tolist() == [0.5, 0.5]
    # Both are constant.
    assert math.isnan(measures.summarise(steps, comparison)["value"]["rank_correlation"])


def test_rewards_terminations_and_behaviours():
    steps = steps_of(
        np.arange(5.0)[:, np.newaxis],
        [F, T, F, T],
        reward=[1, 2, 3, 6],
        terminated=[F, T, F, F],
        behaviour=["greedy", "greedy", "random", "random"],
    )
    model = predicts(
        lambda observation, _: observation + 1,
        reward=np.array([1, 2, 3, 4]),
        terminated=np.array([F, T, T, F]),
    )
    report = measures.summarise(
        steps, measures.compare(steps, model, linear_value([1.0]), horizon=1)
    )
    assert report["reward"] == {"error": 1.0, "always_the_mean": pytest.approx(math.sqrt(14 / 4))}
    assert report["termination"] == {
        "true_positives": 1,
        "false_positives": 1,
        "false_negatives": 0,
        "true_negatives": 2,
    }
    nothing = {"steps": 2, "episodes": 1, "error": 0.0, "value_error": 0.0}
    assert report["behaviours"] == {
        "greedy": nothing | {"reward_error": 0.0},
        "random": nothing | {"reward_error": pytest.approx(math.sqrt(2))},
    }


def test_without_values_the_rest_is_the_same():
    steps = steps_of([[0.0], [1.0], [3.0]], [F, T])
    model = predicts(lambda observation, _: observation + 1)
    with_values, without = (
        measures.summarise(steps, measures.compare(steps, model, value, horizon=2))
        for value in (linear_value([1.0]), None)
    )
    assert set(with_values) - set(without) == {"value", "value_gradient"}
    del with_values["behaviours"]["greedy"]["value_error"]
    for name in without:
        np.testing.assert_equal(without[name], with_values[name])


def test_rank_correlation_of_errors_that_grow_together():
    steps = steps_of([[0.0], [1.0], [2.0], [3.0]], [F, F, T])
    model = predicts(lambda observation, _: observation + 1 + observation**2)
    report = measures.summarise(
        steps, measures.compare(steps, model, linear_value([2.0]), horizon=1)
    )
    assert report["value"]["rank_correlation"] == pytest.approx(1.0)


def test_values_are_the_critics_without_their_targets():
    class Policy:
        def value(self, observation):
            of_all = tf.constant([1.0, 2.0, 100.0, 100.0])[
                :, tf.newaxis
            ]  # two critics, two targets
            value = of_all * tf.constant(observation[:, 0])
            return {"value": value, "value_gradient": of_all[..., tf.newaxis] * tf.ones([3, 1])}

    found = measures.value_of_critics(Export(Policy(), {}))(np.array([[1], [0], [-1]], np.float32))
    assert found["value"].tolist() == [[1.0, 0.0, -1.0], [2.0, 0.0, -2.0]]
    assert found["value_gradient"].tolist() == [[[1.0]] * 3, [[2.0]] * 3]
