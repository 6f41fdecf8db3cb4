"""The guard: what stops a run, and what it says then."""

import math

import pytest

from vagram_tf.guards import Diverged, NumericalGuard, q_bound


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_stops_with_step_name_and_last_good_value(value):
    guard = NumericalGuard()
    guard.check(10, {"critic_loss": 0.5, "actor_loss": 7.0})
    guard.check(20, {"critic_loss": 0.25, "actor_loss": 8.0})
    with pytest.raises(Diverged) as error:
        guard.check(30, {"actor_loss": 9.0, "critic_loss": value})
    message = str(error.value)
    assert message == (
        f"critic_loss is {value:g} at environment step 30, not finite; its last good value was 0.25"
    )


def test_a_quantity_without_history_says_so():
    with pytest.raises(
        Diverged, match="reward is nan at environment step 0, not finite; it has no earlier value"
    ):
        NumericalGuard().check(0, {"reward": math.nan})


@pytest.mark.parametrize("value", [100.5, -100.5])
def test_a_bound_counts_in_both_directions(value):
    guard = NumericalGuard()
    guard.check(1, {"q_max": 100.0}, {"q_max": 100.0})
    guard.check(2, {"q_max": -100.0}, {"q_max": 100.0})
    with pytest.raises(Diverged) as error:
        guard.check(3, {"q_max": value}, {"q_max": 100.0})
    assert str(error.value) == (
        f"q_max is {value:g} at environment step 3, beyond the bound of 100; its last good value "
        "was -100"
    )


def test_a_bound_is_for_its_own_quantity():
    NumericalGuard().check(1, {"loss": 1e30, "q_max": 1.0}, {"q_max": 2.0, "absent": 0.0})


def test_a_bad_value_does_not_become_the_last_good_one():
    guard = NumericalGuard()
    guard.check(1, {"q": 3.0})
    for _ in range(2):
        with pytest.raises(Diverged, match="last good value was 3"):
            guard.check(2, {"q": 50.0}, {"q": 10.0})


def test_a_bound_that_is_no_number_lets_nothing_not_finite_pass():
    with pytest.raises(Diverged):
        NumericalGuard().check(1, {"q": math.inf}, {"q": math.inf})


def test_bound_of_q_follows_the_rewards_and_the_discount():
    assert q_bound(5.0, 0.9, 8.0, 2.0, 1) == pytest.approx(5 * (8 + 2) / 0.1)
    # An exploding temperature hides nothing.
    assert q_bound(5.0, 0.9, 8.0, 1e5, 1) == pytest.approx(5 * (8 + 8) / 0.1)
    # No reward yet: at least 1 per step.
    assert q_bound(5.0, 0.9, 0.0, 0.5, 3) == pytest.approx(5 * (1 + 1.5) / 0.1)
