"""The studies: every one of both sizes is what the paper and the evening ask for, and none needs
TensorFlow.
"""

import subprocess
import sys

import numpy as np
import programs
import pytest

from experiments.fits.table import FitRow
from vagram_tf import files
from vagram_tf.commands.learning_curves.sweep_table import panel_of
from vagram_tf.commands.sweeps import study
from vagram_tf.envs import tasks
from vagram_tf.study import Study, vary

NAMES = [
    "ablation",
    "bottleneck",
    "critics",
    "distractors",
    "fit_bound",
    "model_limit",
    "pendulum",
    "small_model",
    "suite",
    "termination",
]


def configs(name, size):
    """Returns the configuration of every setting's first seed, and the number of seeds."""
    _, content = study.read(name, size)
    runs = study.runs(content)
    first = {run.setting: run.config for run in runs if run.seed == content.seeds[0]}
    assert len(runs) == len(first) * len(content.seeds)
    return first, len(content.seeds)


@pytest.mark.parametrize("size", ["full", "evening"])
@pytest.mark.parametrize("name", NAMES)
def test_study_can_be_run(name, size):
    settings, seeds = configs(name, size)
    for environment in {config.env.name for config in settings.values()}:
        tasks.check_name(environment)
    assert {config.run.threads for config in settings.values()} == {1}
    assert {config.run.divergence_factor for config in settings.values()} == {1e9}
    if size == "full":
        assert seeds == 10


def test_there_are_no_other_studies():
    with pytest.raises(ValueError, match=f"there are {', '.join(NAMES)}"):
        study.read("?", "full")


def test_reading_all_studies_does_not_import_tensorflow():
    code = (
        "import sys; from vagram_tf.commands.sweeps import study\n"
        f"for name in {NAMES}: study.runs(study.read(name, 'full')[1])\n"
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=programs.ROOT)


# What a loss and its controls are named after: nothing else may set them apart from `vagram`.
CONTROLS = {
    "vagram": {},
    "mle": {"loss": "mle"},
    "mle_mean": {"loss": "mle", "rollout_noise": "off"},
    "mse": {"loss": "mse"},
    "mle_fixed": {"loss": "mle", "variance_bounds": "fixed"},
    "mle_fixed_mean": {"loss": "mle", "variance_bounds": "fixed", "rollout_noise": "off"},
    "sac": {"rollout_model": "none"},
}
# What the panels of each study are named after.
PANELS = {
    "bottleneck": {"distractors"},
    "pendulum": {"name", "num_steps", "distractors", "distractor_kind"},
    "distractors": {"distractors", "distractor_kind"},
    "small_model": {"model_hidden_units"},
}


def difference(config, base):
    of_base = base.flat()
    return {name: value for name, value in config.flat().items() if value != of_base[name]}


@pytest.mark.parametrize("size", ["full", "evening"])
@pytest.mark.parametrize("name", [*PANELS, "suite", "ablation"])
def test_a_loss_differs_from_vagram_in_what_it_is_named_after_alone(name, size):
    settings, _ = configs(name, size)
    panels = {}
    for setting, config in settings.items():
        panel, loss = panel_of(setting)
        panels.setdefault(panel, {})[loss] = config
    for panel, by_loss in panels.items():
        if set(by_loss) == {"sac"}:  # which has no width of a model
            by_loss = by_loss | {
                "vagram": next(iter(panels.values()))["vagram"].replace(
                    model_hidden_units=by_loss["sac"].model.model_hidden_units
                )
            }
        for loss, config in by_loss.items():
            if loss in CONTROLS:
                assert difference(config, by_loss["vagram"]) == CONTROLS[loss], (panel, loss)
    found = {loss for by_loss in panels.values() for loss in by_loss}
    assert found >= (
        {"vagram", "mle_mean", "sac"} if (name, size) == ("suite", "evening") else set(CONTROLS)
    )


