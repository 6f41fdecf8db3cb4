"""The configuration: what it refuses, and that JSON keeps all of it."""

import dataclasses
import json
import math
import typing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vagram_tf import presets
from vagram_tf.config import (
    DISTRACTOR_KINDS,
    FIELDS,
    LOSSES,
    MODEL_TARGETS,
    ROLLOUT_NOISES,
    SECTIONS,
    TERMINATIONS,
    VALUE_FUNCTIONS,
    VALUE_GRADIENT_SCALES,
    VALUE_GRADIENT_WEIGHTS,
    Config,
)

NAN, INF = math.nan, math.inf

IMPOSSIBLE = [
    # environment
    ({"distractors": -1}, "distractors must be at least 0, got -1"),
    ({"distractor_seed": -1}, "distractor_seed must be at least 0, got -1"),
    ({"distractor_kind": "loud"},
     "distractor_kind must be one of linear, nonlinear, noise, correlated, rotation, bystander, "
     "got 'loud'"),
    ({"termination": "maybe"}, "termination must be one of auto, none, learned, got 'maybe'"),
    # model
    ({"loss": "vagran"}, "loss must be one of .*, calibrated_itervaml, taylor, vagram, or module:name, got 'vagran'"),
    ({"value_samples": 1}, "value_samples must be at least 2, got 1"),
    ({"variance_bounds": "free"}, "variance_bounds must be one of relative, absolute, fixed, got 'free'"),
    ({"value_functions": "both"}, "value_functions must be one of all, critics, targets, got 'both'"),
    ({"model_averaging": 1.0}, r"model_averaging must be within \[0, 1\), got 1"),
    ({"value_gradient_weights": "critic"},
     "value_gradient_weights must be one of separable, dimension, agreement, example, got 'critic'"),
    ({"value_gradient_weights": "agreement", "value_functions": "all"},
     "value_functions must be critics or targets, got 'all'"),
    ({"model_target": "delta"}, "model_target must be one of change, state, got 'delta'"),
    ({"loss": ""}, "loss must be one of"),
    ({"members": 0}, "members must be at least 1, got 0"),
    ({"elites": 0}, "elites must be at least 1, got 0"),
    ({"members": 3, "elites": 4}, r"elites \(4\) must not exceed members \(3\)"),
    ({"members": 4}, r"elites \(5\) must not exceed members \(4\)"),
    ({"model_batch_size": 0}, "model_batch_size must be at least 1, got 0"),
    ({"patience": 0}, "patience must be at least 1, got 0"),
    ({"patience_steps": 0}, "patience_steps must be at least 1, got 0"),
    ({"max_fit_steps": 0}, "max_fit_steps must be at least 1, got 0"),
    ({"max_holdout": 0}, "max_holdout must be at least 1, got 0"),
    ({"model_hidden_units": ()}, "model_hidden_units needs at least one layer of at least one unit"),
    ({"model_hidden_units": (200, 0)}, r"model_hidden_units needs at least one layer .* got \(200, 0\)"),
    ({"model_learning_rate": 0.0}, "model_learning_rate must be above 0, got 0"),
    ({"model_learning_rate": NAN}, "model_learning_rate must be above 0, got nan"),
    ({"model_learning_rate": INF}, "model_learning_rate must be above 0, got inf"),
    ({"holdout_share": 0.0}, "holdout_share must be above 0, got 0"),
    ({"holdout_share": 0.95}, r"holdout_share must be within \[0, 0.9\], got 0.95"),
    ({"value_gradient_quantile": 0.0}, "value_gradient_quantile must be above 0, got 0"),
    ({"value_gradient_quantile": 1.5}, r"value_gradient_quantile must be within \[0, 1\], got 1.5"),
    ({"model_weight_decay": -1e-9}, "model_weight_decay must be at least 0, got -1e-09"),
    ({"reward_weight": -1.0}, "reward_weight must be at least 0, got -1"),
    ({"reward_weight": INF}, "reward_weight must be at least 0, got inf"),
    ({"warm_up_epochs": -0.5}, "warm_up_epochs must be at least 0, got -0.5"),
    ({"value_gradient_scale": "mean"}, "value_gradient_scale must be one of rms, none, got 'mean'"),
    # agent
    ({"agent_hidden_units": (0,)}, "agent_hidden_units needs at least one layer of at least one unit"),
    ({"actor_learning_rate": -1.0}, "actor_learning_rate must be above 0, got -1"),
    ({"critic_learning_rate": 0.0}, "critic_learning_rate must be above 0, got 0"),
    ({"temperature_learning_rate": 0.0}, "temperature_learning_rate must be above 0, got 0"),
    ({"initial_temperature": 0.0}, "initial_temperature must be above 0, got 0"),
    ({"target_update_rate": 0.0}, "target_update_rate must be above 0, got 0"),
    ({"target_update_rate": 1.1}, r"target_update_rate must be within \[0, 1\], got 1.1"),
    ({"target_entropy": INF}, "target_entropy must be finite, got inf"),
    ({"discount": 1.0}, r"discount must be within \[0, 1\), got 1"),
    ({"discount": -0.1}, r"discount must be within \[0, 1\), got -0.1"),
    ({"discount": NAN}, r"discount must be within \[0, 1\), got nan"),
    ({"target_update_period": 0}, "target_update_period must be at least 1, got 0"),
    ({"agent_batch_size": 0}, "agent_batch_size must be at least 1, got 0"),
    # Dyna
    ({"num_steps": 0}, "num_steps must be at least 1, got 0"),
    ({"num_steps": -5}, "num_steps must be at least 1, got -5"),
    ({"random_steps": 0}, "random_steps must be at least 1, got 0"),
    ({"random_steps": 9}, "random_steps must be at least 10, to fit a first model on, got 9"),
    ({"epoch_length": 0}, "epoch_length must be at least 1, got 0"),
    ({"retrain_every": 0}, "retrain_every must be at least 1, got 0"),
    ({"updates_per_step": 0}, "updates_per_step must be at least 1, got 0"),
    ({"rollouts_per_step": 0}, "rollouts_per_step must be at least 1, got 0"),
    ({"retain_epochs": 0}, "retain_epochs must be at least 1, got 0"),
    ({"replay_capacity": 0}, "replay_capacity must be at least 1, got 0"),
    ({"rollout_schedule": (150, 20, 1, 15)}, "rollout_schedule runs backwards: from epoch 150 to epoch 20"),
    ({"rollout_schedule": (0, 1, 0, 15)}, r"rollout_schedule must stay within \[1, 1000\], got 0"),
    ({"imagined_share": (20, 0, 0, 0.95)}, "imagined_share runs backwards: from epoch 20 to epoch 0"),
    ({"imagined_share": (0, 20, 0, 1.01)}, r"imagined_share must stay within \[0, 1\], got 1.01"),
    ({"rollout_model": "perfect"}, "rollout_model must be one of learned, simulator, none, got 'perfect'"),
    ({"rollout_shrinkage": 1.1}, r"rollout_shrinkage must be within \[0, 1\], got 1.1"),
    ({"rollout_shrinkage": NAN}, r"rollout_shrinkage must be within \[0, 1\], got nan"),
    ({"rollout_noise": "yes"}, "rollout_noise must be one of auto, on, off, got 'yes'"),
    # run
    ({"seed": -1}, "seed must be at least 0, got -1"),
    ({"export_every": -1}, "export_every must be at least 0, got -1"),
    ({"checkpoint_every": -1}, "checkpoint_every must be at least 0, got -1"),
    ({"eval_every": 0}, "eval_every must be at least 1, got 0"),
    ({"eval_episodes": 0}, "eval_episodes must be at least 1, got 0"),
    ({"divergence_factor": 0.5}, "divergence_factor must be at least 1, got 0.5"),
    ({"divergence_factor": NAN}, "divergence_factor must be at least 1, got nan"),
]


