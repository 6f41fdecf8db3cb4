"""The ring buffer against a deque, and its samples against the uniform distribution."""

from collections import deque

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from vagram_tf import replay as replay_module
from vagram_tf.replay import ReplayBuffer, follows
from vagram_tf.types import Transition

D, A = 3, 2


def numbered(*ids):
    """Returns transitions that tell everything about themselves: field f of transition i holds 100
    i + f.
    """
    ids = np.asarray(ids, np.float32).reshape(len(ids))
    base = 100.0 * ids[:, np.newaxis]
    return Transition(
        observation=base + np.arange(0, D, dtype=np.float32),
        action=base + np.arange(D, D + A, dtype=np.float32),
        reward=base[:, 0] + D + A,
        discount=base[:, 0] + D + A + 1,
        next_observation=base + np.arange(D + A + 2, D + A + 2 + D, dtype=np.float32),
    )


def ids_of(transition):
    """Returns the numbers of transitions with any leading axes, after checking that each is in one
    piece.
    """
    ids = np.round(transition.reward.numpy() / 100.0).astype(int)
    whole = numbered(*ids.ravel())
    for field, expected in zip(transition, whole, strict=True):
        np.testing.assert_array_equal(field.numpy().reshape(expected.shape), expected)
    return ids


def buffer(capacity, seed=0):
    return ReplayBuffer(D, A, capacity, seed)


def test_fields_come_back_as_they_went_in():
    replay = buffer(10)
    replay.add(numbered(1, 2, 3))
    stored = replay.all()
    assert [tuple(field.shape) for field in stored] == [(3, D), (3, A), (3,), (3,), (3, D)]
    assert all(field.dtype == tf.float32 for field in stored)
    assert ids_of(stored).tolist() == [1, 2, 3]


def test_wrap_around_overwrites_the_oldest_slot_by_slot():
    replay = buffer(5)
    replay.add(numbered(0, 1, 2))
    replay.add(numbered(3, 4, 5, 6))
    assert ids_of(replay.all()).tolist() == [5, 6, 2, 3, 4]
    replay.add(numbered(7))
    assert ids_of(replay.all()).tolist() == [5, 6, 7, 3, 4]
    assert replay.size == replay.capacity == 5


def test_of_more_than_the_capacity_only_the_newest_stay():
    replay = buffer(4)
    replay.add(numbered(0, 1, 2))
    replay.add(numbered(*range(3, 14)))
    assert sorted(ids_of(replay.all())) == [10, 11, 12, 13]
    replay.add(numbered(14))
    assert sorted(ids_of(replay.all())) == [11, 12, 13, 14]


def test_rows_grow_with_the_data_and_keep_it():
    replay = buffer(100_000)
    for start in (0, 1000, 2500):
        replay.add(numbered(*range(start, start + 1500)))
        assert ids_of(replay.all())[-1] == start + 1499
    assert replay.size == 4500
    assert 4500 <= len(replay._rows) < 10_000  # and not the capacity
    np.testing.assert_array_equal(
        ids_of(replay.all()), [*range(1500), *range(1000, 2500), *range(2500, 4000)]
    )


@settings(max_examples=60, deadline=None)
@given(
    capacity=st.integers(1, 9),
    operations=st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(0, 20)),
            st.tuples(st.just("resize"), st.integers(1, 12)),
        ),
        max_size=12,
    ),
)
def test_it_keeps_what_a_deque_keeps(capacity, operations):
    replay, model, added = buffer(capacity), deque(maxlen=capacity), 0
    for operation, number in operations:
        if operation == "add":
            replay.add(numbered(*range(added, added + number)))
            model.extend(range(added, added + number))
            added += number
        else:
            replay.resize(number)
            model = deque(model, maxlen=number)
        assert replay.size == len(model)
        assert sorted(ids_of(replay.all())) == list(model)
        if model:
            assert set(ids_of(replay.sample([50]))) <= set(model)


@pytest.mark.parametrize(
    "capacity, kept", [(3, [4, 5, 6]), (5, [2, 3, 4, 5, 6]), (8, [2, 3, 4, 5, 6])]
)
def test_resize_keeps_the_newest(capacity, kept):
    replay = buffer(5)
    replay.add(numbered(0, 1, 2, 3))
    replay.add(numbered(4, 5, 6))
    replay.resize(capacity)
    assert replay.capacity == capacity
    assert sorted(ids_of(replay.all())) == kept
    replay.add(numbered(7))
    assert sorted(ids_of(replay.all())) == [*kept, 7][-capacity:]


def test_samples_are_uniform_over_what_is_stored_and_nothing_else():
    replay = buffer(1000)
    replay.add(numbered(*range(20)))
    counts = np.bincount(ids_of(replay.sample([20_000])), minlength=20)
    assert len(counts) == 20
    assert scipy.stats.chisquare(counts).pvalue > 1e-4


def test_samples_are_uniform_after_wrapping_around():
    replay = buffer(7)
    replay.add(numbered(*range(7)))
    replay.add(numbered(*range(7, 11)))
    ids, counts = np.unique(ids_of(replay.sample([7000])), return_counts=True)
    assert ids.tolist() == list(range(4, 11))
    assert scipy.stats.chisquare(counts).pvalue > 1e-4


def test_samples_have_any_leading_axes():
    replay = buffer(10)
    replay.add(numbered(1, 2))
    batch = replay.sample([4, 6])
    assert [tuple(field.shape) for field in batch] == [
        (4, 6, D),
        (4, 6, A),
        (4, 6),
        (4, 6),
        (4, 6, D),
    ]
    assert set(ids_of(batch).ravel()) == {1, 2}
    assert len({tuple(row) for row in ids_of(batch)}) > 1  # not one row repeated
    assert replay.sample([2, 0]).reward.shape == (2, 0)


