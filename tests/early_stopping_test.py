"""When a fit ends, and with which weights: each member's best, improvements, and patience."""

import numpy as np
import pytest
import tensorflow as tf

from vagram_tf.config import ModelConfig
from vagram_tf.model.early_stopping import EarlyStopping
from vagram_tf.model.objective import Objective, Terms

E = 3


one_percent = Objective(ModelConfig()).improved


def of_examples(term):
    """Returns `[E, N]` of a number for all members, of one per member, or of one per member and
    example.
    """
    term = np.array(term, np.float32)
    return tf.constant(term if term.ndim == 2 else np.broadcast_to(term, [E])[:, np.newaxis])


class Script:
    """Judges one epoch of 10 steps after another; the weight of all members is its number."""

    def __init__(self, patience=2, patience_steps=1, improved=one_percent):
        self.weight, self.epoch = tf.Variable([-1.0] * E), 0
        self.stopping = EarlyStopping([self.weight], improved, patience, patience_steps)
        self.weight.assign([0.0] * E)

    def judge(self, score, state=None, reward=None):
        """Takes numbers `[E]`, or one for all; of a term also `[E, N]`. What is left out does not
        change.

        Returns whether the fit stops.
        """
        score = tf.broadcast_to(tf.constant(score), [E])
        state, reward = (of_examples(1.0 if x is None else x) for x in (state, reward))
        self.weight.assign([float(self.epoch)] * E)
        unused = tf.constant([[np.nan]] * E)  # neither mse nor read-out has a say
        self.stopping.judge(score, Terms(state, reward, unused, unused), 10 if self.epoch else 0)
        self.epoch += 1
        return self.stopping.stopped

    def kept(self):
        """Returns the epoch that each member's weights are of."""
        self.stopping.restore()
        return self.weight.numpy().tolist()


def test_each_member_gets_back_the_weights_of_its_lowest_score():
    script = Script()
    for score in ([4.0, 4.0, 1.0], [3.0, 5.0, 2.0], [6.0, 2.0, 2.0], [5.0, 3.0, 2.0]):
        script.judge(score)
    assert script.stopping.best_score.numpy().tolist() == [3.0, 2.0, 1.0]
    assert script.kept() == [1.0, 2.0, -1.0]


@pytest.mark.parametrize("beginning", [np.nan, np.inf])
def test_a_beginning_that_is_no_number_is_recovered_from(beginning):
    script = Script(patience=2)
    assert not script.judge(beginning, state=beginning)
    assert not script.judge(3.0, state=3.0) and not script.judge(3.0, state=3.0)
    assert script.judge(3.0, state=3.0)  # patience counts from the first number on
    assert script.kept() == [1.0] * E


def test_without_a_lower_score_the_weights_are_those_of_the_beginning():
    script = Script()
    for score in (1.0, 2.0, 2.0):
        script.judge(score)
    assert script.kept() == [-1.0] * E  # as they were when the stopping was made


def test_it_stops_when_nothing_improves_for_the_patience():
    script = Script(patience=2)
    stopped = [script.judge(score) for score in (4.0, 3.0, 3.0, 2.0, 2.0, 2.0)]
    assert stopped == [False] * 5 + [True]


def test_patience_counts_epochs_and_steps_and_both_must_be_over():
    for patience, patience_steps, epochs in (
        (2, 1, 2),
        (2, 20, 2),
        (2, 21, 3),
        (4, 21, 4),
        (1, 35, 4),
    ):
        script = Script(patience, patience_steps)
        stopped = [script.judge(1.0) for _ in range(6)]
        assert stopped.index(True) == epochs


def test_an_improvement_below_what_counts_is_kept_but_the_patience_goes_on():
    script = Script(patience=2)
    assert [script.judge(score) for score in (1.0, 0.995, 0.9999)] == [False, False, True]
    assert script.kept() == [1.0] * E


def test_the_middle_member_has_to_improve_and_each_keeps_its_own_best():
    script = Script(patience=1)
    stopped = [script.judge(score) for score in ([4.0, 4.0, 4.0], [3.0, 3.0, 9.0], [1.0, 9.0, 3.5])]
    assert stopped == [False, False, True]  # the middle: 4, 3, 3.5
    assert script.kept() == [2.0, 1.0, 2.0]


