"""The judgement of a policy, as a program: returns, interval, video, and what it refuses."""

import itertools
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import gymnasium
import imageio.v3 as imageio
import numpy as np
import programs
import pytest
import tensorflow as tf

import vagram_tf
from vagram_tf import seeding
from vagram_tf.commands import evaluate
from vagram_tf.commands.judging import film, imagination
from vagram_tf.commands.judging.playing import exported
from vagram_tf.commands.report import intervals
from vagram_tf.config import EnvConfig
from vagram_tf.envs import rendering
from vagram_tf.export.load import open_export

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def policy():
    _, directory = programs.finished_run()
    return directory / "export" / "policy" / "90"


def run(policy, *arguments):
    process = programs.program("evaluate", [f"--export={policy}", "--episodes=3", *arguments])
    assert process.returncode == 0, process.stderr
    assert programs.error_lines(process) == []
    return process.stdout


@pytest.fixture(scope="module")
def greedy(policy, tmp_path_factory):
    directory = tmp_path_factory.mktemp("greedy")
    stdout = run(
        policy.parents[2],
        f"--output={directory}/out.json",
        f"--video={directory}/out.gif",
        f"--imagination={directory}/beside.mp4",
        "--seed=5",
    )
    return stdout, json.loads((directory / "out.json").read_text()), directory / "out.gif"


def test_returns_are_those_of_the_real_environment(greedy, policy):
    _, report, _ = greedy
    module, returns = tf.saved_model.load(str(policy)), []
    for i in range(3):
        env = gymnasium.make("Short-v0")
        observation, _ = env.reset(
            seed=seeding.derive(seeding.derive(5, "evaluation", i), "episode", 0)
        )
        returns.append(0.0)
        for _ in range(25):
            action = module(observation[np.newaxis].astype(np.float32))["action"][0].numpy()
            observation, reward, *_ = env.step(action)
            returns[i] += reward
    np.testing.assert_allclose(report["returns"], returns, rtol=1e-4)
    assert report["lengths"] == [25, 25, 25] and len(set(report["returns"])) == 3


def test_newest_policy_of_a_run_is_taken_and_named(greedy, policy):
    assert greedy[0].startswith(f"export   {policy}\n")


def test_table_shows_the_numbers(greedy):
    stdout, report, _ = greedy
    assert "programs:Short-v0" in stdout and "3 episodes, greedy actions, seed 5" in stdout
    of = report["return"]
    shown = [
        float(number)
        for number in re.findall(r"-?[\d.]+", re.search(r"^return.*", stdout, re.MULTILINE)[0])
    ]
    expected = [of["mean"], *of["interval"], of["median"], of["min"], of["max"]]
    assert shown == [round(number, 1) for number in expected]
    assert of["min"] <= of["interval"][0] <= of["mean"] <= of["interval"][1] <= of["max"]


def test_video_shows_an_episode(greedy):
    stdout, _, path = greedy
    frames = imageio.imread(path)
    assert frames.shape[:3] == (26, 240, 240) and frames.std() > 10
    assert f"video    {path}    26 pictures, 0.9 s" in stdout


def test_imagination_is_drawn_beside_the_episode(greedy):
    stdout, _, path = greedy
    path = path.with_name("beside.mp4")
    frames = imageio.imread(path)
    assert frames.shape == (26, 24 + 224, 2 * 400 + 8, 3)  # plots of 400 x 224, a gap, captions
    assert (np.abs(frames[-1, 24:, :400].astype(int) - frames[-1, 24:, 408:]) > 50).any()
    assert f"imagined {path}    26 pictures, 0.9 s; 25 real steps, 25 imagined ones" in stdout


class Seen:
    """Notes what it is to draw."""

    frames_per_second = 60

    def __init__(self, *arguments):
        self.episodes = []

    def draw(self, observations):
        self.episodes.append(observations)
        return np.zeros([4, 6, 3], np.uint8)