@pytest.mark.parametrize("changes, message", IMPOSSIBLE, ids=[str(changes) for changes, _ in IMPOSSIBLE])
def test_an_impossible_value_is_refused_in_one_sentence(changes, message):
    with pytest.raises(ValueError, match=message) as error:
        Config().replace(**changes)
    assert "\n" not in str(error.value)


def test_every_number_has_a_lower_end():
    # A setting that is added later must be validated, too.
    for name, field in FIELDS.items():
        if field.type in (int, float):
            with pytest.raises(ValueError, match=name):
                Config().replace(**{name: field.type(-10**6)})


def test_values_at_the_edge_are_accepted():
    settings = dict(
        members=1, elites=1, random_steps=10, holdout_share=0.9, value_gradient_quantile=1.0, discount=0.0,
        target_update_rate=1.0, distractors=0, model_weight_decay=0.0, reward_weight=0.0, warm_up_epochs=0.0,
        loss="my.module:huber", target_entropy=None, divergence_factor=1.0, imagined_share=(0, 0, 0, 1),
        rollout_schedule=(5, 5, 1, 1000))
    accepted = Config().replace(**settings).flat()
    assert {name: accepted[name] for name in settings} == settings


def test_defaults_that_differ_from_the_papers():
    model, agent = Config().model, Config().agent
    assert (model.value_functions, model.value_gradient_weights) == ("critics", "separable")
    assert (model.model_target, model.reward_weight) == ("change", 0.1)
    assert agent.layer_normalization