def test_rows_have_the_fields_in_order():
    replay = buffer(10)
    replay.add(numbered(3))
    rows = replay.sample_rows([2, 1])
    assert rows.tolist() == [[[300.0 + field for field in range(2 * D + A + 2)]]] * 2
    assert ids_of(replay.unpack(rows)).tolist() == [[3], [3]]


def test_what_was_handed_out_does_not_change():
    replay = buffer(4)
    replay.add(numbered(0, 1, 2, 3))
    stored, sampled = replay.all(), replay.sample_rows([20])
    before = sampled.copy()
    replay.add(numbered(*range(4, 8)))
    replay.resize(1)
    replay.resize(100_000)
    replay.add(numbered(*range(8, 5000)))
    assert ids_of(stored).tolist() == [0, 1, 2, 3] and (sampled == before).all()


@pytest.mark.parametrize("count", [1, 2, 7, 12, 13])
@pytest.mark.parametrize("block", [1, 3, 100])
def test_rows_are_rotated_in_place(count, block, monkeypatch):
    monkeypatch.setattr(replay_module, "_BLOCK", block)
    for first in range(count):
        rows = np.arange(2.0 * count).reshape(count, 2)
        expected = np.roll(rows, -first, axis=0)
        replay_module._rotate(rows, first)
        np.testing.assert_array_equal(rows, expected)


def test_an_empty_buffer_refuses_to_be_sampled():
    replay = buffer(10)
    with pytest.raises(ValueError, match="empty"):
        replay.sample([2])
    replay.add(numbered())
    with pytest.raises(ValueError, match="empty"):
        replay.sample([2])
    assert replay.size == 0 and replay.all().observation.shape == (0, D)
    assert replay.sample([2, 0]).reward.shape == (2, 0)  # none is none


def test_equal_seeds_draw_equal_samples():
    replays = [buffer(100, seed) for seed in (1, 1, 2)]
    for replay in replays:
        replay.add(numbered(*range(100)))
    first, same, other = (ids_of(replay.sample([3, 30])).ravel().tolist() for replay in replays)
    assert first == same != other
    assert first != ids_of(replays[0].sample([3, 30])).ravel().tolist()


def test_a_checkpoint_holds_position_and_generator_and_a_file_the_rows(tmp_path):
    replay, fresh = buffer(5, seed=1), buffer(3, seed=2)
    replay.add(numbered(*range(7)))
    replay.sample([4])
    path = tf.train.Checkpoint(replay=replay).save(tmp_path / "replay")
    replay.save(tmp_path / "rows.npy")
    tf.train.Checkpoint(replay=fresh).restore(path).assert_consumed()
    fresh.load(tmp_path / "rows.npy")
    assert fresh.capacity == 5
    for _ in range(2):
        assert ids_of(fresh.all()).tolist() == ids_of(replay.all()).tolist()
        assert ids_of(fresh.sample([30])).tolist() == ids_of(replay.sample([30])).tolist()
        for each in (replay, fresh):
            each.add(numbered(7, 8))


def test_rows_of_another_buffer_are_refused(tmp_path):
    replay, other = buffer(5), buffer(5)
    replay.add(numbered(1, 2))
    replay.save(tmp_path / "rows.npy")
    other.add(numbered(1, 2, 3))
    with pytest.raises(ValueError, match="not 3 transitions"):
        other.load(tmp_path / "rows.npy")
    with pytest.raises(OSError):
        other.load(tmp_path / "gone.npy")
    assert ids_of(other.all()).tolist() == [1, 2, 3]


def test_a_file_of_rows_is_read_as_a_full_buffer(tmp_path):
    replay = buffer(3)
    replay.add(numbered(1, 2, 3, 4))
    replay.save(tmp_path / "rows.npy")
    sizes = replay.all().observation.shape[-1], replay.all().action.shape[-1]
    read = ReplayBuffer.read(tmp_path / "rows.npy", *sizes)
    assert read.size == read.capacity == 3
    for field, expected in zip(read.all(), replay.all(), strict=True):
        np.testing.assert_array_equal(field, expected)
    with pytest.raises(ValueError, match="not 3 transitions"):
        ReplayBuffer.read(tmp_path / "rows.npy", sizes[0] + 1, sizes[1])


@pytest.mark.parametrize(
    "content, words", [(b"", "is empty"), (np.zeros([]), r"holds \(\), no transitions")]
)
def test_a_file_without_rows_is_refused(tmp_path, content, words):
    path = tmp_path / "real.npy"
    path.write_bytes(content) if isinstance(content, bytes) else np.save(path, content)
    with pytest.raises(ValueError, match=words):
        ReplayBuffer.read(path, 3, 1)


def test_fields_of_other_shapes_are_refused():
    replay = buffer(10)
    replay.add(numbered(0))
    good = numbered(1, 2)
    for bad in (
        good._replace(reward=good.reward[:, np.newaxis]),
        good._replace(discount=good.discount[:1]),
        good._replace(action=good.action[:, :1]),
    ):
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
            replay.add(bad)
        assert ids_of(replay.all()).tolist() == [0]


def test_a_step_follows_another_of_its_episode_alone():
    """An episode of two steps that terminates, one that is left after two, and the start of a
    third.
    """
    steps = Transition(
        observation=tf.constant([[0.0], [1.0], [2.0], [3.0], [9.0]]),
        action=tf.zeros([5, 1]),
        reward=tf.zeros(5),
        discount=tf.constant([1.0, 0.0, 1.0, 1.0, 1.0]),
        next_observation=tf.constant([[1.0], [2.0], [3.0], [4.0], [10.0]]),
    )
    assert follows(steps).tolist() == [True, False, True, False, False]
