"""Planners in worlds whose best actions are known, and in an exported model."""

import numpy as np
import programs
import pytest
import tensorflow as tf
from learned_env_test import drifting  # noqa: F401  a fixture

from vagram_tf import plan
from vagram_tf.commands import evaluate
from vagram_tf.dyna import Dyna

pytestmark = pytest.mark.slow

# A mass on a line, to be brought to the middle: x' = A x + B u, at a cost of x'Qx + R u².
A = np.array([[1.0, 0.1], [0.0, 1.0]], np.float32)
B = np.array([[0.005], [0.1]], np.float32)
Q, R = np.diag([1.0, 0.1]).astype(np.float32), 0.1
HORIZON = 15
START = np.array([0.5, 0.0], np.float32)


def world(each, size=1, value=None, discount=1.0, members=None):
    low, high = np.full(size, -3.0, np.float32), np.full(size, 3.0, np.float32)
    return plan.World(each, members, 2, low, high, value, discount)


def of_reward(reward, terminated=lambda observation: observation[..., 0] > 1e9):
    """A world in which the action is the next observation."""

    def each(observation, action):
        return {
            "next_observation": action,
            "reward": reward(action),
            "terminated": terminated(action),
        }

    return each


def quadratic(observation, action):
    after = observation @ A.T + action @ B.T
    cost = tf.einsum("ebi,ij,ebj->eb", observation, Q, observation)
    cost += R * tf.reduce_sum(action**2, axis=-1)
    return {
        "next_observation": after,
        "reward": -cost,
        "terminated": tf.zeros(tf.shape(cost), tf.bool),
    }


def riccati():
    """The gains of the best actions, first to last, and what they cost from START."""
    cost, gains = np.zeros([2, 2]), []
    for _ in range(HORIZON):
        gain = np.linalg.solve(R + B.T @ cost @ B, B.T @ cost @ A)
        cost = Q + A.T @ cost @ (A - B @ gain)
        gains.insert(0, gain)
    return gains, float(START @ cost @ START)


@pytest.mark.parametrize(
    "method, iterations, excess", [("cem", 10, 0.05), ("mppi", 10, 0.1), ("gradient", 100, 0.01)]
)
def test_plan_of_a_linear_world_costs_what_the_best_one_does(method, iterations, excess):
    gains, least = riccati()
    planner = plan.Planner(
        world(quadratic),
        method,
        horizon=HORIZON,
        candidates=1000 if method != "gradient" else 40,
        iterations=iterations,
        spread=0.5,
    )
    found = planner.plan(START)
    assert -least + 1e-4 >= found.promised >= -least * (1 + excess)
    state, cost = START, 0.0
    for action in found.actions:
        cost += state @ Q @ state + R * action @ action
        state = A @ state + B @ action
    np.testing.assert_allclose(found.promised, -cost, rtol=1e-4)
    if method == "gradient":
        np.testing.assert_allclose(found.actions[0], -(gains[0] @ START), rtol=0.1)


@pytest.mark.parametrize("method", list(plan.METHODS))
def test_seed_and_observations_make_the_actions(method):
    def actions(seed):
        planner = plan.Planner(world(quadratic), method, horizon=5, candidates=60, seed=seed)
        first = [planner.act(START) for _ in range(3)]
        planner.reset()
        assert np.array_equal([planner.act(START) for _ in range(3)], first)
        return np.array(first)

    first = actions(1)
    np.testing.assert_array_equal(actions(1), first)
    if method != "gradient":  # whose best candidate may be the one that is not drawn
        assert (actions(2) != first).any()
    assert first.shape == (3, 1) and first.dtype == np.float32 and (np.abs(first) <= 3).all()


@pytest.mark.parametrize("method", list(plan.METHODS))
def test_last_plan_is_where_the_next_one_begins(method):
    """With a single iteration of few candidates a plan gets better from step to step."""
    planner = plan.Planner(world(quadratic), method, horizon=HORIZON, candidates=60, iterations=1)
    promised = [planner.plan(np.zeros(2, np.float32) + START).promised for _ in range(10)]
    planner.reset()
    assert promised[-1] > promised[0]
    assert planner.plan(START).promised == promised[0]


def test_rewards_after_the_end_do_not_count_and_are_discounted():
    """Pays 1 a step, and 10 beyond 1, where it ends."""
    end = of_reward(
        lambda action: 1.0 + 9.0 * tf.cast(action[..., 0] > 1.0, tf.float32),
        lambda observation: observation[..., 0] > 1.0,
    )
    patient = plan.Planner(world(end), horizon=20, discount=1.0, spread=0.5).plan(np.zeros(1))
    # The end comes last.
    assert patient.promised == 29.0 and (patient.actions[:-1] <= 1.0).all()
    hasty = plan.Planner(world(end), horizon=20, discount=0.5, spread=0.5).plan(np.zeros(1))
    assert hasty.promised == 10.0 and hasty.actions[0] > 1.0


@pytest.mark.parametrize("method", list(plan.METHODS))
@pytest.mark.parametrize("ends", [True, False])
def test_a_candidate_that_runs_away_spoils_no_plan(method, ends):
    """What lies beyond 1 pays a number that is none, after the episode's end or within it."""
    runaway = of_reward(
        lambda action: tf.where(action[..., 0] > 1.0, np.nan, -tf.square(action[..., 0] - 0.5)),
        lambda observation: (observation[..., 0] > 0.9) & ends,
    )
    planner = plan.Planner(world(runaway), method, horizon=4, spread=0.8, iterations=5)
    for _ in range(2):
        found = planner.plan(np.zeros(1, np.float32))
        assert np.isfinite(found.actions).all() and np.isfinite(found.promised)


