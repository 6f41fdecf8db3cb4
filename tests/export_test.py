"""The exports, in a fresh process that has TensorFlow and nothing of ours: parity with the live
model and agent.
"""

import hashlib
import json
import os
import pathlib
import subprocess
import sys

import gymnasium
import keras
import numpy as np
import onnxruntime
import programs
import pytest
import tensorflow as tf
import tf2onnx.convert
from tf_agents.policies import policy_loader
from tf_agents.trajectories import time_step as ts

import vagram_tf
from vagram_tf import seeding
from vagram_tf.agent.sac import SoftActorCritic
from vagram_tf.config import AgentConfig, EnvConfig
from vagram_tf.envs import tasks
from vagram_tf.envs.action_range import ActionRange
from vagram_tf.export.dynamics import ExportedDynamics, start_states
from vagram_tf.export.policy import ExportedPolicy, TFAgentsPolicy
from vagram_tf.export.save import save
from vagram_tf.export.signatures import OBSERVATION, Exported, Signature, Value
from vagram_tf.model import known_termination
from vagram_tf.model.ensemble import DynamicsEnsemble
from vagram_tf.model.learned_termination import LearnedTermination
from vagram_tf.model.value_gradients import value_gradients
from vagram_tf.types import Transition

pytestmark = pytest.mark.slow

METADATA = {
    "environment": "InvertedPendulum-v5",
    "dimension_names": ["a", "b"],
    "seed": 3,
    "env_step": 40,
}
ELITES = (3, 1)  # best first, and not the first ones
HORIZON = 6