def test_each_half_acts_on_what_it_sees(policy, monkeypatch, tmp_path):
    seen, env = Seen(), gymnasium.make("Short-v0")
    monkeypatch.setattr(imagination, "Pictures", lambda *arguments: seen)
    export, dynamics = open_export(policy, "policy"), policy.parents[1] / "dynamics" / policy.name
    imagination.film_beside(
        export, dynamics, env, lambda: exported(export, False, 0), 5, tmp_path / "out.gif"
    )
    # Of 60 steps per second every second one is drawn.
    assert list(map(len, seen.episodes)) == [n for n in range(1, 27, 2) for _ in range(2)]
    start, _ = env.reset(seed=seeding.first_evaluation(5))
    model = vagram_tf.LearnedEnv(dynamics, sample=False)
    model.reset(options={"state": start})
    for world, half in zip((env, model), seen.episodes[-2:], strict=True):
        np.testing.assert_array_equal(half[0], start)
        for before, after in itertools.pairwise(half):
            action = export.module(before[np.newaxis].astype(np.float32))["action"][0].numpy()
            np.testing.assert_allclose(world.step(action)[0], after, atol=1e-5)


def test_a_half_that_has_ended_stays_as_it_ended():
    long, short, seen = np.arange(6.0)[:, np.newaxis], np.arange(3.0)[:, np.newaxis], Seen()
    video = imagination._video(seen, [long, short])
    assert [episode[-1, 0] for episode in seen.episodes] == [0, 0, 2, 2, 4, 2]
    assert video.frames.shape == (3, 24 + 4, 6 + 8 + 6, 3) and video.frames_per_second == 30


def test_same_seed_same_bytes_with_sampled_actions(greedy, policy, tmp_path):
    for name in ("one", "two"):
        run(
            policy,
            f"--output={tmp_path}/{name}.json",
            f"--video={tmp_path}/{name}.mp4",
            "--seed=5",
            "--sample",
        )
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()
    report = json.loads((tmp_path / "one.json").read_text())
    assert report["actions"] == "sampled" and report["returns"] != greedy[1]["returns"]
    assert imageio.imread(tmp_path / "one.mp4").shape == (26, 240, 240, 3)


def test_without_opengl_there_is_a_reason_instead_of_a_video(policy, monkeypatch, capsys, tmp_path):
    def unavailable(*args):
        raise rendering.RenderingUnavailable("MuJoCo cannot draw without OpenGL: (libegl1)")

    monkeypatch.setattr(rendering, "rollout_frames", unavailable)
    monkeypatch.setattr(imagination, "Pictures", unavailable)
    export, path = open_export(policy, "policy"), tmp_path / "out.mp4"
    for draw in (
        lambda: film.film(EnvConfig("Hopper-v5"), None, 0, path),
        lambda: imagination.film_beside(export, policy, None, None, 0, path),
    ):
        draw()
        said = "no video: MuJoCo cannot draw without OpenGL: (libegl1)\n"
        assert capsys.readouterr() == ("", said)
    assert list(tmp_path.iterdir()) == []


def test_summary_of_two_values():
    """The mean of two draws from {0, 1} is 0 or 1 with probability 1/4 each, far more than 2.5
    %.
    """
    assert intervals.summary(np.array([0.0, 1.0]), seed=0) == {
        "mean": 0.5,
        "interval": [0.0, 1.0],
        "median": 0.5,
        "min": 0.0,
        "max": 1.0,
    }


def test_interval_of_many_values_is_the_normal_one():
    values = np.random.default_rng(0).normal(10.0, 2.0, 400)
    low, high = intervals.summary(values, seed=0)["interval"]
    half = 1.96 * values.std() / 20
    np.testing.assert_allclose([low, high], [values.mean() - half, values.mean() + half], atol=0.03)
    assert (
        intervals.summary(values, seed=0)["interval"]
        == [low, high]
        != intervals.summary(values, seed=1)["interval"]
    )


def test_interval_of_equal_values_and_of_one():
    assert intervals.summary(np.full(5, 7.0), seed=0)["interval"] == [7.0, 7.0]
    assert intervals.summary(np.array([7.0]), seed=0) == {
        "mean": 7.0,
        "interval": None,
        "median": 7.0,
        "min": 7.0,
        "max": 7.0,
    }


