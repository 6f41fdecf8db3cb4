"""Splits: who is held out for life, each member's own sample, and the batches of an epoch."""

import numpy as np
import pytest
import tensorflow as tf

from vagram_tf.model import splits

E = 4


@pytest.fixture
def generator():
    return tf.random.Generator.from_seed(0, alg="philox")


def split(count, share=0.2, most=5000, generator=None):
    """Returns train and holdout as lists."""
    generator = generator or tf.random.Generator.from_seed(0, alg="philox")
    return [slots.numpy().tolist() for slots in splits.split(count, share, most, generator)]


# Holdout.


@pytest.mark.parametrize("share", [0.05, 0.2, 0.29, 0.5, 0.9])
def test_a_stored_transition_never_changes_sides(share):
    sides = {}
    for count in (20, 21, 57, 100, 1000):
        train, holdout = map(set, split(count, share))
        assert train | holdout == set(range(count)) and not train & holdout
        assert abs(len(holdout) - share * count) <= 1
        for slot in range(count):
            assert sides.setdefault(slot, slot in holdout) == (slot in holdout)


def test_every_so_many_th_slot_is_held_out():
    assert splits.held_out(10, 0.2).numpy().tolist() == [False, False, False, False, True] * 2
    assert splits.held_out(4, 0.5).numpy().tolist() == [False, True] * 2


def test_the_holdout_is_bounded_by_random_ones_of_those_held_out(generator):
    everything = set(split(1000)[1])
    train, first = split(1000, most=30, generator=generator)
    _, second = split(1000, most=30, generator=generator)
    assert len(everything) == 200 and len(train) == 800
    for holdout in (first, second):
        assert len(set(holdout)) == 30 and set(holdout) <= everything
    assert set(first) != set(second)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_few_transitions_leave_one_to_score_on(count):
    assert split(count) == [list(range(count - 1)), [count - 1]]


# Samples.


def test_a_bootstrap_sample_is_drawn_with_replacement_for_each_member(generator):
    train = tf.range(1000, 3000, 2)
    bootstrap = splits.bootstrap(train, E, generator).numpy()
    assert bootstrap.shape == (E, 1000)
    assert set(bootstrap.ravel().tolist()) <= set(train.numpy().tolist())
    seen = [set(sample.tolist()) for sample in bootstrap]
    for sample in seen:
        assert abs(len(sample) - 632) < 50  # 1 - 1/e of them; standard deviation 10
    for one in range(E):
        for other in range(one):
            assert abs(len(seen[one] & seen[other]) - 400) < 70  # independent: 0.632² of them


# Batches.


def test_an_epoch_holds_a_members_own_sample_but_for_the_remainder(generator):
    samples = tf.constant(np.arange(E * 10).reshape(E, 10))
    epochs = [splits.shuffled_batches(samples, 4, 1, generator).numpy() for _ in range(2)]
    for batches in epochs:
        assert batches.shape == (2, E, 4)
        for member in range(E):
            slots = batches[:, member].ravel()
            assert len(set(slots)) == 8 and set(slots) <= set(samples.numpy()[member])
    assert np.any(epochs[0] != epochs[1])  # shuffled anew


def test_every_slot_of_a_sample_is_used_once_where_batches_fit(generator):
    samples = tf.constant([[0, 1, 2, 3, 4, 5], [9, 9, 9, 7, 8, 7]])
    batches = splits.shuffled_batches(samples, 2, 1, generator).numpy()
    assert batches.shape == (3, 2, 2)
    used = [sorted(batches[:, member].ravel()) for member in range(2)]
    assert used == [[0, 1, 2, 3, 4, 5], [7, 7, 8, 9, 9, 9]]


def test_a_batch_larger_than_the_data_repeats_them(generator):
    order = splits.shuffled_batches(tf.constant([[0, 1, 2]] * E), 8, 1, generator).numpy()
    assert order.shape == (1, E, 8)
    assert all(set(row) == {0, 1, 2} for row in order[0].tolist())


def test_few_samples_are_passed_until_there_are_steps_enough_each_time_in_another_order(generator):
    samples = tf.constant(np.arange(E * 10).reshape(E, 10))
    batches = splits.shuffled_batches(samples, 5, 5, generator).numpy()
    assert batches.shape == (6, E, 5)  # three passes of two
    for member in range(E):
        passes = batches[:, member].reshape(3, 10).tolist()
        assert all(sorted(each) == samples.numpy()[member].tolist() for each in passes)
        assert passes[0] != passes[1] != passes[2]


def test_everything_random_comes_from_the_generator():
    found = []
    for seed in (1, 1, 2):
        generator = tf.random.Generator.from_seed(seed, alg="philox")
        holdout = splits.split(100, 0.5, 10, generator)[1]
        samples = splits.bootstrap(tf.range(50), E, generator)
        batches = splits.shuffled_batches(tf.stack([tf.range(50)] * E), 5, 1, generator)
        found.append([x.numpy().tolist() for x in (holdout, samples, batches)])
    assert found[0] == found[1]
    assert all(one != other for one, other in zip(found[0], found[2], strict=True))
