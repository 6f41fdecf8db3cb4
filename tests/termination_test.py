"""The learned termination function: what it learns, its threshold, and what it says without
examples.
"""

import numpy as np
import pytest
import tensorflow as tf

from vagram_tf.model.learned_termination import (
    LearnedTermination,
    balanced_accuracy,
    best_threshold,
)
from vagram_tf.types import Transition

D = 4


def transitions(after, ended):
    count = len(after)
    return Transition(
        tf.zeros([count, D]),
        tf.zeros([count, 1]),
        tf.zeros(count),
        tf.constant(1.0 - np.asarray(ended), tf.float32),
        tf.constant(after, tf.float32),
    )


def two_sided(count, seed=0):
    """Ends where |x_0| > 1, which is one step in twenty; the other dimensions say nothing, and one
    is constant.
    """
    after = np.random.default_rng(seed).normal(size=(count, D)) * [0.51, 1.0, 100.0, 0.0] + [
        0.0,
        5.0,
        0.0,
        3.0,
    ]
    return after, np.abs(after[:, 0]) > 1.0


def make(seed=0):
    tf.keras.utils.set_random_seed(seed)
    return LearnedTermination(D, seed)


def every_fifth(count):
    return tf.range(count) % 5 == 4


@pytest.fixture(scope="module")
def learned():
    after, ended = two_sided(3000)
    termination = make()
    metrics = [termination.fit(transitions(after, ended), every_fifth(3000)) for _ in range(2)]
    return termination, metrics


def test_it_learns_a_rule_of_which_few_examples_end(learned):
    termination, metrics = learned
    after, ended = two_sided(4000, seed=1)
    assert 0.03 < ended.mean() < 0.07
    answer = termination(tf.constant(after, tf.float32)).numpy()
    assert answer.shape == (4000,) and balanced_accuracy(answer, ended) > 0.97
    assert (
        metrics[-1]["termination_accuracy"] > 0.97
        and 0.0 < metrics[-1]["termination_threshold"] < 1.0
    )


def test_the_accuracy_is_that_of_the_holdout_alone(learned):
    termination, metrics = learned
    after, ended = (x[4::5] for x in two_sided(3000))
    answer = termination(tf.constant(after, tf.float32)).numpy()
    assert metrics[-1]["termination_accuracy"] == pytest.approx(balanced_accuracy(answer, ended))


def test_what_is_held_out_is_not_trained_on():
    after, ended = two_sided(200)
    held_out = every_fifth(200)
    other = np.where(held_out[:, tf.newaxis], after + 1000.0, after)
    weights = []
    for observation in (after, other):
        termination = make()
        termination.fit(transitions(observation, ended), held_out)
        weights.append([v.numpy().tolist() for v in termination._network.variables])
    assert weights[0] == weights[1]


def test_a_frozen_copy_says_the_same_and_stays(learned):
    termination, _ = learned
    frozen, after = termination.frozen(), tf.constant(two_sided(500, seed=2)[0], tf.float32)
    answer = termination(after).numpy().tolist()
    assert frozen(after).numpy().tolist() == answer and set(answer) == {True, False}
    threshold = float(termination._threshold)
    termination._threshold.assign(-np.inf)
    assert termination(after).numpy().all() and frozen(after).numpy().tolist() == answer
    termination._threshold.assign(threshold)


def test_what_is_not_finite_has_terminated(learned):
    after = np.zeros([3, D], np.float32)
    after[0, 3], after[1, 1] = np.nan, np.inf
    for rule in (make(), learned[0], learned[0].frozen()):
        assert rule(tf.constant(after)).numpy().tolist() == [True, True, False]


def test_before_a_termination_was_seen_it_says_never_and_where_all_end_always():
    after, _ = two_sided(50)
    termination = make()
    weights = [v.numpy().tolist() for v in termination._network.variables]
    assert not termination(tf.constant(after, tf.float32)).numpy().any()
    for ends in (False, True):
        metrics = termination.fit(transitions(after, [ends] * 50), every_fifth(50))
        assert metrics == {
            "termination_accuracy": 1.0,
            "termination_threshold": 0.0 if ends else 1.0,
        }
        assert (termination(tf.constant(after, tf.float32)).numpy() == ends).all()
    assert [v.numpy().tolist() for v in termination._network.variables] == weights


def test_an_end_in_the_holdout_alone_is_missed():
    after, _ = two_sided(50)
    metrics = make().fit(transitions(after, np.arange(50) == 4), every_fifth(50))
    assert metrics["termination_accuracy"] == 0.5


@pytest.mark.parametrize(
    "logit, ended, expected",
    [
        ([-3.0, -1.0, 1.0, 2.0], [0, 0, 1, 1], 0.0),  # even odds separate them: nothing is better
        ([-3.0, 1.0, 2.0, 4.0], [0, 0, 0, 1], 3.0),  # only the gap between 2 and 4 does
        ([-5.0, -3.0, -1.0, 1.0], [0, 1, 1, 1], -4.0),
        # 1.5 and 3.5 are right in three quarters: the nearer to 0.
        (
            [1.0, 2.0, 3.0, 4.0],
            [0, 1, 0, 1],
            1.5,
        ),
        ([1.0, 2.0], [0, 0], 0.0),
        ([1.0, 2.0], [1, 1], 0.0),
    ],
)
def test_best_threshold_by_hand(logit, ended, expected):
    assert best_threshold(np.array(logit, np.float32), np.array(ended, bool)) == expected


def test_rare_ends_count_as_much_as_all_the_rest():
    # Ten ends and a hundred others. Between 0.5 and 1, all ends are found and ten others are false
    # alarms: 0.95.
    logit = np.array([1.0] + [2.0] * 9 + [-1.0] * 50 + [0.5] * 40 + [2.0] * 10, np.float32)
    assert best_threshold(logit, np.arange(110) < 10) == 0.75


def test_balanced_accuracy_by_hand():
    assert balanced_accuracy(np.array([1, 0, 0, 1], bool), np.array([1, 1, 0, 0], bool)) == 0.5
    assert balanced_accuracy(np.array([1, 0, 0, 0], bool), np.array([1, 0, 0, 0], bool)) == 1.0
    assert balanced_accuracy(np.array([0, 0, 0, 1], bool), np.zeros(4, bool)) == 0.75