@pytest.mark.parametrize("learned", ["state", "reward"])
def test_a_term_that_cannot_be_learned_does_not_stop_what_the_other_still_gains(learned):
    # In the score of 101 the term that falls from 1 to 0.6 is below 1 % from epoch to epoch.
    script = Script(patience=1)
    other = "reward" if learned == "state" else "state"
    stopped = [
        script.judge(100.0 + falls, **{learned: falls, other: 100.0})
        for falls in (1.0, 0.9, 0.8, 0.7, 0.6, 0.6)
    ]
    assert stopped == [False] * 5 + [True]
    assert script.kept() == [4.0] * E


@pytest.mark.parametrize("learned", ["state", "reward"])
def test_a_few_hopeless_examples_do_not_stop_what_the_others_still_gain(learned):
    # Of five examples one costs 1,000, whatever is learned: less than 1 % of the mean, much of the
    # median.
    script = Script(patience=1)
    stopped = [
        script.judge(5.0, **{learned: [[falls] * 4 + [1000.0]] * E})
        for falls in (1.0, 0.9, 0.8, 0.7, 0.6, 0.6)
    ]
    assert stopped == [False] * 5 + [True]


def test_the_many_do_not_stop_what_a_few_examples_still_gain():
    script = Script(patience=1)
    stopped = [
        script.judge(5.0, [[0.1] * 4 + [falls]] * E) for falls in (1000.0, 900.0, 800.0, 800.0)
    ]
    assert stopped == [False] * 3 + [True]


def test_each_term_is_against_its_own_best():
    script = Script(patience=2)
    assert not script.judge(5.0, [1.0, 1.0, 1.0])
    assert not script.judge(5.0, [3.0, 3.0, 3.0])
    assert script.judge(5.0, [2.0, 2.0, 2.0])  # less than before, more than the best


def test_many_small_gains_of_a_term_add_up_to_one():
    script = Script(patience=2)
    assert not any(script.judge(5.0, state) for state in (1.0, 0.994, 0.988, 0.982, 0.976))
    assert [script.judge(5.0, state) for state in (0.974, 0.973)] == [False, True]


def test_a_score_that_rises_while_a_term_improves_goes_on_and_keeps_the_lowest():
    script = Script(patience=1)
    assert not any(
        script.judge(score, state) for score, state in ((5.0, 3.0), (6.0, 2.0), (7.0, 1.0))
    )
    assert script.kept() == [-1.0] * E


def test_what_is_not_a_number_improves_nothing_and_moves_no_mark():
    script = Script(patience=3)
    script.judge(4.0, 4.0)
    for bad in (np.nan, np.inf, np.nan):
        stopped = script.judge([bad, 3.0, bad] if script.epoch == 1 else bad, bad)
    assert stopped
    assert script.kept() == [-1.0, 1.0, -1.0]
    assert script.stopping.best_score.numpy().tolist() == [4.0, 3.0, 4.0]


def test_a_member_that_gets_lost_drowns_nothing():
    script = Script(patience=1)
    assert not any(
        script.judge([score, lost, score])
        for score, lost in ((3.0, 3.0), (2.0, np.nan), (1.0, 1e9))
    )
    assert script.kept() == [2.0, -1.0, 2.0]


def test_what_counts_is_asked_of_who_is_passed_in():
    script = Script(patience=1, improved=lambda best, new: best - new > 5.0)
    assert [script.judge(score) for score in (100.0, 94.0, 90.0)] == [False, False, True]
    assert script.kept() == [2.0] * E  # the lowest


def test_weights_of_any_rank_are_kept_by_member():
    weights = [
        tf.Variable(tf.zeros([E])),
        tf.Variable(tf.zeros([E, 3])),
        tf.Variable(tf.zeros([E, 1, 2])),
    ]
    stopping = EarlyStopping(weights, one_percent, 1, 1)
    for score, value in (([1.0] * E, 0.0), ([2.0, 0.5, 2.0], 7.0), ([3.0] * E, 9.0)):
        for variable in weights:
            variable.assign(tf.fill(variable.shape, value))
        stopping.judge(tf.constant(score), Terms(*[tf.constant(score)[:, tf.newaxis]] * 4))
    stopping.restore()
    for variable in weights:
        np.testing.assert_array_equal(variable[0], tf.zeros_like(variable[0]))
        np.testing.assert_array_equal(variable[1], tf.fill(variable[1].shape, 7.0))