def test_replace_finds_the_section_and_leaves_the_original():
    config = Config()
    changed = config.replace(loss="mle", discount=0.9, seed=4, name="Hopper-v5", num_steps=7)
    assert changed.model.loss == "mle" and changed.agent.discount == 0.9 and changed.run.seed == 4
    assert changed.env.name == "Hopper-v5" and changed.dyna.num_steps == 7
    assert config == Config()
    assert {name for name, value in changed.flat().items() if value != config.flat()[name]} == {
        "loss", "discount", "seed", "name", "num_steps"}


def test_replace_changes_what_depends_on_each_other_at_once():
    assert Config().replace(members=3, elites=2).replace(elites=7, members=9).model.members == 9


def test_replace_refuses_unknown_settings():
    with pytest.raises(ValueError, match="there is no setting 'los'"):
        Config().replace(los="mle")
    with pytest.raises(ValueError, match="there is no setting 'model'"):
        Config().replace(model=None)


def test_a_configuration_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().model.members = 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().run = None


def test_setting_names_are_unique_and_described():
    assert len(FIELDS) == sum(len(dataclasses.fields(section)) for section in SECTIONS.values())
    assert all(field.help for field in FIELDS.values())


positive = st.floats(0, 1e6, exclude_min=True)
layers = st.lists(st.integers(1, 4096), min_size=1, max_size=5).map(tuple)


@st.composite
def schedules(draw, low, high):
    epochs = sorted(draw(st.tuples(*[st.floats(0, 1e4) | st.integers(0, 10**4)] * 2)))
    return (*epochs, *draw(st.tuples(*[st.floats(low, high) | st.integers(low, high)] * 2)))


@st.composite
def configs(draw):
    members = draw(st.integers(1, 20))
    elites = draw(st.integers(1, members))
    rule = draw(st.sampled_from(VALUE_GRADIENT_WEIGHTS))
    functions = draw(st.sampled_from(
        [x for x in VALUE_FUNCTIONS if (rule, x) != ("agreement", "all")]))
    return Config().replace(members=members, elites=elites, value_gradient_weights=rule,
                            value_functions=functions, **draw(st.fixed_dictionaries({}, optional={
        "name": st.text(),
        "distractors": st.integers(0, 10**6),
        "distractor_kind": st.sampled_from(DISTRACTOR_KINDS),
        "termination": st.sampled_from(TERMINATIONS),
        "loss": st.sampled_from(LOSSES) | st.text().map("a:{}".format),
        "model_hidden_units": layers,
        "model_learning_rate": positive,
        "holdout_share": st.floats(0, 0.9, exclude_min=True),
        "value_gradient_scale": st.sampled_from(VALUE_GRADIENT_SCALES),
        "model_target": st.sampled_from(MODEL_TARGETS),
        "value_gradient_quantile": st.floats(0, 1, exclude_min=True),
        "reward_weight": st.floats(0, 1e9),
        "agent_hidden_units": layers,
        "feature_normalization": st.booleans(),
        "layer_normalization": st.booleans(),
        "observation_normalization": st.booleans(),
        "target_entropy": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "discount": st.floats(0, 1, exclude_max=True),
        "num_steps": st.integers(1, 10**12),
        "rollout_schedule": schedules(1, 1000),
        "imagined_share": schedules(0, 1),
        "rollout_noise": st.sampled_from(ROLLOUT_NOISES),
        "seed": st.integers(0, 2**70),
        "divergence_factor": st.floats(1, 1e300),
    })))


@settings(max_examples=40, deadline=None)
@given(configs())
def test_json_keeps_everything(config):
    again = Config.from_json(config.to_json())
    assert again == config
    assert again.to_json() == config.to_json()
    assert hash(again) == hash(config)  # tuples and not lists


numbers = st.sampled_from([name for name, field in FIELDS.items() if field.type in (int, float)]).flatmap(
    lambda name: st.tuples(
        st.just(name), st.integers(-(2**70), 2**70) if FIELDS[name].type is int else st.floats()))