def test_what_is_no_policy_is_refused_in_one_line(policy, tmp_path):
    gone = shutil.copytree(policy, tmp_path / "gone")
    programs.rewrite_metadata(gone, environment="nosuchmodule:Gone-v0")
    smaller = shutil.copytree(policy, tmp_path / "smaller")
    programs.rewrite_metadata(smaller, observation_size=2)
    for arguments, words in [
        ([], "--export is needed"),
        ([f"--export={tmp_path}/nothing"], "is no export: it has no metadata.json"),
        (
            [f"--export={policy.parents[1]}/dynamics/90"],
            "is an export of kind 'dynamics'; expected is 'policy'",
        ),
        ([f"--export={gone}"], "nosuchmodule"),
        (
            [f"--export={policy}", "--video=out.avi"],
            "--video must end with .mp4 or .gif, got 'out.avi'",
        ),
        (
            [f"--export={policy}", "--imagination=out.png"],
            "--imagination must end with .mp4 or .gif, got 'out.png'",
        ),
        ([f"--export={policy}", "--output=/no/such/out.json"], "there is no directory /no/such"),
        ([f"--export={policy}", "--output=."], ". cannot be written: it is a directory"),
        ([f"--export={smaller}"], "is for observations of size 2; programs:Short-v0 has (3,)"),
        ([f"--export={policy}", "--episodes=0"], "episodes"),
    ]:
        assert words in programs.refused("evaluate", arguments), arguments


def test_planner_plays_the_same_episodes_beside_the_policy(policy, greedy, tmp_path):
    arguments = ["--episodes=3", "--seed=5", "--planner=cem", "--horizon=3", "--candidates=20"]
    arguments += [f"--export={policy.parents[2]}", f"--output={tmp_path}/out.json"]
    process = programs.program("evaluate", arguments)
    assert process.returncode == 0, process.stderr
    assert "planner, episode 3 of 3: -" in process.stderr
    stdout = process.stdout
    report = json.loads((tmp_path / "out.json").read_text())
    planner = report.pop("planner")
    assert report == greedy[1]
    assert planner["method"] == "cem" and planner["horizon"] == 3 and planner["terminal_value"]
    assert planner["dynamics"] == str(policy.parents[1] / "dynamics" / "90")
    assert planner["lengths"] == [25, 25, 25] and planner["returns"] != report["returns"]
    np.testing.assert_allclose(planner["return"]["mean"], np.mean(planner["returns"]))
    assert re.search(r"^return, cem +-?\d", stdout, re.MULTILINE)
    assert "plans per second" in stdout


def test_the_model_is_beside_the_policy_from_wherever_it_is_named(policy, monkeypatch):
    monkeypatch.chdir(policy)
    given = SimpleNamespace(export=Path("."), planner="cem")
    beside = policy.parents[1] / "dynamics" / "90"
    assert evaluate._dynamics(given, Path(".")) == beside
    monkeypatch.chdir(policy.parent)
    assert evaluate._dynamics(given, Path("90")) == evaluate._dynamics(given, policy) == beside


def test_planner_needs_a_model_with_its_signature(policy, tmp_path):
    directory = tmp_path / "run"
    shutil.copytree(policy.parents[2], directory)
    export = directory / "export" / "dynamics" / "90"
    signatures = json.loads((export / "metadata.json").read_text())["signatures"]
    del signatures["each"]
    programs.rewrite_metadata(export, signatures=signatures)
    line = programs.refused("evaluate", [f"--export={directory}", "--planner=cem"])
    assert "was exported by an earlier version, without the signature 'each'" in line
    judge = directory / "export" / "policy" / "90"
    programs.rewrite_metadata(export, signatures={"each": {}})
    programs.rewrite_metadata(judge, signatures={})
    line = programs.refused("evaluate", [f"--export={directory}", "--planner=cem"])
    assert "was exported by an earlier version, without the signature 'value'" in line
    shutil.rmtree(directory / "export" / "dynamics")
    for needy in ("--planner=cem", "--imagination=out.gif"):
        line = programs.refused("evaluate", [f"--export={directory}", needy])
        assert "is no export" in line
