"""The export that comes with the repository: small, of the present format, and good."""

import json

import numpy as np
import programs
import pytest

import vagram_tf
from vagram_tf.export.load import check_export, newest_of_run, open_export

pytestmark = pytest.mark.slow

RUN = programs.ROOT / "pretrained" / "InvertedPendulum-v5"
KINDS = ("dynamics", "policy", "tf_agents_policy")


def test_it_is_small():
    assert sum(path.stat().st_size for path in RUN.rglob("*") if path.is_file()) < 2e6


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_what_a_run_exports_now(kind):
    _, fresh = programs.finished_run()
    now = json.loads((fresh / "export" / kind / "90" / "metadata.json").read_text())
    shipped = check_export(RUN / "export" / kind / "3000", kind)
    assert shipped.keys() == now.keys()
    assert shipped["signatures"] == now["signatures"]


def test_its_policy_balances_in_its_model():
    policy = open_export(newest_of_run(RUN, "policy"), "policy").module
    env, total, ended = vagram_tf.LearnedEnv(RUN), 0.0, False
    observation, _ = env.reset(seed=0)
    while not ended:
        action = policy(observation[np.newaxis])["action"][0]
        observation, reward, terminated, truncated, _ = env.step(action)
        total, ended = total + reward, terminated or truncated
    assert 950 < total < 1050 and truncated
