"""The studies: every one of both sizes is what the paper and the evening ask for, and none needs TensorFlow."""

import subprocess
import sys

import programs
import pytest

from experiments.sweeps import study
from vagram_tf.envs import suite

NAMES = ["ablation", "distractors", "fit_bound", "pendulum", "small_model", "suite", "termination"]


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
        suite.check_name(environment)
    assert {config.run.threads for config in settings.values()} == {1}
    if size == "full":
        assert seeds == 10


def test_there_are_no_other_studies():
    with pytest.raises(ValueError, match=f"there are {', '.join(NAMES)}"):
        study.read("?", "full")


def test_reading_all_studies_does_not_import_tensorflow():
    code = ("import sys; from experiments.sweeps import study\n"
            f"for name in {NAMES}: study.runs(study.read(name, 'full')[1])\n"
            "assert 'tensorflow' not in sys.modules")
    subprocess.run([sys.executable, "-c", code], check=True, cwd=programs.ROOT)


def test_small_model_has_the_papers_models_and_agent():
    full, _ = configs("small_model", "full")
    assert {(config.model.loss, config.model.model_hidden_units) for config in full.values()} == {
        (loss, units) for loss in ("vagram", "mle", "mse") for units in ((200,) * 4, (64,) * 3, (64,) * 2)}
    for config in full.values():
        assert config.env.name == "Hopper-v5" and config.dyna.num_steps == 125_000
        assert config.agent.agent_hidden_units == (1024, 1024) and config.agent.feature_normalization
    evening, seeds = configs("small_model", "evening")
    assert set(evening) == {"vagram_2x64", "mle_2x64"} and seeds == 5
    assert evening["mle_2x64"].model.loss == "mle" and evening["mle_2x64"].model.model_hidden_units == (64, 64)
    assert evening["mle_2x64"].dyna.num_steps == 20_000
    assert all(config.agent.observation_normalization and not config.agent.feature_normalization
               for config in evening.values())


def test_distractors_have_every_number_and_kind_once():
    full, _ = configs("distractors", "full")
    assert sorted((config.model.loss, config.model.variance_bounds, config.env.distractors, config.env.distractor_kind)
                  for config in full.values()) == sorted(
        (loss, bounds, count, kind)
        for loss, bounds in (("vagram", "relative"), ("mle", "relative"), ("mle", "relative"), ("mle", "fixed"))
        for count, kind in [(0, "nonlinear"), *((count, kind) for count in (5, 10, 15, 20)
                                                for kind in ("nonlinear", "noise"))])
    evening, seeds = configs("distractors", "evening")
    assert set(evening) == {f"{loss}_{distractors}" for loss in ("vagram", "mle", "mle_mean")
                            for distractors in ("0", "15_nonlinear", "30_rotation")}
    assert seeds == 5
    assert full["mle_fixed_0"].model.variance_bounds == "fixed"
    assert {name for name, config in (full | evening).items() if config.dyna.rollout_noise == "off"} == {
        name for name in full | evening if name.startswith("mle_mean")}
    assert all(config.agent.observation_normalization for config in (*full.values(), *evening.values()))
    assert {config.dyna.num_steps for config in evening.values()} == {20_000}


@pytest.mark.parametrize("size", ["full", "evening"])
def test_ablation_changes_one_thing_at_a_time(size):
    settings, _ = configs("ablation", size)
    base = settings.pop("vagram").flat()
    assert base["loss"] == "vagram" and base["distractors"] == 15
    for name, config in settings.items():
        changed = [field for field, value in config.flat().items() if value != base[field]]
        assert len(changed) == (2 if name == "no_rollout_noise_mle" else 1), name


def test_pendulum_is_the_same_in_both_sizes():
    settings, seeds = configs("pendulum", "full")
    assert seeds == 10 and len(settings) == 8
    assert {config.env.name for config in settings.values()} == {"InvertedPendulum-v5", "Pendulum-v1"}
    assert configs("pendulum", "evening") == (settings, seeds)
