"""The Dyna loop: turns and cadence, what guards it, and that a restored one continues to the same
bits.
"""

import dataclasses
import logging

import numpy as np
import programs
import pytest
import tensorflow as tf

from vagram_tf.commands.sweeps import study
from vagram_tf.dyna import Dyna
from vagram_tf.envs import tasks
from vagram_tf.envs.adapter import EnvironmentFault
from vagram_tf.envs.simulator import Simulator
from vagram_tf.guards import Diverged
from vagram_tf.run.checkpoint import Checkpoints
from vagram_tf.types import Transition

pytestmark = pytest.mark.slow


def transitions(count, size=3, reward=0.0):
    """Returns `[count]` transitions of a pendulum's shape that are told apart by their reward."""
    return Transition(
        tf.zeros([count, size]),
        tf.zeros([count, 1]),
        tf.fill([count], float(reward)),
        tf.ones([count]),
        tf.zeros([count, size]),
    )


@pytest.fixture
def cheap(monkeypatch, eagerly):
    """Builds loops whose model and agent do nothing but note what they were given: nothing is
    compiled.
    """

    def build(**changes):
        dyna = Dyna(programs.tiny(**{"agent_hidden_units": (4,)} | changes))
        dyna.notes = []

        def fit(data, warm_up):
            dyna.notes.append(("fit", dyna.env_step, len(data.reward), warm_up))
            return {"holdout_loss": 1.0}

        def imagine(start, horizon, data_range):
            dyna.notes.append(("imagine", dyna.env_step, len(start), horizon))
            return transitions(len(start) * horizon, reward=2.0), 0.25

        def train(batch):
            tf.py_function(
                lambda reward: dyna.notes.append(
                    (
                        "improve",
                        dyna.env_step,
                        reward.shape[0],
                        reward.shape[1],
                        int(np.sum(reward.numpy()[0] != 2.0)),
                    )
                ),
                [batch.reward],
                [],
            )
            return tf.zeros([7])

        monkeypatch.setattr(dyna.trainer, "fit", fit)
        monkeypatch.setattr(dyna.imagination, "imagine", imagine)
        monkeypatch.setattr(dyna.agent, "train", train)
        step = dyna.environment.step
        monkeypatch.setattr(
            dyna.environment,
            "step",
            lambda action: (dyna.notes.append(("collect", dyna.env_step)), step(action))[1],
        )
        return dyna

    return build


@pytest.fixture
def cheap_as_graph(cheap):
    """In a graph, where a sample that is not taken may be of an empty buffer."""
    tf.config.run_functions_eagerly(False)
    return cheap


def take(dyna, steps):
    return [dyna.step() for _ in range(steps)]


def noted(dyna, phase):
    return [note[1:] for note in dyna.notes if note[0] == phase]


def test_phases_take_turns(cheap):
    dyna = cheap(random_steps=10, retrain_every=2, epoch_length=2)
    take(dyna, 13)
    assert [note[0] for note in dyna.notes] == (
        ["collect"] * 10
        + ["fit", "imagine", "collect", "improve"]
        + ["collect", "improve"]
        + ["fit", "imagine", "collect", "improve"]
    )


def test_fits_at_training_step_0_and_then_every_so_often(cheap):
    dyna = cheap(random_steps=10, retrain_every=7)
    take(dyna, 32)
    assert [note[0] for note in noted(dyna, "fit")] == [10, 17, 24, 31]
    # On all the real data there are.
    assert [note[1] for note in noted(dyna, "fit")] == [
        10,
        17,
        24,
        31,
    ]
    assert [note[0] for note in noted(dyna, "imagine")] == [10, 17, 24, 31]


@pytest.mark.parametrize("normalize", [True, False])
def test_the_agent_normalises_by_the_random_steps_alone(cheap, normalize):
    dyna = cheap(random_steps=10, retrain_every=5, observation_normalization=normalize)
    take(dyna, 10)
    np.testing.assert_array_equal(dyna.agent.normalizer_variables[0], np.zeros(3))
    random = dyna.real.all().observation.numpy().astype(np.float64)
    take(dyna, 8)
    expected = (random.mean(axis=0), random.std(axis=0)) if normalize else (np.zeros(3), np.ones(3))
    for variable, moment in zip(dyna.agent.normalizer_variables, expected, strict=True):
        np.testing.assert_allclose(variable, moment, rtol=1e-5)