def test_value_counts_where_a_plan_ends():
    nothing = of_reward(lambda action: tf.zeros(tf.shape(action)[:2]))
    judged = world(
        nothing, value=lambda observation: -tf.square(observation[:, 0] - 2.0), discount=0.5
    )
    found = plan.Planner(judged, horizon=2, iterations=6, spread=0.5).plan(np.zeros(1))
    np.testing.assert_allclose(found.actions[1], [2.0], atol=0.1)
    np.testing.assert_allclose(found.promised, -0.25 * (found.actions[1, 0] - 2.0) ** 2, atol=1e-6)


def test_disagreement_costs_its_share_of_the_variance():
    """What an action is beyond 0 earns, but there the elites disagree, and not elsewhere."""
    each = of_reward(lambda action: action[..., 0])

    def members(observation, action):
        beyond = tf.nn.relu(action)
        return {
            "next_observation": tf.stack([action + beyond, action - beyond]),
            "next_observation_stddev": tf.ones([2, *action.shape]),
        }

    for price, expected in ((0.0, 3.0), (20.0, 0.0)):
        planner = plan.Planner(
            world(each, members=members), horizon=1, iterations=8, disagreement=price, spread=0.5
        )
        np.testing.assert_allclose(planner.act(np.zeros(1)), [expected], atol=0.15)
    planner = plan.Planner(world(each, members=members), horizon=1, disagreement=20.0)
    found = planner.plan(np.zeros(1))
    u = max(float(found.actions[0, 0]), 0.0)
    np.testing.assert_allclose(
        found.promised, found.actions[0, 0] - 20.0 * u**2 / (u**2 + 1.0), atol=1e-5
    )


def test_each_candidate_is_rolled_out_by_one_elite():
    """The first elite promises 1 a step, the second 3: a plan's promise is the mean of both."""

    def each(observation, action):
        reward = tf.constant([[1.0], [3.0]]) + 0.0 * action[..., 0]
        return {
            "next_observation": observation,
            "reward": reward,
            "terminated": tf.zeros(tf.shape(reward), tf.bool),
        }

    assert plan.Planner(world(each), horizon=4).plan(np.zeros(1)).promised == 8.0


def test_noise_is_of_spread_1_and_alike_in_neighbours():
    colour = plan._coloured(20)
    covariance = colour @ colour.T
    np.testing.assert_allclose(np.diag(covariance), 1.0, rtol=1e-5)
    assert (np.diff(covariance[0]) < 0).all() and covariance[0, 1] > 0.8


def test_exported_model_is_planned_in(drifting):  # noqa: F811
    """It drifts by 1 and pays 0.5 a step, whatever is done, and ends beyond 13.5."""
    planner = plan.Planner(plan.exported(drifting), horizon=6, candidates=20)
    np.testing.assert_allclose(planner.plan(np.array([0.0, 0.5])).promised, 3.0, rtol=1e-5)
    np.testing.assert_allclose(planner.plan(np.array([11.0, 0.5])).promised, 1.5, rtol=1e-5)
    assert planner.act(np.array([0.0, 0.5])).shape == (1,)


@pytest.mark.parametrize("method", ["cem", "gradient"])
def test_live_model_is_planned_in_as_it_is_now(method):
    dyna = Dyna(programs.tiny())
    dyna.ensemble.elites.assign([1, 0])
    observation = np.array([0.6, 0.8, 0.5], np.float32)
    planner = plan.Planner(plan.live(dyna), method, horizon=1, candidates=20)
    dyna.ensemble.trainable_variables[0].assign_add(
        tf.ones_like(dyna.ensemble.trainable_variables[0])
    )  # too late
    found = planner.plan(observation)
    after = plan.live(Dyna(programs.tiny())).each(
        tf.tile(observation[np.newaxis, np.newaxis], [2, 1, 1]),
        tf.tile(found.actions[np.newaxis], [2, 1, 1]),
    )
    values = [
        tf.reduce_min([v(state) for v in dyna.agent.values_of("critics")], axis=0)
        for state in after["next_observation"]
    ]
    alive = 1.0 - after["terminated"].numpy()[:, 0]
    expected = after["reward"].numpy()[:, 0] + 0.99 * alive * np.concatenate(values)
    np.testing.assert_allclose(found.promised, expected.mean(), rtol=1e-4)


def test_live_model_ends_episodes_as_it_does_now():
    dyna = Dyna(programs.tiny(termination="learned"))
    world = plan.live(dyna)
    dyna.termination._threshold.assign(-np.inf)  # too late: everything is an end
    rows = np.zeros([2, 1, 3], np.float32), np.zeros([2, 1, 1], np.float32)
    assert not world.each(*rows)["terminated"].numpy().any()
    assert plan.live(dyna).each(*rows)["terminated"].numpy().all()


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"method": "guess"}, "method must be one of cem, mppi, gradient, got 'guess'"),
        ({"horizon": 0}, "horizon must be at least 1, got 0"),
        ({"candidates": 0}, "candidates must be at least 1, got 0"),
        ({"iterations": 0}, "iterations must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_planned_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        plan.Planner(world(quadratic), **settings)


def test_bounds_that_exclude_each_other_are_refused():
    impossible = world(quadratic)._replace(low=np.array([4.0], np.float32))
    with pytest.raises(ValueError, match=r"no action is between the bounds \[4\.\] and \[3\.\]"):
        plan.Planner(impossible)


def test_planners_of_the_command_are_those_of_the_library():
    assert tuple(plan.METHODS) == evaluate.PLANNERS
