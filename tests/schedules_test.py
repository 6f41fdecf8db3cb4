"""Schedules at their corners and between them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vagram_tf import schedules

RISING = (20.0, 150.0, 1.0, 15.0)
FALLING = (0.0, 10.0, 0.9, 0.1)


@pytest.mark.parametrize(
    "epoch, expected",
    [
        (0.0, 1.0),
        (20.0, 1.0),
        (20.5, 1.0 + 7 / 130),
        (85.0, 8.0),
        (149.9, 15.0 - 0.1 * 14 / 130),
        (150.0, 15.0),
        (1e9, 15.0),
    ],
)
def test_linear_between_its_epochs_and_constant_outside(epoch, expected):
    assert schedules.linear(RISING, epoch) == pytest.approx(expected, rel=1e-12)


def test_linear_may_fall():
    assert [schedules.linear(FALLING, epoch) for epoch in (0, 5, 10, 20)] == pytest.approx(
        [0.9, 0.5, 0.1, 0.1]
    )


def test_equal_epochs_jump():
    jump = (3.0, 3.0, 1.0, 5.0)
    assert [schedules.linear(jump, epoch) for epoch in (0.0, 2.999, 3.0, 4.0)] == [
        1.0,
        1.0,
        5.0,
        5.0,
    ]
    assert schedules.linear((0.0, 0.0, 0.2, 0.95), 0.0) == 0.95


def test_rollout_length_rounds_down_and_is_at_least_one():
    epochs = [0.0, 20.0, 29.2, 29.3, 85.0, 94.2, 149.99, 150.0, 200.0]
    assert [schedules.rollout_length(RISING, epoch) for epoch in epochs] == [
        1,
        1,
        1,
        2,
        8,
        8,
        14,
        15,
        15,
    ]
    assert schedules.rollout_length((0.0, 1.0, 0.0, 0.5), 1.0) == 1


@pytest.mark.parametrize("epoch, expected", [(0.0, 256), (10.0, 134), (20.0, 13), (30.0, 13)])
def test_real_examples_are_the_rest_of_the_batch(epoch, expected):
    # 0, 0.475 and 0.95 of 256 imagined: 0, 121.6 and 243.2
    assert schedules.real_examples((0.0, 20.0, 0.0, 0.95), epoch, 256) == expected


def test_real_examples_at_the_ends_of_the_share():
    assert schedules.real_examples((0.0, 0.0, 0.0, 0.0), 1.0, 7) == 7
    assert schedules.real_examples((0.0, 0.0, 1.0, 1.0), 1.0, 7) == 0


@st.composite
def any_schedule(draw):
    first, second = sorted(draw(st.tuples(*[st.floats(0, 1000)] * 2)))
    return first, second, draw(st.floats(0, 1000)), draw(st.floats(0, 1000))


@given(any_schedule(), st.lists(st.floats(0, 2000), min_size=2, max_size=10))
def test_values_run_one_way_and_stay_between_the_ends(schedule, epochs):
    *_, first, last = schedule
    values = [schedules.linear(schedule, epoch) for epoch in sorted(epochs)]
    slack = 1e-9 * max(first, last)
    assert all(min(first, last) - slack <= value <= max(first, last) + slack for value in values)
    steps = [after - before for before, after in zip(values, values[1:], strict=False)]
    assert all(step >= -slack if last >= first else step <= slack for step in steps)


@given(any_schedule(), st.floats(0, 2000), st.integers(1, 4096))
def test_lengths_and_counts_are_possible_ones(schedule, epoch, batch):
    assert 1 <= schedules.rollout_length(schedule, epoch) <= max(1, *schedule[2:])
    share = (*schedule[:2], schedule[2] / 1000, schedule[3] / 1000)
    assert 0 <= schedules.real_examples(share, epoch, batch) <= batch