# Runs in the fresh process: loads both exports and stores what every signature says.
READER = """
import importlib.util, json, pathlib, sys
assert importlib.util.find_spec("vagram_tf") is None
import numpy as np, tensorflow as tf
directory = pathlib.Path(sys.argv[1])
given = dict(np.load(directory / "inputs.npz"))
observation, action, actions = (
    tf.constant(given[name]) for name in ("observation", "action", "actions"))
dynamics, policy = (
    tf.saved_model.load(str(directory / kind / "40")) for kind in ("dynamics", "policy"))
assert sorted(dynamics.signatures) == ["each", "members", "rollout", "sample", "serving_default"]
assert sorted(policy.signatures) == ["sample", "serving_default", "value"]
seeds = {"first": [1, 2], "again": [1, 2], "other": [1, 3]}
said = {
    "predict": dynamics(observation, action),
    "predict_signature": dynamics.signatures["serving_default"](
        observation=observation, action=action),
    "members": dynamics.members(observation, action),
    "members_signature": dynamics.signatures["members"](observation=observation, action=action),
    "rollout": dynamics.rollout(observation, actions),
    "rollout_signature": dynamics.signatures["rollout"](observation=observation, actions=actions),
    "policy": policy(observation),
    "policy_signature": policy.signatures["serving_default"](observation=observation),
    "value": policy.value(observation),
    "value_signature": policy.signatures["value"](observation=observation),
}
for name, seed in seeds.items():
    seed = tf.constant(seed, tf.int32)
    said["sample_" + name] = dynamics.sample(observation, action, seed)
    said["sample_signature_" + name] = dynamics.signatures["sample"](
        observation=observation, action=action, seed=seed)
    said["policy_sample_" + name] = policy.sample(observation, seed)
slopes = []
for critic in range(said["value"]["value"].shape[0]):
    with tf.GradientTape() as tape:
        tape.watch(observation)
        value = policy.value(observation)["value"][critic]
    slopes.append(tape.gradient(value, observation, unconnected_gradients="zero"))
said["differentiated"] = {"value": tf.stack(slopes)}
many = 20000
said["sample_many"] = dynamics.sample(
    tf.repeat(observation[:1], many, 0), tf.repeat(action[:1], many, 0),
    tf.constant([5, 6], tf.int32))
state, steps = observation, []
for h in range(actions.shape[1]):
    step = dynamics(state, actions[:, h])
    steps.append(step)
    state = step["next_observation"]
for name in ("next_observation", "reward", "terminated"):
    said.setdefault("by_hand", {})[name] = tf.stack([step[name] for step in steps], axis=1)
repeated = [
    np.repeat(array, 80, axis=0)[:1203] for array in (given["observation"], given["action"])]
said["predict_many"] = dynamics(*repeated)
said["predict_none"] = dynamics(repeated[0][:0], repeated[1][:0])
wide, wide_action = given["observation"].astype(np.float64), given["action"].astype(np.float64)
said["wide_predict"] = dynamics(wide, action)
said["wide_members"] = dynamics.members(tf.constant(wide), wide_action)
said["wide_rollout"] = dynamics.rollout(wide, given["actions"].astype(np.float64))
said["wide_sample_first"] = dynamics.sample(observation, wide_action, np.array([1, 2]))
said["wide_policy"] = policy(wide)
turned = tf.stack([observation, observation[::-1]]), tf.stack([action, action[::-1]])
said["each"] = dynamics.each(*turned)
said["rollout_none"] = dynamics.rollout(observation, actions[:, :0])

# Derivatives along a direction, by the tape and by differences, of sums of all that is smooth.
functions = {
    "call": lambda o, a: dynamics(o, a[:, 0]),
    "members": lambda o, a: dynamics.members(o, a[:, 0]),
    "each": lambda o, a: dynamics.each(tf.stack([o, o]), tf.stack([a[:, 0], a[:, 1]])),
    "sample": lambda o, a: dynamics.sample(o, a[:, 0], tf.constant([1, 2])),
    "rollout": lambda o, a: dynamics.rollout(o, a),
    "policy": lambda o, a: policy(o),
    "policy_sample": lambda o, a: policy.sample(o, tf.constant([1, 2])),
}
rng = np.random.default_rng(0)
inside = observation[7:9], 0.5 * actions[7:9, :2]
towards = [rng.normal(size=x.shape).astype(np.float32) for x in inside]
for name, function in functions.items():
    def total(o, a):
        return tf.add_n([tf.reduce_sum(x * (1.0 + k)) for k, x in enumerate(
            value for _, value in sorted(function(o, a).items()) if value.dtype == tf.float32)])
    def slope(o, a):
        with tf.GradientTape() as tape:
            tape.watch((o, a))
            value = total(o, a)
        return tf.add_n([
            tf.reduce_sum(g * d) for g, d in zip(
                tape.gradient(value, (o, a), unconnected_gradients="zero"), towards)])
    ends = [total(*(x + step * d for x, d in zip(inside, towards))) for step in (-1e-2, 1e-2)]
    said["slope_" + name] = {"differences": (ends[1] - ends[0]) / 2e-2, "eager": slope(*inside),
        "function": tf.function(slope, autograph=False)(*inside)}
    if name in ("call", "members", "each"):
        compiled = tf.function(slope, autograph=False, jit_compile=True)
        said["slope_" + name]["xla"] = compiled(*inside)
refused = {}
for name, call in {
    "rows": lambda: dynamics(observation[:3], action),
    "rows in a signature": lambda: dynamics.signatures["rollout"](
        observation=observation, actions=actions[1:]),
    "shape": lambda: dynamics(given["observation"][:, 1:], action),
    "rank": lambda: dynamics(given["observation"][0], action),
    "rank of actions": lambda: dynamics.rollout(observation, action),
    "NaN": lambda: dynamics(given["observation"] * np.nan, action),
    "NaN in a signature": lambda: dynamics.signatures["members"](
        observation=observation * np.nan, action=action),
    "infinite action": lambda: dynamics.members(observation, given["action"] + np.inf),
    "NaN for the policy": lambda: policy(given["observation"] * np.nan),
}.items():
    try:
        call()
        refused[name] = "nothing was refused"
    except tf.errors.InvalidArgumentError as error:
        refused[name] = str(error)
(directory / "refused.json").write_text(json.dumps(refused))
assert not [name for name in sys.modules if name.startswith(("vagram_tf", "tf_agents", "tf_keras"))]
np.savez(directory / "said.npz", **{
    f"{call}/{name}": value.numpy()
    for call, values in said.items() for name, value in values.items()})
"""


def randomized(variables, seed, scale):
    rng = np.random.default_rng(seed)
    for variable in variables:
        variable.assign(rng.normal(scale=scale, size=variable.shape).astype(np.float32))


