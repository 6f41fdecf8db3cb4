"""Data sets: what is kept, what is refused and in which words, and Minari's."""

import json

import gymnasium
import numpy as np
import pytest

from vagram_tf.config import EnvConfig
from vagram_tf.dataset import Dataset

EPISODE = np.array([7, 7, 7, 2, 2])


def arrays(**changes):
    """Two episodes of three and two steps, D = 2 and A = 1: the first terminates."""
    state = np.arange(14.0).reshape(7, 2)
    return {
        "observation": state[[0, 1, 2, 4, 5]],
        "action": np.array([[-1.0], [0.5], [0.0], [1.0], [2.0]]),
        "reward": np.arange(5.0),
        "next_observation": state[[1, 2, 3, 5, 6]],
        "terminated": np.array([False, False, True, False, False]),
        "episode": EPISODE,
        "action_low": np.array([-1.0]),
        "action_high": np.array([2.0]),
    } | changes


def write(path, **changes):
    """Writes them as another program would; None leaves an array out."""
    np.savez(path, **{k: v for k, v in arrays(**changes).items() if v is not None})
    return path


def changed(name, index, value):
    array = arrays()[name].copy()
    array[index] = value
    return {name: array}


def test_what_is_saved_is_loaded(tmp_path):
    environment = EnvConfig("Hopper-v5", distractors=3, distractor_kind="rotation", instances="one")
    data = Dataset(**arrays(), environment=environment)
    data.save(tmp_path / "data.npz")
    loaded = Dataset.load(tmp_path / "data.npz")
    assert loaded.environment == environment
    for name, array in arrays().items():
        np.testing.assert_array_equal(getattr(loaded, name), array)
    kinds = {name: getattr(loaded, name).dtype.name for name in ("reward", "terminated", "episode")}
    assert kinds == {"reward": "float32", "terminated": "bool", "episode": "int64"}


def test_episodes_are_found_and_taken_out():
    data = Dataset(**arrays())
    assert data.last.tolist() == [False, False, True, False, True]
    assert data.starts.tolist() == [True, False, False, True, False]
    second = data.of_episodes(np.array([2]))
    assert second.reward.tolist() == [3.0, 4.0] and second.action_high.tolist() == [2.0]
    assert data.of_episodes(np.array([2, 7])).episode.tolist() == EPISODE.tolist()


def test_terminated_may_be_numbers_and_actions_are_rounded_into_their_bounds():
    data = Dataset(**arrays(terminated=np.array([0, 0, 1, 0, 0])) | changed("action", 4, 2.0000002))
    assert data.terminated.tolist() == [False, False, True, False, False]
    assert data.action[4] == 2.0


def test_bounds_come_from_the_environment_where_the_file_has_none(tmp_path):
    environment = np.array(json.dumps({"environment": "Pendulum-v1"}))
    path = write(tmp_path / "x.npz", action_low=None, action_high=None, environment=environment)
    data = Dataset.load(path)
    assert (data.action_low, data.action_high) == ([-2.0], [2.0])
    assert data.environment == EnvConfig("Pendulum-v1")


OVERLAP = np.array([7, 2, 2, 7, 7])


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"reward": None, "episode": None}, "it lacks reward, episode; it holds action, action_"),
        ({"action_low": None}, "add the arrays action_low and action_high"),
        ({"reward": np.zeros(4)}, "reward is of the shape [4], where N is 5"),
        ({"next_observation": np.zeros([5, 3])}, "next_observation is of the shape [5, 3], where"),
        ({"reward": np.zeros([5, 1])}, "reward must be of the shape [N], and is of [5, 1]"),
        ({"observation": np.zeros([0, 2])}, "observation is empty"),
        ({"episode": EPISODE / 2}, "episode must be whole numbers, and has the dtype float64"),
        ({"terminated": np.full(5, 0.0)}, "terminated must be true or false"),
        ({"reward": np.array(["1"] * 5)}, "reward must be numbers, and has the dtype <U1"),
        ({"reward": np.array([{}] * 5)}, "is no .npz of arrays"),
        (changed("observation", (3, 1), np.nan), "observation[3, 1] is nan, and no finite"),
        (changed("reward", 4, 1e60), "reward[4] is 1e+60, and no finite float32"),
        (changed("action", 4, 2.1), "action[4, 0] is 2.1, out of its bounds -1 and 2"),
        ({"action_high": np.array([-1.0])}, "action_low must be below action_high"),
        ({"episode": OVERLAP, "terminated": np.zeros(5, bool)}, "episode 7 comes again at step 3"),
        (changed("terminated", 1, True), "step 1 of episode 7 terminated, and its episode goes on"),
        (changed("next_observation", 3, 0.0), "step 3 of episode 2 leads to another observation"),
        ({"environment": np.array("[1]")}, "its environment is not what collect writes"),
        ({"environment": np.array('{"environment": "A", "distractors": -1}')}, "distractors must"),
    ],
)
def test_what_cannot_be_used_is_refused_by_its_name(tmp_path, changes, words):
    path = write(tmp_path / "data.npz", **changes)
    with pytest.raises(ValueError) as refused:
        Dataset.load(path)
    assert words in str(refused.value) and str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