@settings(max_examples=200, deadline=None)
@given(numbers)
def test_any_number_is_taken_as_it_is_or_refused_by_name(change):
    name, number = change
    try:
        config = Config().replace(**{name: number})
    except ValueError as error:
        assert name in str(error) and "\n" not in str(error)
    else:
        assert math.isfinite(number) and config.flat() == Config().flat() | {name: number}
        assert Config.from_json(config.to_json()) == config


def test_json_has_every_setting_by_section():
    sections = json.loads(Config().to_json())
    assert {section: list(values) for section, values in sections.items()} == {
        name: [field.name for field in dataclasses.fields(section)] for name, section in SECTIONS.items()}


def test_json_may_leave_settings_out():
    assert Config.from_json('{"model": {"loss": "mle"}}') == Config().replace(loss="mle")
    assert Config.from_json("{}") == Config()


@pytest.mark.parametrize("text, message", [
    ("", "not a configuration: "),
    ("{", "not a configuration: "),
    ("[]", "not a configuration: the JSON holds no object"),
    ("3", "not a configuration: the JSON holds no object"),
    ('{"modle": {}}', "not a configuration: unknown section 'modle'"),
    ('{"model": 3}', "not a configuration: unknown section 'model'"),
    ('{"model": {"los": "mle"}}', "there is no setting model.los"),
    ('{"agent": {"loss": "mle"}}', "there is no setting agent.loss"),
    ('{"model": {"members": 2.5}}', "members must be of type int, got 2.5"),
    ('{"model": {"members": "7"}}', "members must be of type int, got '7'"),
    ('{"model": {"members": true}}', "members must be of type int, got True"),
    ('{"model": {"members": null}}', "members must be of type int, got None"),
    ('{"model": {"loss": 3}}', "loss must be of type str, got 3"),
    ('{"model": {"model_learning_rate": "1e-3"}}', "model_learning_rate must be of type float, got '1e-3'"),
    ('{"model": {"model_learning_rate": false}}', "model_learning_rate must be of type float, got False"),
    ('{"agent": {"feature_normalization": 1}}', "feature_normalization must be of type bool, got 1"),
    ('{"agent": {"layer_normalization": "yes"}}',
     "layer_normalization must be of type bool, got 'yes'"),
    ('{"agent": {"target_entropy": "-1"}}', "target_entropy must be of type float, got '-1'"),
    ('{"model": {"model_hidden_units": 200}}', "model_hidden_units must be a list, got 200"),
    ('{"model": {"model_hidden_units": [200.5]}}', "model_hidden_units must be of type int, got 200.5"),
    ('{"dyna": {"rollout_schedule": [1, 2, 3]}}', "rollout_schedule must have 4 numbers, got 3"),
    ('{"dyna": {"rollout_schedule": [1, 2, 3, "4"]}}', "rollout_schedule must be of type float, got '4'"),
    ('{"model": {"members": 2}}', r"elites \(5\) must not exceed members \(2\)"),
    ('{"agent": {"discount": NaN}}', r"discount must be within \[0, 1\)"),
])
def test_json_of_something_else_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        Config.from_json(text)


@pytest.mark.parametrize("name", presets.PRESETS)
def test_presets_name_settings_and_are_valid(name):
    config = presets.preset(name)
    assert config.env.name == name
    for setting, value in presets.PRESETS[name].items():
        assert config.flat()[setting] == value
        if typing.get_args(FIELDS[setting].type) and isinstance(FIELDS[setting].default, tuple):
            assert isinstance(value, tuple)
    assert Config.from_json(config.to_json()) == config


def test_an_environment_without_a_preset_gets_the_defaults():
    assert presets.preset("my_module:MyEnv-v0") == Config().replace(name="my_module:MyEnv-v0")


def test_published_numbers_of_the_hopper_preset():
    hopper = presets.preset("Hopper-v5")
    assert (hopper.model.members, hopper.model.elites, hopper.model.model_hidden_units) == (7, 5, (200,) * 4)
    assert hopper.dyna.rollout_schedule == (20, 150, 1, 15)
    assert (hopper.dyna.updates_per_step, hopper.dyna.retrain_every, hopper.dyna.random_steps) == (20, 250, 5000)
    assert (hopper.agent.target_entropy, hopper.agent.discount, hopper.agent.target_update_rate) == (-1.0, 0.99, 0.005)