class Models:
    """A live ensemble and a live agent with weights of their own in everything, and data of the
    task's shape.
    """

    def __init__(self):
        env = tasks.make(EnvConfig(METADATA["environment"]))
        self.space = env.action_space
        self.termination = known_termination.find(env)
        size, actions = env.observation_space.shape[0], env.action_space.shape[0]
        self.ensemble = DynamicsEnsemble(size, actions, 4, len(ELITES), (8, 8))
        randomized(self.ensemble.trainable_variables, 0, 0.3)
        rng = np.random.default_rng(1)
        observation = rng.normal(size=[50, size]).astype(np.float32) * 3 + 1
        action = rng.uniform(-1, 1, [50, actions]).astype(np.float32)
        self.ensemble.fit_normalizer(
            Transition(
                *(
                    tf.constant(x)
                    for x in (
                        observation,
                        action,
                        rng.normal(size=50).astype(np.float32),
                        np.ones(50, np.float32),
                        observation + 0.1 * rng.normal(size=[50, size]).astype(np.float32),
                    )
                )
            )
        )
        drift = np.zeros([4, 1, size + 1], np.float32)
        drift[:, 0, 1] = 0.06  # the pole falls steadily to one side
        mean, stddev = self.ensemble._target_mean, self.ensemble._target_stddev  # its units
        self.ensemble._mean_head.bias.assign((drift - mean) / stddev)
        self.ensemble._mean_head.kernel.assign(0.02 * self.ensemble._mean_head.kernel / stddev)
        self.ensemble.elites.assign(ELITES)
        self.agent = SoftActorCritic(size, actions, AgentConfig(agent_hidden_units=(8,)), seed=0)
        randomized(self.agent.actor_variables, 5, 0.7)
        randomized(self.agent.critic_variables, 6, 0.7)
        self.agent.normalize_by(tf.fill([size], 0.02), tf.fill([size], 1.5))
        self.observation = rng.normal(scale=0.1, size=[16, size]).astype(np.float32)
        self.observation[:, 1] = np.linspace(-0.19, 0.19, 16)
        self.high = float(env.action_space.high[0])
        self.action = rng.uniform(-1.3 * self.high, 1.3 * self.high, [16, actions]).astype(
            np.float32
        )
        self.actions = rng.uniform(-self.high, self.high, [16, HORIZON, actions]).astype(np.float32)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The live models, and what their exports say in a fresh process, by call: a dictionary of
    arrays each.
    """
    directory = tmp_path_factory.mktemp("exported")
    models = Models()
    action_range = ActionRange(models.space)
    dynamics = ExportedDynamics(
        models.ensemble, models.termination, action_range, models.observation[:3]
    )
    policy = ExportedPolicy(models.agent, models.observation.shape[1], action_range)
    save(dynamics, directory / "dynamics" / "40", METADATA)
    save(policy, directory / "policy" / "40", METADATA)
    tf_agents_policy = TFAgentsPolicy(models.agent, models.observation.shape[1], action_range)
    save(tf_agents_policy, directory / "tf_agents_policy" / "40", METADATA)
    np.savez(
        directory / "inputs.npz",
        observation=models.observation,
        action=models.action,
        actions=models.actions,
    )
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH" and not name.startswith("TF_USE")
    }
    process = subprocess.run(
        [sys.executable, "-I", "-c", READER, str(directory)],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert process.returncode == 0, process.stderr
    said = {}
    for key, value in np.load(directory / "said.npz").items():
        call, _, name = key.partition("/")
        said.setdefault(call, {})[name] = value
    return models, said, directory


def live_members(models, observation, action):
    """The live elites' predictions, best elite first, at actions in the environment's units."""
    unit = np.clip(action / models.high, -1, 1)
    copies = [len(ELITES), 1, 1]
    return models.ensemble(
        np.tile(observation, copies), np.tile(unit, copies), members=tf.constant(ELITES)
    )


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)


def test_members_equal_the_live_elites(exported):
    models, said, _ = exported
    live = live_members(models, models.observation, models.action)
    assert said["members"]["next_observation"].shape == (len(ELITES), *models.observation.shape)
    close(said["members"]["next_observation"], live.next_observation)
    close(said["members"]["reward"], live.reward)
    close(
        said["members"]["next_observation_stddev"], np.exp(0.5 * live.next_observation_log_variance)
    )
    close(said["members"]["reward_stddev"], np.exp(0.5 * live.reward_log_variance))
    # Members differ.
    assert np.abs(np.diff(said["members"]["next_observation"], axis=0)).max() > 1e-3


def test_prediction_is_the_mixture_of_the_elites(exported):
    models, said, _ = exported
    live = live_members(models, models.observation, models.action)
    mean = np.mean(live.next_observation, axis=0)
    variance = np.mean(np.exp(live.next_observation_log_variance), axis=0) + np.var(
        live.next_observation, axis=0
    )
    close(said["predict"]["next_observation"], mean)
    close(said["predict"]["next_observation_stddev"], np.sqrt(variance))
    close(said["predict"]["reward"], np.mean(live.reward, axis=0))
    assert said["predict"]["terminated"].dtype == bool
    assert (
        said["predict"]["terminated"].tolist()
        == models.termination(tf.constant(mean)).numpy().tolist()
    )


def test_actions_are_in_the_environments_units(exported):
    """What is out of bounds is clipped, as the environment does; what is within is not taken for
    [-1, 1].
    """
    models, said, _ = exported
    assert models.high == 3.0 and (np.abs(models.action) > models.high).any()
    wrong = models.ensemble(
        np.tile(models.observation, [2, 1, 1]),
        np.tile(np.clip(models.action, -1, 1), [2, 1, 1]),
        members=tf.constant(ELITES),
    )
    assert np.abs(wrong.reward - said["members"]["reward"]).max() > 1e-3


@pytest.mark.parametrize("call", ["predict", "members", "rollout", "policy", "value"])
def test_signatures_equal_the_methods(exported, call):
    _, said, _ = exported
    assert said[call].keys() == said[f"{call}_signature"].keys()
    for name, value in said[call].items():
        assert value.tolist() == said[f"{call}_signature"][name].tolist()


def test_policy_is_the_mode_in_the_environments_units(exported):
    models, said, _ = exported
    mode = models.agent.mode(tf.constant(models.observation)).numpy()
    close(said["policy"]["action"], models.high * mode)
    assert np.abs(said["policy"]["action"]).max() > 1.0  # reaches beyond [-1, 1]
    assert np.abs(said["policy"]["action"]).max() <= models.high


def test_sampled_actions_equal_the_live_policys(exported):
    models, said, _ = exported
    live = models.agent.sample(tf.constant(models.observation), tf.constant([1, 2], tf.int32))
    close(said["policy_sample_first"]["action"], models.high * live)
    # Not the greedy ones.
    assert (said["policy_sample_first"]["action"] != said["policy"]["action"]).any(axis=1).all()


def test_values_and_their_gradients_equal_the_live_critics(exported):
    models, said, _ = exported
    observation, functions = tf.constant(models.observation), models.agent.value_functions
    close(said["value"]["value"], [function(observation) for function in functions])
    gradient = np.moveaxis(value_gradients(functions, observation), 1, 0)  # [C, B, D]
    close(said["value"]["value_gradient"], gradient)
    assert said["value"]["value_gradient"].shape == (4, *models.observation.shape)
    assert np.ptp(said["value"]["value"], axis=0).min() > 1e-3  # critics differ


def test_values_of_an_export_can_be_differentiated(exported):
    """As the figures' models do, whose loss has its gradient from an export's values."""
    _, said, _ = exported
    assert np.abs(said["value"]["value_gradient"]).max() > 0.1
    np.testing.assert_allclose(
        said["differentiated"]["value"], said["value"]["value_gradient"], rtol=1e-4, atol=1e-5
    )


def test_export_of_a_policy_holds_every_variable_of_the_critics(exported):
    models, _, directory = exported
    stored = tf.train.load_checkpoint(str(directory / "policy/40/variables/variables"))
    values = [stored.get_tensor(name) for name in stored.get_variable_to_shape_map()]
    variables = [*models.agent.critic_variables, *models.agent.actor_variables]
    assert len(models.agent.critic_variables) == 4 * 6  # gains and offsets are among them
    for variable in variables:
        assert any(np.array_equal(value, variable) for value in values), variable.name


@pytest.mark.parametrize("call", ["sample", "policy_sample"])
def test_same_seed_same_draw(exported, call):
    _, said, _ = exported
    for name, value in said[f"{call}_first"].items():
        assert value.tolist() == said[f"{call}_again"][name].tolist()
        if name != "terminated":
            assert (value != said[f"{call}_other"][name]).any()
    if call == "sample":
        assert (
            said["sample_first"]["reward"].tolist()
            == said["sample_signature_first"]["reward"].tolist()
        )


def test_samples_have_the_predicted_moments(exported):
    """20,000 draws at one input: five standard errors."""
    models, said, _ = exported
    draws, predicted = said["sample_many"], said["predict"]
    error = predicted["next_observation_stddev"][0] / np.sqrt(len(draws["reward"]))
    assert (
        np.abs(draws["next_observation"].mean(axis=0) - predicted["next_observation"][0])
        < 5 * error
    ).all()
    np.testing.assert_allclose(
        draws["next_observation"].std(axis=0), predicted["next_observation_stddev"][0], rtol=0.05
    )
    live = live_members(models, models.observation[:1], models.action[:1])
    spread = np.sqrt(np.mean(np.exp(live.reward_log_variance)) + np.var(live.reward))
    np.testing.assert_allclose(draws["reward"].std(), spread, rtol=0.05)
    ended = models.termination(tf.constant(draws["next_observation"])).numpy()
    assert draws["terminated"].tolist() == ended.tolist()


def test_rollout_equals_stepping_by_hand_until_the_end(exported):
    models, said, _ = exported
    rollout, by_hand = said["rollout"], said["by_hand"]
    assert rollout["next_observation"].shape == (16, HORIZON, models.observation.shape[1])
    ends = []
    for i in range(16):
        ended = np.flatnonzero(by_hand["terminated"][i])
        length = int(ended[0]) + 1 if ended.size else HORIZON
        ends.append(ended.size > 0)
        assert rollout["length"][i] == length
        close(rollout["next_observation"][i, :length], by_hand["next_observation"][i, :length])
        close(rollout["reward"][i, :length], by_hand["reward"][i, :length])
        # After its end it stays where it is and earns nothing.
        stays = np.tile(rollout["next_observation"][i, length - 1], (HORIZON - length, 1))
        assert rollout["next_observation"][i, length:].tolist() == stays.tolist()
        assert rollout["reward"][i, length:].tolist() == [0.0] * (HORIZON - length)
        expected = [False] * (length - 1) + [bool(ended.size)] + [True] * (HORIZON - length)
        assert rollout["terminated"][i].tolist() == expected
    assert any(ends) and not all(ends) and len(set(rollout["length"].tolist())) > 3


def test_metadata_and_checksums(exported):
    _, _, directory = exported
    for kind in ("dynamics", "policy", "tf_agents_policy"):
        path = directory / kind / "40"
        assert json.loads((path / "metadata.json").read_text()).items() > METADATA.items()
        manifest = json.loads((path / "manifest.json").read_text())
        files = {str(p.relative_to(path)) for p in path.rglob("*") if p.is_file()} - {
            "manifest.json"
        }
        assert set(manifest) == files and {"saved_model.pb", "metadata.json"} < files
        assert ("start_states.npy" in files) == (kind == "dynamics")
        for name, digest in manifest.items():
            assert hashlib.sha256((path / name).read_bytes()).hexdigest() == digest


def test_export_holds_the_elites_alone_and_no_path_of_the_source(exported):
    models, _, directory = exported
    shapes = tf.train.load_checkpoint(
        str(directory / "dynamics/40/variables/variables")
    ).get_variable_to_shape_map()
    members = {shape[0] for name, shape in shapes.items() if len(shape) == 3}
    assert members == {len(ELITES)}
    stored = b"".join(p.read_bytes() for p in (directory / "dynamics" / "40").rglob("*.json"))
    assert str(pathlib.Path(vagram_tf.__file__).parent).encode() not in stored


@pytest.mark.parametrize(
    "name, words",
    [
        ("rows", "observation and action must have as many rows; they have] [3] [16]"),
        (
            "rows in a signature",
            "observation and actions must have as many rows; they have] [16] [15]",
        ),
        ("shape", "observation must have the shape [?, {D}]; its shape is] [16 {D-1}]"),
        ("rank", "observation must have the shape [?, {D}]; its shape is] [{D}]"),
        ("rank of actions", "actions must have the shape [?, ?, 1]; its shape is] [16 1]"),
        ("NaN", "observation must be finite : Tensor had NaN"),
        ("NaN in a signature", "observation must be finite : Tensor had NaN"),
        ("infinite action", "action must be finite : Tensor had Inf"),
        ("NaN for the policy", "observation must be finite : Tensor had NaN"),
    ],
)
def test_bad_input_is_refused_in_words(exported, name, words):
    models, _, directory = exported
    size = models.observation.shape[1]
    refused = json.loads((directory / "refused.json").read_text())
    assert words.replace("{D}", str(size)).replace("{D-1}", str(size - 1)) in refused[name]


@pytest.mark.parametrize("call", ["predict", "members", "rollout", "sample_first", "policy"])
def test_numbers_of_64_bits_are_taken(exported, call):
    _, said, _ = exported
    for name, value in said[call].items():
        np.testing.assert_array_equal(said[f"wide_{call}"][name], value)


def test_each_elite_predicts_rows_of_its_own(exported):
    _, said, _ = exported
    each, members = said["each"], said["members"]
    for name in ("next_observation", "reward"):
        close(each[name][0], members[name][0])
        close(each[name][1], members[name][1][::-1])
    assert each["terminated"].shape == each["reward"].shape


@pytest.mark.parametrize(
    "call",
    ["call", "members", "each", "sample", "rollout", "policy", "policy_sample"],
)
def test_loaded_export_can_be_differentiated(exported, call):
    """With respect to observations and actions; eager, in a function, and compiled."""
    _, said, _ = exported
    slopes = {name: float(value) for name, value in said[f"slope_{call}"].items()}
    expected = slopes.pop("differences")
    assert abs(expected) > 0.1 and slopes.keys() >= {"eager", "function"}
    for mode, slope in slopes.items():
        np.testing.assert_allclose(slope, expected, rtol=0.02, err_msg=mode)


def test_empty_horizon_gives_an_empty_trajectory(exported):
    models, said, _ = exported
    shapes = {name: value.shape for name, value in said["rollout_none"].items()}
    rows, size = models.observation.shape
    assert shapes == {
        "next_observation": (rows, 0, size),
        "reward": (rows, 0),
        "terminated": (rows, 0),
        "length": (rows,),
    }
    assert not said["rollout_none"]["length"].any()


def test_large_and_empty_batches(exported):
    models, said, _ = exported
    for name, value in said["predict"].items():
        many = np.repeat(value, 80, axis=0)[:1203]
        if value.dtype == bool:
            assert said["predict_many"][name].tolist() == many.tolist()
        else:
            close(said["predict_many"][name], many)
    assert said["predict_none"]["next_observation"].shape == (0, models.observation.shape[1])


def test_documentation_is_what_the_signatures_take_and_give(exported):
    _, _, directory = exported
    for kind in ("dynamics", "policy"):
        metadata = json.loads((directory / kind / "40" / "metadata.json").read_text())
        loaded = tf.saved_model.load(str(directory / kind / "40"))
        assert metadata["signatures"].keys() == loaded.signatures.keys()
        assert not hasattr(loaded, "documentation")  # which would be half of it
        for name, function in loaded.signatures.items():
            documented = metadata["signatures"][name]
            for values, specs in (
                (documented["inputs"], function.structured_input_signature[1]),
                (documented["outputs"], function.structured_outputs),
            ):
                assert values.keys() == specs.keys()
                for value, spec in zip(map(values.get, specs), specs.values(), strict=True):
                    assert value["meaning"] and value["dtype"] == spec.dtype.name
                    assert len(value["shape"]) == spec.shape.rank
                    for letter, size in zip(value["shape"], spec.shape, strict=True):
                        known = metadata["sizes"].get(
                            letter, int(letter) if letter.isdigit() else None
                        )
                        assert size in (None, known)


def test_tf_agents_loads_the_policy(exported):
    models, said, directory = exported
    policy = policy_loader.load(str(directory / "tf_agents_policy" / "40"))
    assert policy.action_spec.shape == (1,)
    for observation, action in zip(models.observation, said["policy"]["action"], strict=True):
        close(policy.action(ts.restart(observation)).action, action)


def cli(*arguments):
    process = programs.warm_python("-m", "tensorflow.python.tools.saved_model_cli", *arguments)
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_saved_model_cli(exported, tmp_path):
    """Also the layout that TensorFlow Serving takes: a numbered directory, and a signature named
    serving_default.
    """
    models, said, directory = exported
    shown = cli("show", "--dir", str(directory / "policy" / "40"), "--all")
    assert "signature_def['serving_default']" in shown
    assert "inputs['observation'] tensor_info" in shown
    inputs = ";".join(
        f"{name}={directory / 'inputs.npz'}[{name}]" for name in ("observation", "action")
    )
    cli(
        "run",
        "--dir",
        str(directory / "dynamics" / "40"),
        "--tag_set",
        "serve",
        "--signature_def",
        "serving_default",
        "--inputs",
        inputs,
        "--outdir",
        str(tmp_path),
    )
    for name, value in said["predict"].items():
        close(np.load(tmp_path / f"{name}.npy"), value)


def in_tensorflow_lite(directory, kind, signature, inputs):
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(directory / kind / "40"), signature_keys=[signature]
    )
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    return interpreter.get_signature_runner(signature)(**inputs)


def in_onnx(directory, kind, signature, inputs):
    path = directory / f"{kind}_{signature}.onnx"
    # The command's own main function, in this process.
    command = f"tf2onnx --saved-model {directory / kind / '40'} --signature_def {signature} "
    command += f"--tag serve --opset 17 --output {path}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", command.split())
        tf2onnx.convert.main()
    session = onnxruntime.InferenceSession(path)
    outputs = [output.name for output in session.get_outputs()]
    return dict(zip(outputs, session.run(None, inputs), strict=True))


@pytest.mark.parametrize("convert", [in_tensorflow_lite, in_onnx])
@pytest.mark.parametrize(
    "kind, signature, call",
    [
        ("dynamics", "serving_default", "predict"),
        ("dynamics", "members", "members"),
        ("policy", "serving_default", "policy"),
    ],
)
def test_converted_export_says_the_same(exported, kind, signature, call, convert):
    models, said, directory = exported
    inputs = {"observation": models.observation, "action": models.action}
    taken = list(inputs.items())[: 2 if kind == "dynamics" else 1]
    converted = convert(directory, kind, signature, dict(taken))
    assert converted.keys() == said[call].keys()
    for name, value in said[call].items():
        close(converted[name], value)


def test_export_is_a_layer_of_keras_3(exported):
    models, said, directory = exported
    path = str(directory / "dynamics" / "40")
    layer = keras.layers.TFSMLayer(path, call_endpoint="__call__")
    observation, action = (keras.Input(x.shape[1:]) for x in (models.observation, models.action))
    model = keras.Model([observation, action], layer(observation, action=action))
    predicted = model.predict([models.observation, models.action], verbose=0)
    for name, value in said["predict"].items():
        close(predicted[name], value)


def test_start_states_are_where_episodes_started():
    observation = np.arange(12.0)[:, np.newaxis]
    found = start_states(observation, np.isin(np.arange(12), [0, 4, 9]))
    assert found.tolist() == [[0.0], [4.0], [9.0]] and found.dtype == np.float32


def test_thousand_start_states_at_most():
    observation = np.arange(2500.0)[:, np.newaxis]
    kept = start_states(observation, np.ones(2500, bool))
    assert kept.shape == (1000, 1) and kept[0] == 0.0 and kept[-1] == 2499.0
    assert 2 <= np.diff(kept[:, 0]).min() and np.diff(kept[:, 0]).max() <= 3


def test_start_states_of_a_run():
    """90 steps in episodes of 25, which start as the environment does with the seeds of the run."""
    _, directory = programs.finished_run()
    states = np.load(
        directory / "export" / "dynamics" / "90" / "start_states.npy", allow_pickle=False
    )
    environment = tasks.make(EnvConfig("programs:Short-v0"))
    expected = [environment.reset(seed=seeding.derive(0, "episode", k))[0] for k in range(4)]
    assert states.tolist() == np.float32(expected).tolist()


@pytest.fixture
def ensemble():
    """One that is quick to save, and predicts that nothing changes."""
    found = DynamicsEnsemble(2, 1, 1, 1, (2,))
    for variable in found._mean_head.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    return found


def dynamics_of(ensemble, termination=known_termination.never):
    space = gymnasium.spaces.Box(-1.0, 1.0, (1,))
    return ExportedDynamics(ensemble, termination, ActionRange(space), np.zeros([1, 2], np.float32))


def constant(reward):
    """An export that is quicker still: of one function, which knows nothing but a reward."""

    def predict(observation, action):
        return {"reward": tf.fill(tf.shape(observation)[:1], reward)}

    inputs = {"observation": OBSERVATION, "action": Value("B A", "")}
    signature = Signature(predict, inputs, {"reward": Value("B", "")})
    return Exported("constant", [], {"serving_default": signature}, {"D": 2, "A": 1})


def reward_of(path):
    return tf.saved_model.load(str(path))([[0.0, 0.0]], [[0.0]])["reward"].numpy().tolist()


def test_a_learned_termination_leaves_with_the_dynamics(ensemble, tmp_path):
    tf.keras.utils.set_random_seed(0)
    termination = LearnedTermination(2, seed=0)
    observation = tf.constant(np.random.default_rng(0).normal(size=(50, 2)), tf.float32)
    termination._threshold.assign(np.median(termination._logit(observation)))
    expected = termination(observation).numpy().tolist()
    assert sum(expected) == 25
    save(dynamics_of(ensemble, termination.frozen()), tmp_path / "1", METADATA)
    loaded = tf.saved_model.load(str(tmp_path / "1"))
    assert loaded(observation, tf.zeros([50, 1]))["terminated"].numpy().tolist() == expected
    rolled = loaded.rollout(observation, tf.zeros([50, 2, 1]))
    assert rolled["length"].numpy().tolist() == [1 if ended else 2 for ended in expected]


def test_export_is_frozen_as_the_model_was(ensemble, tmp_path):
    bias = ensemble._mean_head.bias
    bias.assign([[[0.0, 0.0, 5.0]]])
    module = dynamics_of(ensemble)
    bias.assign([[[0.0, 0.0, 7.0]]])
    assert reward_of(save(module, tmp_path / "40", {})) == [5.0]


def test_existing_export_is_replaced(tmp_path):
    path = save(constant(5.0), tmp_path / "40", {"seed": 1})
    (path / "stray").touch()
    assert save(constant(6.0), tmp_path / "40", {"seed": 2}) == path
    assert reward_of(path) == [6.0]
    assert json.loads((path / "metadata.json").read_text())["seed"] == 2
    assert not (path / "stray").exists() and "stray" not in (path / "manifest.json").read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["40"]


@pytest.mark.parametrize(
    "target, error",
    [
        (
            "tensorflow.saved_model.save",
            tf.errors.ResourceExhaustedError(None, None, "No space left\n on device"),
        ),
        ("tensorflow.saved_model.save", OSError(28, "No space left on device")),
        ("vagram_tf.files.write", OSError(28, "No space left on device")),
    ],
)
def test_failed_export_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch, target, error):
    save(constant(5.0), tmp_path / "40", {})
    whole = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    def fail(*args, **kwargs):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(target, fail)
        with pytest.raises(OSError, match=f"cannot write the export {tmp_path}/40: ") as failure:
            save(constant(6.0), tmp_path / "40", {})
        assert "\n" not in str(failure.value)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == whole
    assert [p.name for p in tmp_path.iterdir()] == ["40"]


def test_action_range_is_its_own_inverse():
    space = gymnasium.spaces.Box(
        np.array([-2.0, 1.0], np.float32), np.array([2.0, 5.0], np.float32)
    )
    action_range = ActionRange(space)
    close(
        action_range.to_unit(tf.constant([[2.0, 1.0], [0.0, 3.0], [9.0, -9.0]])),
        [[1, -1], [0, 0], [1, -1]],
    )
    close(action_range.from_unit(tf.constant([[1.0, -1.0], [0.5, 0.5]])), [[2, 1], [1, 4]])
    unit = np.random.default_rng(0).uniform(-1, 1, [20, 2]).astype(np.float32)
    close(action_range.to_unit(action_range.from_unit(unit)), unit)
