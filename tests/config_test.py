"""The configuration: what it refuses, and that JSON keeps all of it."""

import dataclasses
import json
import math
import pathlib
import typing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vagram_tf import presets
from vagram_tf.config import FIELDS, LOSSES, SECTIONS, Config

ROOT = pathlib.Path(__file__).resolve().parent.parent

# What each number may be, by hand: the last value at an end of its range, and the first beyond it.
ENDS = [
    ("episode_steps", 1, 0),
    ("distractors", 0, -1),
    ("distractor_seed", 0, -1),
    ("members", 5, 0),  # not below the five elites
    ("elites", 1, 0),
    ("model_hidden_units", (1,), (0,)),
    ("model_learning_rate", 1e-300, 0),
    ("model_weight_decay", 0, -1e-9),
    ("model_averaging", 0, -1e-9),
    ("model_averaging", 1 - 1e-9, 1),
    ("model_batch_size", 1, 0),
    ("holdout_share", 1e-9, 0),
    ("holdout_share", 0.9, 0.9 + 1e-9),
    ("max_holdout", 1, 0),
    ("patience", 1, 0),
    ("patience_steps", 1, 0),
    ("max_fit_steps", 1, 0),
    ("value_samples", 2, 1),
    ("value_gradient_quantile", 1e-9, 0),
    ("value_gradient_quantile", 1, 1 + 1e-9),
    ("reward_weight", 0, -1e-9),
    ("warm_up_epochs", 0, -1e-9),
    ("agent_hidden_units", (1,), (64, 0)),
    ("actor_learning_rate", 1e-300, 0),
    ("critic_learning_rate", 1e-300, 0),
    ("temperature_learning_rate", 0, -1e-9),
    ("initial_temperature", 1e-300, 0),
    ("target_entropy", -1e300, -math.inf),
    ("discount", 0, -1e-9),
    ("discount", 1 - 1e-9, 1),
    ("target_update_rate", 1e-9, 0),
    ("target_update_rate", 1, 1 + 1e-9),
    ("target_update_period", 1, 0),
    ("agent_batch_size", 1, 0),
    ("num_steps", 1, 0),
    ("random_steps", 10, 9),
    ("epoch_length", 1, 0),
    ("retrain_every", 1, 0),
    ("updates_per_step", 1, 0),
    ("rollouts_per_step", 1, 0),
    ("rollout_schedule", (5, 5, 1, 1000), (5, 5, 1, 1001)),
    ("rollout_schedule", (0, 0, 1, 1), (0, 0, 0, 1)),
    ("imagined_share", (0, 0, 0, 1), (0, 0, 0, 1.01)),
    ("imagined_share", (0, 0, 0, 1), (0, 0, -0.01, 1)),
    ("retain_epochs", 1, 0),
    ("rollout_shrinkage", 0, -1e-9),
    ("rollout_shrinkage", 1, 1 + 1e-9),
    ("replay_capacity", 10, 9),
    ("seed", 0, -1),
    ("threads", 1, 0),
    ("eval_every", 1, 0),
    ("eval_episodes", 1, 0),
    ("video_steps", 0, -1),
    ("export_every", 0, -1),
    ("environment_timeout", 1e-9, 0),
    ("checkpoint_every", 0, -1),
    ("divergence_factor", 1, 1 - 1e-9),
]


@pytest.mark.parametrize("name, last, beyond", ENDS)
def test_range_ends_where_it_says(name, last, beyond):
    assert Config().replace(**{name: last}).flat()[name] == last
    with pytest.raises(ValueError, match=f"{name} must be"):
        Config().replace(**{name: beyond})


def test_every_number_has_an_end():
    texts = {name for name, field in FIELDS.items() if field.type in (bool, str)}
    assert {name for name, _, _ in ENDS} == set(FIELDS) - texts


CHOICES = {
    "instances": "many one",
    "distractor_kind": "linear nonlinear noise correlated rotation bystander",
    "termination": "auto none learned",
    "loss": "mle mse itervaml calibrated_itervaml taylor vagram module:name",
    "variance_bounds": "relative absolute fixed",
    "model_target": "change state",
    "value_functions": "all critics targets",
    "value_gradient_weights": "separable dimension agreement example",
    "value_gradient_scale": "rms none",
    "rollout_model": "learned simulator none",
    "rollout_noise": "auto on off",
}


@pytest.mark.parametrize("name, choices", CHOICES.items())
def test_choices_are_these_and_no_others(name, choices):
    for choice in choices.split():
        assert Config().replace(**{name: choice}).flat()[name] == choice
    with pytest.raises(
        ValueError, match=f"{name} must be one of {choices.replace(' ', ', ')}, got 'vagran'"
    ):
        Config().replace(**{name: "vagran"})


def test_every_text_has_choices_but_those_that_environments_judge():
    texts = {name for name, field in FIELDS.items() if field.type is str}
    assert texts == {*CHOICES, "name", "observation_origin"}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"members": 3, "elites": 4}, r"elites \(4\) must not exceed members \(3\)"),
        ({"members": 4}, r"elites \(5\) must not exceed members \(4\)"),
        (
            {"value_gradient_weights": "agreement", "value_functions": "all"},
            "for agreement, value_functions must be critics or targets, got 'all'",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Config().replace(**changes)


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
        "loss",
        "discount",
        "seed",
        "name",
        "num_steps",
    }


def test_replace_changes_what_depends_on_each_other_at_once():
    assert Config().replace(members=3, elites=2).replace(elites=7, members=9).model.members == 9