@pytest.mark.parametrize("size", ["full", "evening"])
@pytest.mark.parametrize("name", PANELS)
def test_panels_differ_in_what_they_are_named_after_alone(name, size):
    settings, _ = configs(name, size)
    of_vagram = [config for setting, config in settings.items() if panel_of(setting)[1] == "vagram"]
    one_panel = size == "evening" and name in ("pendulum", "bottleneck", "small_model")
    assert (len(of_vagram) == 1) == one_panel
    for config in of_vagram[1:]:
        assert set(difference(config, of_vagram[0])) <= PANELS[name]


@pytest.mark.parametrize("size", ["full", "evening"])
def test_ablation_changes_one_thing_at_a_time(size):
    settings, _ = configs("ablation", size)
    base = settings["vagram"]
    assert base.model.loss == "vagram" and base.env.distractors == 15
    for name, config in settings.items():
        assert name in CONTROLS or len(difference(config, base)) == 1, name


@pytest.mark.parametrize(
    "size", ["full", "evening", "learned_temperature", "mostly_imagined", "quick"]
)
def test_model_limit_changes_nothing_but_the_world_that_is_imagined_in(size):
    settings, _ = configs("model_limit", size)
    base = settings.pop("learned")
    # Where there are distractors, the simulator cannot be the model.
    simulator = {} if size == "quick" else {"simulator": {"rollout_model": "simulator"}}
    assert {name: difference(config, base) for name, config in settings.items()} == {
        "shrunk_0.3": {"rollout_shrinkage": 0.3},
        "shrunk_0.6": {"rollout_shrinkage": 0.6},
        **simulator,
        "sac": {"rollout_model": "none"},
    }


def test_bottleneck_has_other_weights_and_a_loss_that_knows_the_task():
    settings, _ = configs("bottleneck", "evening")
    assert {
        name: difference(config, settings["vagram"])
        for name, config in settings.items()
        if name not in CONTROLS
    } == {
        "agreement": {"value_gradient_weights": "agreement"},
        "task_only": {"loss": "experiments.controls.task_only:task_only"},
    }


def test_bottleneck_with_another_discount_differs_in_it_alone():
    evening, discounted = (configs("bottleneck", size)[0] for size in ("evening", "discount_95"))
    assert evening.keys() == discounted.keys()
    for name, config in discounted.items():
        assert difference(config, evening[name]) == {"discount": 0.95}


@pytest.mark.parametrize("name", ["model_limit", "distractors"])
def test_hoppers_other_agents_differ_from_its_preset_in_what_they_are_named_after(name):
    evening, learned, mostly = (
        configs(name, size)[0] for size in ("evening", "learned_temperature", "mostly_imagined")
    )
    assert evening.keys() == learned.keys() == mostly.keys()
    for setting, config in evening.items():
        assert difference(learned[setting], config) == {
            "initial_temperature": 0.1,
            "temperature_learning_rate": 3e-4,
        }
        assert config.agent.initial_temperature == 0.2
        assert config.agent.temperature_learning_rate == 0
        assert difference(mostly[setting], learned[setting]) == {
            "imagined_share": (0.0, 0.0, 0.95, 0.95)
        }
        assert config.dyna.imagined_share == (0.0, 20.0, 0.0, 0.95)


@pytest.mark.parametrize("size", ["evening", "learned_temperature", "mostly_imagined"])
def test_model_limit_shares_runs_with_distractors(size):
    limit, distractors = configs("model_limit", size)[0], configs("distractors", size)[0]
    assert (limit["learned"], limit["sac"]) == (distractors["vagram_0"], distractors["sac_0"])


def test_quick_model_limit_shares_runs_with_pendulum():
    limit, pendulum = configs("model_limit", "quick")[0], configs("pendulum", "evening")[0]
    case = "InvertedPendulum_10_rotation"
    shared = pendulum[f"vagram_{case}"], pendulum[f"sac_{case}"]
    assert (limit["learned"], limit["sac"]) == shared