def test_warm_up_lasts_as_long_as_configured(cheap):
    dyna = cheap(random_steps=10, retrain_every=5, epoch_length=10, warm_up_epochs=1.5)
    take(dyna, 31)
    assert [(note[0], note[2]) for note in noted(dyna, "fit")] == [
        (10, True),
        (15, True),
        (20, True),
        (25, False),
        (30, False),
    ]


def test_updates_per_step_after_every_training_step(cheap):
    dyna = cheap(random_steps=10, updates_per_step=3, agent_batch_size=8)
    take(dyna, 14)
    assert [note[:3] for note in noted(dyna, "improve")] == [
        (step, 3, 8) for step in (11, 12, 13, 14)
    ]


def test_batches_mix_real_and_imagined_as_scheduled(cheap):
    """The imagined share grows from 0 at epoch 1 to 0.75 at epoch 3."""
    dyna = cheap(
        random_steps=10,
        epoch_length=4,
        retrain_every=4,
        agent_batch_size=8,
        imagined_share=(1, 3, 0, 0.75),
    )
    metrics = take(dyna, 10 + 17)
    real = [note[3] for note in noted(dyna, "improve")]
    # After step k the epoch is k / 4: real = 8 - round(8 * 0.375 * (epoch - 1)).
    assert real == [8, 8, 8, 8, 7, 6, 6, 5, 4, 4, 3, 2, 2, 2, 2, 2, 2]
    assert [m["train/imagined_share"] for m in metrics[10:]] == [1 - n / 8 for n in real]


def test_batches_are_real_when_every_rollout_was_dropped(cheap_as_graph, monkeypatch):
    dyna = cheap_as_graph(random_steps=10, agent_batch_size=8, imagined_share=(0, 0, 1, 1))
    monkeypatch.setattr(dyna.imagination, "imagine", lambda *args: (transitions(0), 1.0))
    metrics = take(dyna, 11)[-1]
    assert (
        metrics["model/rollout_dropped_share"] == 1.0 and metrics["model/imagined_transitions"] == 0
    )
    assert noted(dyna, "improve") == [(11, 1, 8, 8)]
    assert metrics["train/imagined_share"] == 0.0


def test_without_a_model_there_is_nothing_but_sac_on_real_data(cheap_as_graph):
    dyna = cheap_as_graph(
        random_steps=10, retrain_every=2, agent_batch_size=8, rollout_model="none"
    )
    metrics = take(dyna, 14)
    assert {note[0] for note in dyna.notes} == {"collect", "improve"}
    # All of a batch is real.
    assert noted(dyna, "improve") == [(step, 1, 8, 8) for step in (11, 12, 13, 14)]
    assert metrics[-1]["train/imagined_share"] == 0.0
    assert not any(name.startswith("model/") for name in dyna.latest)