@pytest.mark.parametrize(
    "name, message",
    [
        (
            "model_hiden_units",
            "there is no setting 'model_hiden_units'; did you mean model_hidden_units?",
        ),
        ("los", "there is no setting 'los'; did you mean loss?"),
        ("self", "there is no setting 'self'"),
    ],
)
def test_replace_refuses_unknown_settings(name, message):
    with pytest.raises(ValueError) as error:
        Config().replace(**{name: "mle"})
    assert str(error.value) == message


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


def choice(name):
    return st.sampled_from(list(FIELDS[name].choices))


@st.composite
def schedules(draw, low, high):
    epochs = sorted(draw(st.tuples(*[st.floats(0, 1e4) | st.integers(0, 10**4)] * 2)))
    return (*epochs, *draw(st.tuples(*[st.floats(low, high) | st.integers(low, high)] * 2)))


@st.composite
def configs(draw):
    members = draw(st.integers(1, 20))
    elites = draw(st.integers(1, members))
    rule = draw(choice("value_gradient_weights"))
    functions = draw(
        st.sampled_from(
            [x for x in FIELDS["value_functions"].choices if (rule, x) != ("agreement", "all")]
        )
    )
    return Config().replace(
        members=members,
        elites=elites,
        value_gradient_weights=rule,
        value_functions=functions,
        **draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "name": st.text(),
                    "distractors": st.integers(0, 10**6),
                    "distractor_kind": choice("distractor_kind"),
                    "termination": choice("termination"),
                    "loss": st.sampled_from(LOSSES) | st.text().map("a:{}".format),
                    "model_hidden_units": layers,
                    "model_learning_rate": positive,
                    "holdout_share": st.floats(0, 0.9, exclude_min=True),
                    "value_gradient_scale": choice("value_gradient_scale"),
                    "model_target": choice("model_target"),
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
                    "rollout_noise": choice("rollout_noise"),
                    "seed": st.integers(0, 2**70),
                    "divergence_factor": st.floats(1, 1e300),
                },
            )
        ),
    )


@settings(max_examples=40, deadline=None)
@given(configs())
def test_json_keeps_everything(config):
    again = Config.from_json(config.to_json())
    assert again == config
    assert again.to_json() == config.to_json()
    assert hash(again) == hash(config)  # tuples and not lists


numbers = st.sampled_from(
    [name for name, field in FIELDS.items() if field.type in (int, float)]
).flatmap(
    lambda name: st.tuples(
        st.just(name), st.integers(-(2**70), 2**70) if FIELDS[name].type is int else st.floats()
    )
)


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
        name: [field.name for field in dataclasses.fields(section)]
        for name, section in SECTIONS.items()
    }


def test_json_may_leave_settings_out():
    assert Config.from_json('{"model": {"loss": "mle"}}') == Config().replace(loss="mle")
    assert Config.from_json("{}") == Config()


def test_json_of_numpys_numbers_is_that_of_pythons():
    of_numpy = Config().replace(
        members=np.int64(9),
        discount=np.float64(0.9),
        layer_normalization=np.False_,
        agent_hidden_units=[np.int64(8)],
        imagined_share=(0, np.int64(2), 0, np.float64(0.5)),
    )
    of_python = Config().replace(
        members=9,
        discount=0.9,
        layer_normalization=False,
        agent_hidden_units=(8,),
        imagined_share=(0, 2, 0, 0.5),
    )
    assert of_numpy.to_json() == of_python.to_json() and hash(of_numpy) == hash(of_python)


@pytest.mark.parametrize("path", sorted((ROOT / "results").rglob("config.json")), ids=str)
def test_configurations_of_published_runs_can_be_read(path):
    flat = Config.from_json(path.read_text()).flat()
    for section in json.loads(path.read_text()).values():
        for name, value in section.items():
            assert flat[name] == (tuple(value) if isinstance(value, list) else value)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "not a configuration: "),
        ("{", "not a configuration: "),
        ("[]", "not a configuration: the JSON holds no object"),
        ("3", "not a configuration: the JSON holds no object"),
        ('{"modle": {}}', "not a configuration: unknown section 'modle'"),
        ('{"model": 3}', "not a configuration: unknown section 'model'"),
        ('{"model": {"los": "mle"}}', r"there is no setting 'los'; did you mean loss\?"),
        ('{"model": {"self": "mle"}}', "there is no setting 'self'"),
        ('{"agent": {"loss": "mle"}}', "loss is a setting of model, not of agent"),
        ('{"model": {"members": null}}', "members must be a whole number, got None"),
        (
            '{"dyna": {"rollout_schedule": [1, 2, 3, "4"]}}',
            "each value of rollout_schedule must be a finite number",
        ),
        ('{"model": {"members": 2}}', r"elites \(5\) must not exceed members \(2\)"),
        ('{"agent": {"discount": NaN}}', "discount must be a finite number, got nan"),
    ],
)
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
    assert (hopper.model.members, hopper.model.elites, hopper.model.model_hidden_units) == (
        7,
        5,
        (200,) * 4,
    )
    assert hopper.dyna.rollout_schedule == (20, 150, 1, 15)
    assert (hopper.dyna.updates_per_step, hopper.dyna.retrain_every, hopper.dyna.random_steps) == (
        20,
        250,
        5000,
    )
    assert (
        hopper.agent.target_entropy,
        hopper.agent.discount,
        hopper.agent.target_update_rate,
    ) == (-1.0, 0.99, 0.005)