@pytest.mark.parametrize("size", ["full", "evening"])
def test_critics_differ_in_what_is_normalised_alone(size):
    settings, _ = configs("critics", size)
    normalised = {
        "plain": set(),
        "observations": {"observation_normalization"},
        "layers": {"layer_normalization"},
        "both": {"observation_normalization", "layer_normalization"},
        "features": {"feature_normalization"},
    }
    worlds = {"0": {}, "30_rotation": {"distractors": 30, "distractor_kind": "rotation"}}
    assert settings["vagram_0_plain"].dyna.imagined_share == (0.0, 0.0, 0.95, 0.95)
    expected = {
        f"{loss}_{world}_{name}": CONTROLS[loss] | worlds[world] | dict.fromkeys(which, True)
        for loss in ("vagram", "mle", "mle_mean")
        for world in worlds
        for name, which in normalised.items()
    }
    assert {
        name: difference(config, settings["vagram_0_plain"]) for name, config in settings.items()
    } == expected


def test_long_critics_are_those_of_distractors_and_noise_under_vagram():
    settings, seeds = configs("critics", "long")
    distractors, _ = configs("distractors", "evening")
    assert seeds == 3 and len(settings) == 12
    for name, config in settings.items():
        known = distractors[name.replace("_noise", "")]
        assert difference(config, known) == ({"rollout_noise": "on"} if "_noise" in name else {})


def test_small_model_has_the_papers_models_and_agent():
    full, _ = configs("small_model", "full")
    assert {
        config.model.model_hidden_units for setting, config in full.items() if setting != "sac"
    } == {(200,) * 4, (64,) * 3, (64,) * 2}
    for config in full.values():
        assert config.env.name == "Hopper-v5" and config.dyna.num_steps == 125_000
        assert (
            config.agent.agent_hidden_units == (1024, 1024) and config.agent.feature_normalization
        )
        assert config.agent.initial_temperature == 0.1
        assert config.agent.temperature_learning_rate == 3e-4


def test_small_model_has_the_width_that_halves_the_value_error():
    path = programs.ROOT / "results" / "fit_study" / "fit_study.csv"
    rows = [row for row in files.read_csv(path, FitRow, "a fit study") if row.task == "Hopper-v5"]

    def error(width, objective):
        cell = [row for row in rows if (row.width, row.objective) == (width, objective)]
        return np.mean([row.value_error for row in cell])

    ratios = {
        width: error(width, "vagram") / error(width, "mle") for width in {row.width for row in rows}
    }
    settings, _ = configs("small_model", "evening")
    (widths,) = {config.model.model_hidden_units for config in settings.values()}
    assert min(ratios, key=ratios.get) == "x".join(map(str, widths))
    assert min(ratios.values()) == pytest.approx(0.5, abs=0.01)


def test_distractors_have_every_number_and_kind_once():
    full, _ = configs("distractors", "full")
    kinds = [
        (0, "nonlinear"),
        *((count, kind) for count in (5, 10, 15, 20) for kind in ("nonlinear", "noise")),
    ]
    assert sorted(
        (config.env.distractors, config.env.distractor_kind) for config in full.values()
    ) == sorted(kinds * len(CONTROLS))
    evening, seeds = configs("distractors", "evening")
    assert set(evening) == {
        f"{loss}_{distractors}"
        for loss in CONTROLS
        for distractors in ("0", "15_nonlinear", "30_rotation")
    }
    assert seeds == 5


def test_an_evening_with_the_pendulum_is_a_part_of_the_whole():
    full, seeds = configs("pendulum", "full")
    evening, evening_seeds = configs("pendulum", "evening")
    assert seeds == evening_seeds == 10
    assert evening == {
        setting: config
        for setting, config in full.items()
        if setting.endswith("InvertedPendulum_10_rotation")
    }
    assert len(evening) == len(CONTROLS)


def test_numbers_of_numpy_are_those_of_python():
    listed = np.arange(2)
    runs = study.runs(Study(vary("distractors", *listed), list(listed)))
    assert [
        repr((run.setting, run.seed, run.config.run.seed, run.config.env.distractors))
        for run in runs
    ] == ["('0', 0, 0, 0)", "('1', 0, 0, 1)", "('0', 1, 1, 0)", "('1', 1, 1, 1)"]
