"""A real TensorBoard over a finished run: its HTTP API has everything that the run has logged, and
a browser shows it.
"""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import programs
import pytest
from PIL import Image

from vagram_tf.config import FIELDS
from vagram_tf.run import descriptions

RUN = "programs-Short-v0/vagram/0"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.slow

IMAGES = {"value_gradient/sensitivity", "model/open_loop", "video/policy"}
HISTOGRAMS = {"train/value", "value_gradient/norms", "model/member_errors"}
PLUGINS = ("scalars", "histograms", "images")
KNOWN_SCALARS = {
    "rollout/ep_rew_mean",
    "rollout/ep_len_mean",
    "eval/mean_reward",
    "eval/mean_ep_length",
    "time/fps",
    "train/critic_loss",
    "train/actor_loss",
    "train/ent_coef",
    "train/q_mean",
    "model/holdout_mse",
    "value_gradient/norm",
    "value_gradient/clipped_share",
    "value_gradient/rms_task",
}


class Server:
    """TensorBoard over a directory, on a free port of the loopback interface."""

    def __init__(self, directory):
        variables = os.environ | {"PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tensorboard.main",
                f"--logdir={directory}",
                "--host=127.0.0.1",
                "--port=0",
            ],
            env=variables,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        for line in self.process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+/", line):
                self.address = found[0]
                return
        raise AssertionError(f"TensorBoard has ended: {self.process.wait()}")

    def read(self, path, body=None, **query):
        """Returns what the server answers, and the type of it."""
        address = f"{self.address}data/{path}?{urllib.parse.urlencode(query)}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=60) as response:
            return response.read(), response.headers["Content-Type"]

    def json(self, path, body=None, **query):
        return json.loads(self.read(path, body, **query)[0])


@pytest.fixture(scope="module")
def server():
    """Over the finished run's work directory; it reads in the background, the last images of a run
    last.
    """
    _, directory = programs.finished_run()
    server = Server(directory.parents[2])
    try:
        deadline = time.monotonic() + 120
        while set(server.json("plugin/images/tags").get(RUN, ())) != IMAGES:
            assert time.monotonic() < deadline, "TensorBoard has not read the run"
            time.sleep(0.5)
        yield server
    finally:
        server.process.terminate()
        server.process.communicate()


def logged(plugin):
    """Returns the steps of every tag of the finished run, for a TensorBoard plugin."""
    _, directory = programs.finished_run()
    steps = {}
    for step, tag, of, _ in programs.summaries(directory):
        if of == plugin:
            steps.setdefault(tag, []).append(step)
    return steps


def test_scalars(server):
    tags = server.json("plugin/scalars/tags")[RUN]
    assert KNOWN_SCALARS <= set(tags) and set(tags) == set(logged("scalars"))
    points = server.json("plugin/scalars/scalars", run=RUN, tag="eval/mean_reward")
    rows = programs.progress(programs.finished_run()[1])
    assert [(step, f"{value:.6g}") for _, step, value in points] == [
        (int(row["env_step"]), row["mean_return"]) for row in rows
    ]


def test_histograms(server):
    assert set(server.json("plugin/histograms/tags")[RUN]) == HISTOGRAMS
    for tag in HISTOGRAMS:
        points = server.json("plugin/histograms/histograms", run=RUN, tag=tag)
        # The fits.
        assert [step for _, step, _ in points] == [31, 51, 71] == logged("histograms")[tag]
        for _, _, buckets in points:
            assert sum(count for _, _, count in buckets) > 0


@pytest.mark.parametrize(
    "tag, kind",
    [("value_gradient/sensitivity", "png"), ("model/open_loop", "png"), ("video/policy", "gif")],
)
def test_images(server, tag, kind):
    (found,) = server.json("plugin/images/images", run=RUN, tag=tag, sample=0)
    assert [found["step"]] == [90] == logged("images")[tag]
    data, content_type = server.read(f"plugin/images/individualImage?{found['query']}&")
    assert content_type == f"image/{kind}"
    image = Image.open(io.BytesIO(data))
    image.load()
    assert image.n_frames == (26 if kind == "gif" else 1)  # the start, and an episode of 25 steps


def test_every_tag_is_described(server):
    told = {}
    for plugin in PLUGINS:
        told |= server.json(f"plugin/{plugin}/tags")[RUN]
    assert set(told) == {tag for plugin in PLUGINS for tag in logged(plugin)}
    assert [tag for tag, about in told.items() if not about["description"]] == []
    assert "discounted" in told["train/q_mean"]["description"]


def test_settings_as_a_table(server):
    assert server.json("plugin/text/tags")[RUN] == ["settings"]
    (text,) = server.json("plugin/text/text", run=RUN, tag="settings")
    rows = re.findall("<tr>(.*?)</tr>", text["text"], re.DOTALL)
    cells = [re.findall("<td>(.*?)</td>", row, re.DOTALL) for row in rows[1:]]  # below its head
    assert [name for name, *_ in cells] == list(FIELDS)
    shown = {name: value for name, value, _ in cells}
    assert shown["model_hidden_units"] == "16" and shown["name"] == "programs:Short-v0"
    assert shown["target_entropy"] == "unset"


def test_hparams(server):
    experiment = server.json("plugin/hparams/experiment", {})
    settings = descriptions.hparams(programs.tiny())
    named = [info["name"] for info in experiment["hparamInfos"]]
    assert set(named) == set(settings) and len(named) == len(FIELDS)
    assert named[:4] == ["Distractors", "Environment", "Loss", "Seed"]
    assert "eval/mean_reward" in {info["name"]["tag"] for info in experiment["metricInfos"]}
    request = {
        "startIndex": 0,
        "sliceSize": 10,
        "allowedStatuses": ["STATUS_UNKNOWN", "STATUS_RUNNING"],
        "colParams": [{"hparam": name, "includeInResult": True} for name in settings],
    }
    (group,) = server.json("plugin/hparams/session_groups", request)["sessionGroups"]
    assert len(group["sessions"]) == 1
    shown = group["hparams"]
    assert (
        shown["members"] == 3
        and shown["Loss"] == "vagram"
        and shown["Environment"] == "programs:Short-v0"
        and shown["feature_normalization"] is False
    )
    assert shown["rollout_schedule"] == "0.0,1.0,1.0,2.0" and shown["target_entropy"] == "unset"
    final = {metric["name"]["tag"]: metric["value"] for metric in group["metricValues"]}[
        "eval/mean_reward"
    ]
    assert f"{final:.6g}" == programs.progress(programs.finished_run()[1])[-1]["mean_return"]


@pytest.mark.skipif(BROWSER is None, reason="no browser: apt-get install chromium")
def test_browser_shows_runs_by_their_names_and_the_video_last(server, tmp_path):
    """Of the tab that opens first."""
    page = subprocess.run(
        [
            BROWSER,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-proxy-server",
            f"--user-data-dir={tmp_path}",
            "--virtual-time-budget=60000",
            "--dump-dom",
            f"{server.address}#timeseries",
        ],
        capture_output=True,
        text=True,
        timeout=300,
    ).stdout
    text = re.sub(
        r"\s+", " ", re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)
    )
    assert RUN in text and "tensorboard" not in text
    groups = re.findall(r'class="group-title" title="(\w+)"', page)
    assert groups[0] == "eval" and groups[-1] == "video"