def test_what_is_no_file_of_arrays_is_refused(tmp_path):
    (tmp_path / "text.npz").write_text("reward")
    np.save(tmp_path / "one.npy", EPISODE)
    for name, words in (("no.npz", "is not there"), ("text.npz", "no .npz"), ("one.npy", "no .np")):
        with pytest.raises(ValueError, match=words):
            Dataset.load(tmp_path / name)


class TwoParts(gymnasium.Env):
    """Counts its steps and ends with the third."""

    observation_space = gymnasium.spaces.Dict(
        {
            "b": gymnasium.spaces.Box(-9.0, 9.0, (2,)),
            "a": gymnasium.spaces.Box(-9.0, 9.0, ()),
        }
    )
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._count = 0
        return self._observation(), {}

    def step(self, action):
        self._count += 1
        return self._observation(), 0.5, self._count == 3, False, {}

    def _observation(self):
        count = np.float32(self._count)
        return {"b": np.array([10 + count, 20 + count], np.float32) / 4, "a": np.array(count)}


@pytest.fixture
def minari(monkeypatch, tmp_path):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return pytest.importorskip("minari", reason="Minari is an extra")


def written(minari, dataset_id, env, episodes):
    """Plays random actions and leaves them as a local data set."""
    buffers = []
    for seed in range(episodes):
        rows, observations, ended = [], [env.reset(seed=seed)[0]], False
        while not ended:
            action = env.action_space.sample()
            after, reward, terminated, truncated, _ = env.step(action)
            observations.append(after)
            rows.append((action, reward, terminated, truncated))
            ended = terminated or truncated
        columns = [np.array(column) for column in zip(*rows, strict=True)]
        buffers.append(
            minari.data_collector.EpisodeBuffer(seed, seed, None, stacked(observations), *columns)
        )
    minari.create_dataset_from_buffers(
        dataset_id,
        buffers,
        env.spec,
        observation_space=env.observation_space,
        action_space=env.action_space,
    )


def stacked(observations):
    if isinstance(observations[0], dict):
        return {key: np.stack([each[key] for each in observations]) for key in observations[0]}
    return np.stack(observations)


@pytest.mark.filterwarnings("ignore")  # of what Minari would like to know of a data set
def test_minari_data_set_that_is_here(minari):
    from vagram_tf.commands.offline import minari_dataset

    env = gymnasium.make("Pendulum-v1", max_episode_steps=20)
    written(minari, "test/pendulum-v0", env, 2)
    data = minari_dataset.read("test/pendulum-v0")
    assert data.observation.shape == (40, 3) and not data.terminated.any()
    assert data.environment == EnvConfig("Pendulum-v1")
    assert np.flatnonzero(data.last).tolist() == [19, 39]
    assert data.action_low == [-2.0] and np.ptp(data.action) > 1.0


@pytest.mark.filterwarnings("ignore")
def test_minari_data_set_of_dictionaries_is_flattened_as_environments_are(minari):
    from vagram_tf.commands.offline import minari_dataset

    written(minari, "parts-v0", TwoParts(), 2)
    data = minari_dataset.read("parts-v0")
    flat = gymnasium.wrappers.FlattenObservation(TwoParts())
    np.testing.assert_array_equal(data.observation[0], flat.reset()[0])
    np.testing.assert_array_equal(data.next_observation[0], flat.step(None)[0])
    assert data.terminated.tolist() == [False, False, True] * 2 and data.environment is None


def test_minari_data_set_that_is_not_here_is_refused(minari, tmp_path):
    from vagram_tf.commands.offline import minari_dataset

    with pytest.raises(ValueError, match="there is no local Minari data set no/such-v0; minari"):
        minari_dataset.read("no/such-v0")
    assert list(tmp_path.iterdir()) == []