def test_the_agent_without_a_model_is_the_one_that_a_model_has_not_helped_yet(cheap_as_graph):
    """Actor, critics, the real batches and the real steps have their own random numbers, model or
    not.
    """
    with_model, without = (
        cheap_as_graph(random_steps=10, imagined_share=(0, 0, 0, 0), rollout_model=kind)
        for kind in ("learned", "none")
    )
    for one, other in zip(
        with_model.agent.network_variables, without.agent.network_variables, strict=True
    ):
        np.testing.assert_array_equal(one, other)
    take(with_model, 14), take(without, 14)
    for one, other in zip(with_model.real.all(), without.real.all(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_with_a_simulator_rollouts_are_its_own_and_no_model_is_fitted():
    dyna = Dyna(
        programs.tiny(
            name="InvertedPendulum-v5",
            termination="auto",
            random_steps=10,
            rollout_model="simulator",
            rollout_shrinkage=0.5,
        )
    )
    take(dyna, 11)
    assert dyna.latest["model/imagined_transitions"] > 0 and "model/holdout_mse" not in dyna.latest
    imagined = dyna.imagined.all()
    simulated = Simulator(tasks.make(dyna.config.env)).step(
        imagined.observation.numpy(), imagined.action.numpy()
    )
    expected = imagined.observation + 0.5 * (simulated.observation - imagined.observation)
    np.testing.assert_array_equal(imagined.next_observation, expected)
    np.testing.assert_array_equal(imagined.reward, simulated.reward)


def test_rollouts_of_all_the_steps_until_the_next_fit_and_a_buffer_for_the_retained_epochs(cheap):
    """Length 1 in epoch 0, 2 in epoch 1, 3 from epoch 2 on."""
    dyna = cheap(
        random_steps=10,
        epoch_length=10,
        retrain_every=5,
        rollouts_per_step=4,
        retain_epochs=2,
        rollout_schedule=(0, 2, 1, 3),
    )
    sizes = []
    for _ in range(8):
        dyna.interaction.env_step = 10 + 5 * len(sizes)
        if not sizes:
            dyna.real.add(transitions(10))
        sizes.append((dyna._imagine()["model/imagined_transitions"], dyna.imagined.capacity))
    assert noted(dyna, "imagine") == [(10, 20, 1), (15, 20, 1), (20, 20, 2), (25, 20, 2)] + [
        (step, 20, 3) for step in (30, 35, 40, 45)
    ]
    # Capacity: length * 4 rollouts * 10 steps * 2 epochs. 20 * length more at each fit; the oldest
    # go.
    assert sizes == [
        (20, 80),
        (40, 80),
        (80, 160),
        (120, 160),
        (180, 240),
        (240, 240),
        (240, 240),
        (240, 240),
    ]


def test_rollouts_are_dealt_to_the_elites_in_equal_shares(cheap):
    dyna = cheap(random_steps=10, rollouts_per_step=3, retrain_every=5, members=4, elites=4)
    dyna.interaction.env_step = 10
    dyna.real.add(transitions(10))
    dyna._imagine()
    assert noted(dyna, "imagine") == [(10, 16, 1)]  # 15, rounded up to a multiple of 4


def test_many_rollouts_in_passes_of_bounded_size(cheap, monkeypatch):
    monkeypatch.setattr("vagram_tf.model.rollouts._PASS_ROWS", 8)
    dyna = cheap(random_steps=10, rollouts_per_step=4, retrain_every=5)
    dyna.interaction.env_step = 10
    dyna.real.add(transitions(10))
    metrics = dyna._imagine()
    assert noted(dyna, "imagine") == [(10, 8, 1), (10, 8, 1), (10, 8, 1)]
    assert (
        metrics["model/imagined_transitions"] == 24
        and metrics["model/rollout_dropped_share"] == 0.25
    )


def test_epoch_arithmetic(cheap):
    dyna = cheap(random_steps=10, num_steps=20, epoch_length=8)
    found = []
    for dyna.interaction.env_step in (0, 9, 10, 14, 18, 29, 30):
        found.append((dyna.training_step, dyna.cadence.epoch(dyna.training_step), dyna.done))
    assert found == [
        (-10, 0, False),
        (-1, 0, False),
        (0, 0, False),
        (4, 0.5, False),
        (8, 1.0, False),
        (19, 19 / 8, False),
        (20, 2.5, True),
    ]


def test_explores_with_uniform_actions_that_do_not_come_from_the_policy(cheap, monkeypatch):
    dyna, again, other = (cheap(random_steps=150, seed=seed) for seed in (0, 0, 1))
    for each in (dyna, again, other):
        monkeypatch.setattr(each.agent, "act", None)
        take(each, 150)
    actions = dyna.real.all().action.numpy()
    assert actions.shape == (150, 1) and len(np.unique(actions)) == 150
    assert -1 <= actions.min() < -0.95 and 0.95 < actions.max() <= 1
    assert abs(actions.mean()) < 0.15 and abs(actions.std() - 3**-0.5) < 0.06
    assert again.real.all().action.numpy().tolist() == actions.tolist()
    assert other.real.all().action.numpy().tolist() != actions.tolist()


def test_training_steps_take_the_policys_action(cheap, monkeypatch):
    dyna = cheap(random_steps=10)
    take(dyna, 10)
    monkeypatch.setattr(dyna.agent, "act", lambda observation: tf.fill([1, 1], 0.125))
    take(dyna, 3)
    assert dyna.real.all().action[10:].numpy().tolist() == [[0.125]] * 3


def test_stored_transitions_follow_one_another_and_a_time_limit_is_no_termination(cheap):
    dyna = cheap()
    metrics = take(dyna, 30)
    data = dyna.real.all()
    following = np.delete(np.arange(29), 24)  # step 25 is the last of an episode
    np.testing.assert_array_equal(
        data.next_observation.numpy()[following], data.observation.numpy()[following + 1]
    )
    assert (data.next_observation[24].numpy() != data.observation[25].numpy()).any()
    assert data.discount.numpy().tolist() == [1.0] * 30
    assert metrics[24]["rollout/ep_len_mean"] == 25
    assert metrics[24]["rollout/ep_rew_mean"] == pytest.approx(
        float(tf.reduce_sum(data.reward[:25])), rel=1e-5
    )
    assert all("rollout/ep_len_mean" not in m for i, m in enumerate(metrics) if i != 24)


def test_starts_are_where_episodes_started(cheap):
    dyna = cheap(name="programs:Countdown-v0")
    metrics = take(dyna, 30)
    ended = ["rollout/ep_len_mean" in m for m in metrics]
    assert dyna.starts().tolist() == [True, *ended[:-1]]


def test_what_is_left_of_the_oldest_episode_in_a_full_buffer_starts_where_it_is_cut(cheap):
    """Steps 15 to 44 are left, of capacity 30: episodes start at 25, in slot 25, and the oldest is
    in slot 15.
    """
    dyna = cheap(random_steps=60, replay_capacity=30)
    take(dyna, 45)
    assert np.flatnonzero(dyna.starts()).tolist() == [15, 25]


def test_an_episode_after_a_fault_is_another_one(cheap, monkeypatch):
    dyna = cheap()
    take(dyna, 7)
    with monkeypatch.context() as patch:
        patch.setattr(
            dyna.environment.task, "step", lambda action: (np.zeros(3), np.nan, False, False, {})
        )
        with pytest.raises(EnvironmentFault):
            dyna.step()
    take(dyna, 3)
    assert dyna.environment.episode == 1 and np.flatnonzero(dyna.starts()).tolist() == [0, 7]


def test_termination_stores_discount_0(cheap):
    dyna = cheap(name="programs:Countdown-v0")
    metrics = take(dyna, 30)
    ended = ["rollout/ep_len_mean" in m for m in metrics]
    assert (dyna.real.all().discount.numpy() == 0).tolist() == ended and sum(ended) > 4


def test_mean_return_is_over_the_last_100_episodes(cheap):
    dyna = cheap(name="programs:Countdown-v0", random_steps=700)
    metrics = take(dyna, 700)
    data = dyna.real.all()
    ends = np.flatnonzero(data.discount.numpy() == 0)
    returns, lengths = (
        [part.sum() for part in np.split(of, ends + 1)[:-1]]
        for of in (data.reward.numpy(), np.ones(700))
    )
    assert len(ends) > 120
    for episodes in (1, 2, 99, 100, 101, 120):
        told = metrics[ends[episodes - 1]]
        last = slice(max(0, episodes - 100), episodes)
        assert told["rollout/ep_rew_mean"] == pytest.approx(np.mean(returns[last]))
        assert told["rollout/ep_len_mean"] == pytest.approx(np.mean(lengths[last]))


def test_environment_fault_propagates_with_the_step(cheap, monkeypatch):
    dyna = cheap()
    take(dyna, 7)

    def broken(action):
        raise RuntimeError("the motor burnt out")

    monkeypatch.setattr(dyna.environment.task, "step", broken)
    with pytest.raises(EnvironmentFault, match="environment step 7: .*the motor burnt out"):
        dyna.step()
    assert dyna.env_step == dyna.real.size == 7  # nothing of it was stored


def test_bad_data_never_enters_the_buffer(cheap, monkeypatch):
    dyna = cheap()
    take(dyna, 3)
    result = np.array([0, np.nan, 0]), 0.0, False, False, {}
    monkeypatch.setattr(dyna.environment.task, "step", lambda action: result)
    with pytest.raises(EnvironmentFault, match="environment step 3: "):
        dyna.step()
    assert dyna.real.size == 3


def restore(dyna, directory):
    """Puts a loop in the state that a directory holds."""
    assert Checkpoints(directory, **dyna.state).restore() is not None
    dyna.thaw()


def restored_from(dyna, directory):
    """Returns a fresh loop with the state of another."""
    programs.save(dyna, directory)
    fresh = Dyna(dyna.config)
    restore(fresh, directory)
    return fresh


def test_environment_that_does_not_repeat_itself_is_reported_and_cut_off(tmp_path, caplog):
    dyna = Dyna(programs.tiny(name="programs:Unrepeatable-v0"))
    take(dyna, 30)
    with caplog.at_level(logging.WARNING):
        fresh = restored_from(dyna, tmp_path / "state")
    (warning,) = [
        record.getMessage() for record in caplog.records if "repeat" in record.getMessage()
    ]
    assert "environment step 30" in warning and "episode 1" in warning
    assert fresh.env_step == 30 and fresh.real.size == 30
    assert fresh.real.all().discount[-1] == 1.0  # as if by a time limit
    observation = fresh.environment.reset().observation
    assert fresh.environment.episode == 2
    assert (observation != dyna.interaction._time_step.observation).any()


def test_replay_that_ends_early_is_reported_and_cut_off(tmp_path, caplog):
    dyna = Dyna(programs.tiny(random_steps=60))
    take(dyna, 30)
    # 50 actions: more than an episode has.
    dyna.interaction._actions = dyna.interaction._actions * 10
    with caplog.at_level(logging.WARNING):
        fresh = restored_from(dyna, tmp_path / "state")
    (warning,) = [
        record.getMessage() for record in caplog.records if "cut off" in record.getMessage()
    ]
    assert "environment step 30" in warning and "ended after 25 of 50" in warning
    fresh.step()
    assert fresh.env_step == 31 and fresh.environment.episode == 2


# Where a run is left, and how many steps later it is compared: in the middle of an exploring
# episode, and on through the first fit; in the middle of a training episode, and on through a fit
# and the episode's end; at an episode's end.
POINTS = {28: 33, 46: 52, 75: 77}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A loop that ran uninterrupted, and its states at the steps above: a directory for each, and
    the bytes in it.
    """
    directory, states = tmp_path_factory.mktemp("states"), {}
    dyna = Dyna(programs.tiny())
    while dyna.env_step < max(POINTS.values()):
        dyna.step()
        step = dyna.env_step
        if step in (*POINTS, *POINTS.values()):
            states[step] = programs.saved_state(programs.save(dyna, directory / str(step)))
    return dyna, directory, states


def test_restored_loop_continues_to_the_same_bits(original, tmp_path):
    """The first time into a fresh loop; then over whatever the time before has left."""
    _, directory, states = original
    fresh = Dyna(programs.tiny())
    for start, end in POINTS.items():
        restore(fresh, directory / str(start))
        assert fresh.env_step == start
        assert (fresh.interaction._time_step is None) == (start == 75)
        take(fresh, end - start)
        actual = programs.saved_state(programs.save(fresh, tmp_path / str(end)))
        expected = states[end]
        assert actual.keys() == expected.keys() and len(actual) > 100
        assert [name for name in actual if actual[name] != expected[name]] == []
    for name in ("latest", "env_step"):
        assert getattr(fresh, name) == getattr(original[0], name)
    assert fresh.starts().tolist() == original[0].starts().tolist()


def test_training_changes_every_part_of_the_state(original):
    """What the comparison above compares does move."""
    _, _, states = original
    before, after = states[28], states[77]
    changed = {name.split("/")[0] for name in after if after[name] != before[name]}
    assert changed == {
        "agent",
        "trainer",
        "imagination",
        "real",
        "imagined",
        "interaction",
        "latest",
    }


@pytest.fixture(scope="module")
def learning():
    """A loop of an environment whose rule nobody wrote, with a loss that samples, and its state at
    step 46.
    """
    dyna = Dyna(
        programs.tiny(name="programs:Countdown-v0", termination="auto", loss="calibrated_itervaml")
    )
    take(dyna, 46)
    return dyna


def test_where_nobody_wrote_the_rule_it_is_learned(learning):
    assert learning.termination_kind == "learned"
    assert 0.5 <= learning.latest["model/termination_accuracy"] <= 1.0
    assert 0.0 <= learning.latest["model/termination_threshold"] <= 1.0
    left = tf.constant([[0.0], [3.0], [4.0], [5.0]])
    assert learning.termination(left).numpy().tolist() == [True, False, False, False]
    discount, after = (learning.imagined.all()[i].numpy() for i in (3, 4))
    assert (discount == 0.0).tolist() == learning.termination(tf.constant(after)).numpy().tolist()


def test_learned_termination_and_samples_continue_to_the_same_bits(learning, tmp_path):
    """A fresh loop takes over all of the state; the old one takes it back and goes on alike."""
    before = programs.saved_state(programs.save(learning, tmp_path / "before"))
    assert any(name.startswith("termination/") for name in before)
    fresh = restored_from(learning, tmp_path / "state")
    fresh = programs.saved_state(programs.save(fresh, tmp_path / "fresh"))
    assert fresh.keys() == before.keys()
    assert [name for name in fresh if fresh[name] != before[name]] == []
    states = []
    for name in ("one", "other"):
        take(learning, 8)  # through a fit at step 50
        states.append(programs.saved_state(programs.save(learning, tmp_path / name)))
        restore(learning, tmp_path / "before")
    assert states[0] != before
    assert [name for name in before if states[0][name] != states[1][name]] == []


def test_learned_termination_even_where_the_rule_is_known(cheap):
    assert cheap(termination="learned").termination_kind == "learned"
    assert cheap(name="Pendulum-v1", termination="auto").termination_kind == "known"
    assert cheap().termination_kind == "none" and "termination" not in cheap().state


@pytest.fixture
def healthy(original):
    """The loop above, as it was at environment step 77, whatever the test before did to it."""
    dyna, directory, _ = original
    restore(dyna, directory / "77")
    return dyna


def poison(variable, value):
    """Puts a value in the first place of a variable."""
    values = variable.numpy()
    values.flat[0] = value
    variable.assign(values)


@pytest.mark.parametrize(
    "choice, seen", [("all", [0, 1, 2, 3]), ("critics", [0, 1]), ("targets", [2, 3])]
)
def test_all_critics_that_were_chosen_enter_the_value_gradients(cheap, choice, seen):
    dyna = cheap(value_functions=choice)
    take(dyna, 20)
    data = dyna.real.all()
    before = dyna.trainer.prepare(data)["value_gradient"].numpy()
    assert before.shape == (20, 1, 3)  # one weight stands for all critics
    for i, critic in enumerate(dyna.agent._critics):
        kernel = critic.trainable_variables[-2]  # of Q: those of normalised layers have no size
        kept = kernel.numpy()
        kernel.assign(3.0 * kept)
        apart = np.abs(dyna.trainer.prepare(data)["value_gradient"] - before).max()
        assert (apart > 0.1 * np.abs(before).max()) == (i in seen)
        kernel.assign(kept)
    assert dyna.trainer.prepare(data)["value_gradient"].numpy().tolist() == before.tolist()


def test_losses_see_both_critics_and_no_target_unless_told_otherwise(cheap):
    dyna = cheap()
    assert dyna.config.model.value_functions == "critics"
    assert len(dyna.trainer._value_functions) == 2


@pytest.mark.parametrize("target", ["change", "state"])
def test_the_ensemble_predicts_the_target_that_was_chosen(cheap, target):
    dyna = cheap(model_target=target)
    head = dyna.ensemble._mean_head
    head.set_weights([np.zeros_like(weight) for weight in head.get_weights()])
    after = dyna.ensemble(tf.fill([3, 1, 3], 5.0), tf.zeros([3, 1, 1])).next_observation
    np.testing.assert_array_equal(after, np.full([3, 1, 3], 5.0 if target == "change" else 0.0))


def test_rollouts_draw_noise_where_the_loss_trains_it_unless_told_otherwise(cheap):
    assert cheap(loss="mle").imagination._noise
    assert not cheap(loss="mle", rollout_noise="off").imagination._noise
    assert not cheap(loss="vagram").imagination._noise
    assert cheap(loss="vagram", rollout_noise="on").imagination._noise


@pytest.mark.parametrize("critic", range(4))
def test_weight_that_is_not_a_number_stops_the_run(healthy, critic):
    assert len(healthy.agent._critics) == 4
    poison(healthy.agent._critics[critic].trainable_variables[0], np.nan)
    with pytest.raises(
        Diverged, match=r"is nan at environment step 78, not finite; its last good value was -?\d"
    ):
        healthy.step()


def test_actor_that_is_not_a_number_stops_the_run_before_it_acts(healthy):
    poison(healthy.agent.actor_variables[-1], np.nan)
    with pytest.raises(
        Diverged, match="^action is nan at environment step 77, not finite; its last good"
    ):
        healthy.step()
    assert healthy.env_step == 77


def test_model_that_is_not_a_number_stops_the_run(healthy):
    for variable in healthy.ensemble.trainable_variables:
        poison(variable, np.nan)
    healthy.ensemble.kernels[0].assign(tf.fill(healthy.ensemble.kernels[0].shape, np.nan))
    with pytest.raises(
        Diverged, match="^model/.* is nan at environment step 77, not finite; its last good"
    ):
        healthy._fit()


def test_critics_that_explode_stop_the_run(healthy):
    healthy.step()
    last_good = healthy.latest["train/q_max"]
    bias = healthy.agent._critics[0].trainable_variables[-1]
    bias.assign(bias + 1e6)
    with pytest.raises(
        Diverged, match="^q_max is .* at environment step 79, beyond the bound of "
    ) as stop:
        healthy.step()
    assert f"its last good value was {last_good:.6g}" in str(stop.value)


def test_time_is_told_by_phase(original):
    seconds = original[0].clock.seconds
    assert set(seconds) == {"collect", "fit", "imagine", "improve", "evaluate"}
    assert all(seconds[phase] > 0 for phase in ("collect", "fit", "imagine", "improve"))


def test_latest_metrics_of_a_step(original):
    latest = original[0].latest
    for name in (
        "train/critic_loss",
        "train/actor_loss",
        "train/ent_coef",
        "train/q_mean",
        "train/q_max",
        "train/imagined_share",
        "model/holdout_mse",
        "model/holdout_loss",
        "model/rollout_length",
        "model/rollout_dropped_share",
        "rollout/ep_rew_mean",
    ):
        assert np.isfinite(latest[name]), name
    assert latest["train/imagined_share"] == 1 - 1 / 16  # 0.95 of 16, rounded
    assert latest["model/rollout_length"] == 2


def test_distractors_of_the_study_have_the_same_dynamics_in_training_and_evaluation():
    """Equal starts lead to equal observations for a whole episode, the 15 distractors included."""
    _, content = study.read("distractors", "evening")
    config = next(run.config for run in study.runs(content) if run.setting == "vagram_15_nonlinear")
    dyna = Dyna(config.replace(eval_episodes=2))
    take(dyna, 30)
    dyna.evaluate()
    other = tasks.make(
        dataclasses.replace(config.env, distractor_seed=config.env.distractor_seed + 1)
    )
    actions = np.random.default_rng(0).uniform(-1.0, 1.0, [100, 3])
    training, *evaluations, different = (
        observations(env, actions)
        for env in (
            dyna.environment.task,
            *(each.task for each in dyna.environments.evaluation),
            other,
        )
    )
    assert training.shape == (1 + len(actions), 11 + 15) and len(evaluations) == 2
    for evaluation in evaluations:
        np.testing.assert_array_equal(training, evaluation)
    np.testing.assert_array_equal(training[:, :11], different[:, :11])
    assert np.all(np.any(training[:, 11:] != different[:, 11:], axis=0))


def observations(env, actions):
    """Returns what an environment answers to actions after a start with seed 5, past its end, too:
    `[H + 1, D]`.
    """
    found = [env.reset(seed=5)[0]]
    return np.array(found + [env.step(action)[0] for action in actions])
