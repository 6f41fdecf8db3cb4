"""Learning curves from a sweep's CSV: the numbers behind the pictures, what is missing, what is
refused.
"""

import csv
import json

import numpy as np
import pictures
import programs
import pytest
from PIL import Image

from vagram_tf.commands.learning_curves import (
    comparison,
    figure,
    run_tables,
    statistics,
    sweep_table,
)
from vagram_tf.commands.learning_curves.panels import Look, panels

RESULTS = programs.ROOT / "results"
HEADER = "study,setting,seed,env_step,return,length,wall_time"
# Final returns by seed; at step 100 everything is 0. Seed 3 of the first one ends there.
RETURNS = {
    "vagram_Hopper-v5_2x64": [10.0, 20.0, 60.0, None],
    "mle_Hopper-v5_2x64": [0.0, 0.0, 10.0, 70.0, 100.0],
    "vagram_Pendulum-v1_2x64": [-100.0, -200.0, -300.0, -400.0],
    "mle_Pendulum-v1_2x64": [-400.0] * 4,
    "alone": [7.0],
}


def rows():
    for setting, totals in RETURNS.items():
        for seed, total in enumerate(totals):
            yield f"pendulum,{setting},{seed},100,0,200,1.5"
            if total is not None:
                yield f"pendulum,{setting},{seed},1000,{total},200,3"


def written(path, *lines):
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


def plot(*arguments):
    return programs.program("plot", arguments)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    directory = tmp_path_factory.mktemp("drawn")
    path = written(directory / "sweep.csv", *rows())
    process = plot(f"--csv={path}", f"--output={directory}/out")
    assert (process.returncode, process.stderr) == (0, "")
    tables = {
        name: list(csv.DictReader((directory / f"{name}.csv").open()))
        for name in ("out", "out_final", "out_all", "out_improvement")
    }
    return process.stdout, directory, tables


def row_of(table, setting, step):
    (row,) = [row for row in table if row["setting"] == setting and row["env_step"] == str(step)]
    return row


def test_curves_are_the_hand_computed_ones(drawn):
    table = drawn[2]["out"]
    assert len(table) == 2 * len(RETURNS)
    # Five seeds: the interquartile mean leaves out 0 and 100.
    of = row_of(table, "mle_Hopper-v5_2x64", 1000)
    assert (
        float(of["mean"]) == 36
        and float(of["iqm"]) == pytest.approx(80 / 3, 1e-5)
        and of["seeds"] == "5"
    )
    assert 0 <= float(of["low"]) < 36 < float(of["high"]) <= 100
    of = row_of(table, "vagram_Hopper-v5_2x64", 100)
    assert (of["mean"], of["low"], of["high"], of["iqm"], of["seeds"]) == ("0", "0", "0", "0", "4")


def test_final_returns_are_those_of_the_seeds_that_came_to_the_end(drawn):
    table = drawn[2]["out_final"]
    of = row_of(table, "vagram_Hopper-v5_2x64", 1000)
    assert float(of["mean"]) == 30 and of["seeds"] == "3"
    assert row_of(table, "alone", 1000) == {
        "setting": "alone",
        "env_step": "1000",
        "mean": "7",
        "low": "",
        "high": "",
        "iqm": "7",
        "seeds": "1",
    }


def test_final_returns_of_all_the_steps_are_means_over_them():
    evaluations = [
        sweep_table.SeedReturn("mle", seed, step, float(total))
        for seed, step, total in ((0, 10, 1), (0, 20, 3), (0, 100, 8), (1, 100, 2))
    ]
    assert [point[2] for point in statistics.final(evaluations, 1.0)] == [(4 + 2) / 2]
    # From step 20 on.
    assert [point[2] for point in statistics.final(evaluations, 0.8)] == [(5.5 + 2) / 2]
    assert [point[2] for point in statistics.final(evaluations, 0.1)] == [(8 + 2) / 2]
    # (1 - 0.7) * 1000 > 300.
    third = [sweep_table.SeedReturn("mle", 0, step, float(step)) for step in (200, 300, 1000)]
    assert [point[2] for point in statistics.final(third, 0.7)] == [650.0]


def test_interval_of_two_seeds():
    """Both means of equal seeds, 0 and 1, have probability 1/4, far more than 2.5 %."""
    (point,) = statistics.curves(
        [sweep_table.SeedReturn("mle_a", seed, 5, float(seed)) for seed in (0, 1)]
    )
    assert point == ("mle_a", 5, 0.5, 0.0, 1.0, 0.5, 2)


def test_scores_are_over_seeds_and_panels(drawn):
    """A score is 0 at a panel's smallest mean of any evaluation, 1 at its largest: 0 and 36 for
    Hopper, -400 and 0.
    """
    by_loss = {row["loss"]: row for row in drawn[2]["out_all"]}
    # Seven: one is left out at either end.
    vagram = [
        10 / 36,
        20 / 36,
        60 / 36,
        0.75,
        0.5,
        0.25,
        0.0,
    ]
    assert float(by_loss["vagram"]["iqm"]) == pytest.approx((sum(vagram) - 0 - 60 / 36) / 5, 1e-5)
    mle = np.array([0, 0, 0, 0, 0, 0, 10, 70, 100]) / 36  # nine: two
    assert float(by_loss["mle"]["iqm"]) == pytest.approx(mle[2:7].mean(), 1e-5)
    assert {(row["panels"], row["runs"]) for row in by_loss.values()} == {("2", "7"), ("2", "9")}
    for row in by_loss.values():
        assert float(row["low"]) <= float(row["iqm"]) <= float(row["high"])


def test_what_is_missing_is_said(drawn):
    lines = drawn[0].splitlines()
    assert [line for line in lines if line.startswith(("missing", "note"))] == [
        "missing  vagram_Hopper-v5_2x64: seed 4",
        "missing  vagram_Hopper-v5_2x64: seed 3 after environment step 100 of 1000",
        "missing  vagram_Pendulum-v1_2x64: seed 4",
        "missing  mle_Pendulum-v1_2x64: seed 4",
        "missing  alone: seeds 1, 2, 3, 4",
        "note     alone: one seed, so there is no interval",
    ]


def test_what_is_missing_is_known_from_the_sweeps_own_settings(tmp_path):
    """Of two studies with plans: each has its own seeds; what no run has reached is missing,
    too.
    """
    steps = {"random_steps": 5, "num_steps": 10}
    for name, seeds, settings in (("a", [0, 1], ["mle", "vagram"]), ("b", [0], ["short", "long"])):
        content = {
            "seeds": seeds,
            "settings": {
                setting: {"dyna": steps | ({"num_steps": 5} if setting == "short" else {})}
                for setting in settings
            },
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    one = written(tmp_path / "a.csv", *(f"a,mle,0,{step},1,1,1" for step in (5, 10)))
    two = written(
        tmp_path / "b.csv",
        *(
            f"b,{setting},0,{step},1,1,1"
            for setting, step in (("short", 5), ("short", 10), ("long", 5), ("long", 15))
        ),
    )
    assert sweep_table.missing(*sweep_table.read([one, two])) == [
        "missing  a/mle: seed 1",
        "missing  a/mle: seed 0 after environment step 10 of 15",
        "note     a/mle: one seed, so there is no interval",
        "missing  a/vagram",
        "note     b/short: one seed, so there is no interval",
        "note     b/long: one seed, so there is no interval",
    ]
    (tmp_path / "b.json").write_text("[]")  # something else
    assert sweep_table.missing(*sweep_table.read([two])) == [
        "missing  short: seed 0 after environment step 10 of 15",
        "note     short: one seed, so there is no interval",
        "note     long: one seed, so there is no interval",
    ]


def test_gap_in_a_seed_is_missing():
    evaluations = [
        sweep_table.SeedReturn("mle", seed, step, 0.0)
        for seed, steps in ((0, (1, 2, 3, 4)), (1, (1, 4)))
        for step in steps
    ]
    assert sweep_table.missing(evaluations, {}) == [
        "missing  mle: seed 1 at environment steps 2, 3"
    ]


@pytest.mark.slow
def test_setting_that_ends_before_the_others_of_its_panel_has_no_final_return(tmp_path):
    path = written(tmp_path / "sweep.csv", "a,known,0,1000,3,1,1", "a,learned,0,500,3,1,1")
    process = plot(f"--csv={path}", f"--output={tmp_path}/out")
    assert (
        "note     learned: not in the last 10 % of its panel's steps, so without a final return"
        in process.stdout.splitlines()
    )
    assert (tmp_path / "out_final.csv").read_text().count("\n") == 2


def test_panels_without_losses_do_not_keep_the_others_from_being_scored():
    evaluations = [
        sweep_table.SeedReturn(setting, 0, 10, 1.0)
        for setting in ("vagram_a", "mle_a", "vagram_b", "mle_b", "known", "learned")
    ]
    assert [score.loss for score in comparison.scores(evaluations, 0.1)] == ["vagram", "mle"]


@pytest.mark.parametrize(
    "name",
    sorted(
        path.parent.name
        for path in RESULTS.glob("*/*.csv")
        if (path.parent / "curves.csv").exists() and path.stem == path.parent.name
    ),
)
def test_committed_figures_are_those_of_the_committed_sweep(name):
    directory = RESULTS / name
    evaluations, plans = sweep_table.read([directory / f"{name}.csv"])
    assert sweep_table.missing(evaluations, plans) == []
    tables = {"curves": statistics.curves(evaluations)}
    for of, last in (("curves", 0.1), ("whole", 1.0)):
        if of == "curves" or (directory / f"{of}_final.csv").exists():
            tables[f"{of}_final"] = statistics.final(evaluations, last)
            if scores := comparison.scores(evaluations, last):
                tables[f"{of}_all"] = scores
            if (directory / f"{of}_improvement.csv").exists():
                tables[f"{of}_improvement"] = comparison.improvements(evaluations, last)
    for table, expected in tables.items():
        with open(directory / f"{table}.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(expected)
        for row, of in zip(rows, expected, strict=True):
            assert row == {
                column: f"{cell:.6g}" if isinstance(cell, float) else str(cell)
                for column, cell in of._asdict().items()
            }


# How the committed figures were drawn, as results/README.md says it.
TITLES = {
    "bottleneck": "--titles==Pendulum-v1, 30 rotation distractors, discount 0.99",
    "bottleneck_discount_95": "--titles==Pendulum-v1, 30 rotation distractors, discount 0.95",
}


@pytest.mark.slow
@pytest.mark.parametrize("of, last", [("curves", 0.1), ("whole", 1.0)])
@pytest.mark.parametrize("name", ["pendulum", *TITLES])
def test_committed_pictures_are_drawn_again_from_the_committed_sweep(name, of, last, tmp_path):
    directory = RESULTS / name
    titles = [TITLES[name]] if name in TITLES else []
    process = plot(
        f"--csv={directory}/{name}.csv", f"--output={tmp_path}/{of}", f"--last={last}", *titles
    )
    assert process.returncode == 0, process.stderr
    committed = [path for path in directory.glob("*.png") if path.name.startswith(of)]
    assert len(committed) == (3 if of == "curves" else 2)
    for path in committed:
        pictures.check_same(path, tmp_path / path.name)


@pytest.mark.slow
def test_committed_picture_of_runs_is_drawn_again_from_their_tables(tmp_path):
    directory = RESULTS / "distractors"
    process = plot(f"--runs={directory}/evening", f"--output={tmp_path}/curves")
    assert process.returncode == 0, process.stderr
    pictures.check_same(directory / "curves.png", tmp_path / "curves.png")
    assert (directory / "curves.csv").read_bytes() == (tmp_path / "curves.csv").read_bytes()


def test_pictures_are_written_beside_their_tables(drawn):
    directory = drawn[1]
    for name in ("out", "out_final", "out_all"):
        with Image.open(directory / f"{name}.png") as picture:
            assert picture.format == "PNG" and round(picture.info["dpi"][0]) == 200
        # Fonts of type 3 are what publishers refuse.
        assert b"/FontFile2" in (directory / f"{name}.pdf").read_bytes()
        assert b"/Type3" not in (directory / f"{name}.pdf").read_bytes()
    assert sorted(path.name for path in directory.iterdir()) == sorted(
        [
            "sweep.csv",
            "out_improvement.csv",
            *(
                f"{name}.{suffix}"
                for name in ("out", "out_final", "out_all")
                for suffix in ("png", "pdf", "csv")
            ),
        ]
    )


# Pictures.


def settings_of(name, distractors=0, **changes):
    return {"name": name, "distractors": distractors, "distractor_kind": "nonlinear", **changes}


TASKS = {
    "0": settings_of("Hopper-v5"),
    "15": settings_of("Hopper-v5", 15),
    "Pendulum": settings_of("Pendulum-v1", 1, num_steps=7),
}


def shown(monkeypatch, labels=None, seeds=2, last=0.1, interquartile_mean=False):
    """Returns the figures of both losses in all tasks; a loss is better the longer its name is."""
    evaluations = [
        sweep_table.SeedReturn(f"{loss}_{task}", seed, step, step * len(loss + task) * size + seed)
        for loss in ("vagram", "mle")
        for task, size in (("0", 1.0), ("15", 10.0), ("Pendulum", -3.0))
        for seed in range(seeds)
        for step in (50, 100)
    ]
    plans = {
        setting: sweep_table.SettingPlan([0], 100, TASKS[sweep_table.panel_of(setting)[0]])
        for setting in {of.setting for of in evaluations}
    }
    look = Look(
        panels(dict.fromkeys(of.setting for of in evaluations), plans),
        {"vagram": "vagram", "mle": "mle"} | (labels or {}),
        last,
        interquartile_mean,
    )
    monkeypatch.setattr(figure, "_table", lambda rows, path: path)
    figures = pictures.captured(monkeypatch)
    figure.draw(
        statistics.curves(evaluations),
        statistics.final(evaluations, last),
        comparison.scores(evaluations, last),
        comparison.improvements(evaluations, last),
        look,
        "out",
    )
    return figures


def test_titles_name_task_and_setting(monkeypatch):
    figures = shown(monkeypatch)
    for name in ("out", "out_final"):
        titles = [
            axes.get_title().replace("\N{NO-BREAK SPACE}", " ") for axes in figures[name].axes
        ]
        assert titles == [
            "Hopper-v5",
            "Hopper-v5, 15 nonlinear distractors",
            "Pendulum-v1, 1 nonlinear distractor",
            "",
        ]


def test_a_task_has_a_row_of_its_own_with_equal_axes(monkeypatch):
    for name in ("out", "out_final"):
        none, fifteen, pendulum, empty = shown(monkeypatch)[name].axes
        assert none.get_xlim() == fifteen.get_xlim() and none.get_ylim() == fifteen.get_ylim()
        value = "get_ylim" if name == "out" else "get_xlim"
        assert getattr(none, value)() != getattr(pendulum, value)() and not empty.axison
        tops = [axes.get_position().y1 for axes in (none, fifteen, pendulum)]
        assert tops[0] == pytest.approx(tops[1]) and tops[2] < tops[0] - 0.2


def test_legend_is_outside_of_the_axes_and_says_seeds_once(monkeypatch):
    drawn_figure = shown(monkeypatch, {"mle": "MLE, mean rollouts"})["out"]
    (legend,) = drawn_figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["MLE, mean rollouts", "vagram"]
    assert legend.get_title().get_text() == "mean and 95 % bootstrap interval over 2 seeds"
    assert not any(axes.get_legend() for axes in drawn_figure.axes)
    box = legend.get_window_extent()
    assert not any(box.overlaps(axes.get_tightbbox()) for axes in drawn_figure.axes)


@pytest.mark.parametrize("length, lines", [(1, 1), (30, 2)])
def test_legend_is_as_wide_as_the_figure_allows(length, lines, monkeypatch):
    drawn_figure = shown(monkeypatch, {"mle": "m" * length, "vagram": "w" * length})["out"]
    (legend,) = drawn_figure.legends
    box = legend.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= drawn_figure.bbox.width
    assert len({text.get_window_extent().y0 for text in legend.get_texts()}) == lines


def test_interquartile_mean_is_shown_if_asked_for(monkeypatch):
    without, both = (shown(monkeypatch, interquartile_mean=asked) for asked in (False, True))
    for name, lines in (("out", 2), ("out_final", 2)):
        assert not any("interquartile" in text for text in pictures.texts(without[name]))
        assert any("interquartile mean" in text for text in pictures.texts(both[name]))
        more = len(both[name].axes[0].lines) - len(without[name].axes[0].lines)
        assert more == lines


def test_one_seed_has_points_without_intervals(monkeypatch):
    figures = shown(monkeypatch, seeds=1, last=1.0)
    words = pictures.texts(figures["out_final"])
    assert "one seed" in words and "return over the whole run" in words
    assert not any("interval" in text for text in words)
    assert not any("interval" in text for text in pictures.texts(figures["out_all"]))


def test_losses_over_all_panels_are_drawn_side_by_side(monkeypatch):
    scores, improvement = shown(monkeypatch, {"mle": "MLE"})["out_all"].axes
    assert [text.get_text() for text in scores.get_yticklabels()] == [
        "MLE (n = 6)",
        "vagram (n = 6)",
    ]
    assert [text.get_text() for text in improvement.get_yticklabels()] == ["vagram > MLE"]


def test_title_says_what_else_differs_between_panels_of_a_task():
    def titles(**by_setting):
        plans = {name: sweep_table.SettingPlan([0], 1, of) for name, of in by_setting.items()}
        return [panel.title for panel in panels(by_setting, plans).values()]

    hopper = {units: settings_of("Hopper-v5", model_hidden_units=[units] * 2) for units in (64, 32)}
    # What differs within a panel, as the loss does, is not the panel's.
    assert titles(
        mle_64=hopper[64] | {"loss": "mle", "rollout_noise": "auto"},
        mle_mean_64=hopper[64] | {"loss": "mle", "rollout_noise": "off"},
        vagram_32=hopper[32] | {"loss": "vagram"},
        mle_Pendulum=settings_of("Pendulum-v1", model_hidden_units=[8]),
    ) == ["Hopper-v5, model of 64×64", "Hopper-v5, model of 32×32", "Pendulum-v1"]
    assert titles(
        mle_on=settings_of("Hopper-v5", 2, layer_normalization=True, elites=3),
        mle_off=settings_of("Hopper-v5", 2, layer_normalization=False, elites=5),
    ) == [
        "Hopper-v5, 2 nonlinear distractors, layer normalization on, elites 3",
        "Hopper-v5, 2 nonlinear distractors, layer normalization off, elites 5",
    ]
    # SAC without a model, alone in a panel.
    assert titles(
        mle_64=hopper[64] | {"rollout_model": "learned"},
        sac=hopper[32] | {"rollout_model": "none"},
    ) == ["Hopper-v5, model of 64×64", "Hopper-v5"]
    # Two tasks in one panel; the same settings in two.
    assert titles(known=settings_of("Hopper-v5"), learned=settings_of("Ant-v5")) == [""]
    assert titles(**{"a/mle": settings_of("Ant-v5"), "b/mle": settings_of("Ant-v5")}) == [
        "Ant-v5 (a)",
        "Ant-v5 (b)",
    ]


def test_titles_of_a_sweep_come_from_the_settings_beside_its_csv():
    evaluations, plans = sweep_table.read([RESULTS / "pendulum" / "pendulum.csv"])
    assert [
        panel.title for panel in panels((of.setting for of in evaluations), plans).values()
    ] == ["InvertedPendulum-v5, 10 rotation distractors"]


def test_probability_of_improvement_is_the_hand_computed_one(drawn):
    """Of 15 pairs on Hopper vagram wins 10, 20 and 60 against two zeros and 10, with one tie: 8.5;
    on Pendulum 12 and 4 ties of 16.
    """
    (row,) = drawn[2]["out_improvement"]
    assert (row["loss"], row["other"], row["panels"]) == ("vagram", "mle", "2")
    assert float(row["probability"]) == pytest.approx((8.5 / 15 + 14 / 16) / 2, abs=1e-6)
    assert 0.4 < float(row["low"]) < float(row["probability"]) < float(row["high"]) < 1


def test_interval_of_improvement_resamples_the_runs_of_each_loss():
    """Two runs each, 0 and 2 against 1 and 1: the share is the share of twos in a resample, 0, 1/2
    or 1 with probabilities 1/4, 1/2, 1/4. A second panel that is always won halves the spread.
    """

    def improvement(*returns):
        evaluations = [
            sweep_table.SeedReturn(f"{loss}_{panel}", seed, 10, total)
            for panel, by_loss in enumerate(returns)
            for loss, totals in by_loss.items()
            for seed, total in enumerate(totals)
        ]
        (found,) = comparison.improvements(evaluations, 0.1)
        return found[2:]

    even, won = {"vagram": [0.0, 2.0], "mle": [1.0, 1.0]}, {"vagram": [5.0, 6.0], "mle": [1.0, 4.0]}
    assert improvement(even) == (0.5, 0.0, 1.0, 1)
    assert improvement(even, won) == (0.75, 0.5, 1.0, 2)
    probability, low, high, _ = improvement({"vagram": [1.0], "mle": [1.0, 0.0]})
    assert probability == 0.75 and np.isnan([low, high]).all()


def test_every_pair_of_losses_is_compared_and_vagram_leads():
    evaluations = [
        sweep_table.SeedReturn(f"{loss}_a", 0, 10, float(len(loss)))
        for loss in ("vagram", "mle", "sac", "mse")
    ]
    assert [of[:3] for of in comparison.improvements(evaluations, 0.1)] == [
        ("vagram", "mse", 1.0),
        ("vagram", "sac", 1.0),
        ("vagram", "mle", 1.0),
        ("mse", "sac", 0.5),
        ("mse", "mle", 0.5),
        ("sac", "mle", 0.5),
    ]


def test_settings_without_losses_are_compared_where_no_panel_has_losses():
    evaluations = [
        sweep_table.SeedReturn(setting, 0, 10, total)
        for setting, total in (("auto", 1.0), ("on", 2.0))
    ]
    assert [of[:3] for of in comparison.improvements(evaluations, 0.1)] == [("auto", "on", 0.0)]
    assert comparison.improvements(evaluations[:1], 0.1) == []


@pytest.mark.slow
def test_curves_and_panels_can_be_renamed(tmp_path):
    path = written(tmp_path / "sweep.csv", *(f"a,{loss}_b=c,0,5,1,1,1" for loss in ("mle", "mse")))
    renamed = [
        "--labels=mle=MLE, by mean",
        "--labels=mse=$\\lambda = 1$",
        "--titles=b=c=Hopper, 2×64",
    ]
    process = plot(f"--csv={path}", f"--output={tmp_path}/out", *renamed)
    assert (process.returncode, process.stderr) == (0, "")


def test_panel_is_everything_but_the_loss():
    assert sweep_table.panel_of("vagram_Hopper_15") == ("Hopper_15", "vagram")
    assert sweep_table.panel_of("calibrated_itervaml") == ("", "calibrated_itervaml")
    assert sweep_table.panel_of("no_clip") == ("", "no_clip")
    assert sweep_table.panel_of("vagram__Hopper_15") == ("_Hopper_15", "vagram")
    assert sweep_table.panel_of("pendulum/mle_1x8") == ("pendulum/1x8", "mle")
    assert sweep_table.panel_of("pendulum/mle") == ("pendulum", "mle")


def test_several_files_and_studies(tmp_path):
    one = written(tmp_path / "one.csv", "first,mle,0,5,1,1,1")
    two = written(tmp_path / "two.csv", "second,mle,0,5,2,1,1", "second,mle,0,5,2,1,1")
    assert sweep_table.read([one, two]) == (
        [("first/mle", 0, 5, 1.0), ("second/mle", 0, 5, 2.0)],
        {},
    )


def run_of(directory, *returns, config=None):
    """Leaves what a run leaves that is drawn."""
    directory.mkdir(parents=True)
    rows = [f"{10 * step},{total},7" for step, total in enumerate(returns, 1)]
    (directory / "progress.csv").write_text(
        "\n".join(["env_step,mean_return,q_mean", *rows]) + "\n"
    )
    if config is not None:
        (directory / "config.json").write_text(config.to_json())


def test_runs_of_the_main_program_are_drawn_without_a_sweep(tmp_path):
    config = programs.tiny(name="Pendulum-v1", random_steps=10, num_steps=20)
    for seed in (0, 2):
        run_of(tmp_path / "Pendulum-v1" / "mle" / str(seed), 1.5, 2.5, 3.5, config=config)
    run_of(tmp_path / "Hopper-v5" / "vagram" / "1", 4.0)
    evaluations, plans = run_tables.read([tmp_path])
    mle = [("mle_Pendulum-v1", seed, 10 * i, i + 0.5) for seed in (0, 2) for i in (1, 2, 3)]
    assert sorted(evaluations) == [*mle, ("vagram_Hopper-v5", 1, 10, 4.0)]
    (plan,) = plans.values()
    assert (plan.seeds, plan.end, plan.settings["name"]) == ([0, 2], 30, "Pendulum-v1")
    of_one, _ = run_tables.read([tmp_path / "Pendulum-v1"])
    assert (
        {of.setting for of in of_one}
        == {"mle"}
        == {of.setting for of in run_tables.read([tmp_path / "Pendulum-v1" / "mle" / "2"])[0]}
    )


def test_runs_of_a_sweep_and_tables_have_the_names_of_its_settings(tmp_path):
    run_of(tmp_path / "sweep" / "evening" / "mle_mean" / "Hopper-v5" / "mle" / "3", 1.0)
    table = (tmp_path / "sweep/evening/mle_mean/Hopper-v5/mle/3/progress.csv").read_text()
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "mle_mean_3.csv").write_text(table)
    config = json.loads(programs.tiny().to_json())
    content = {"seeds": [3, 4], "settings": {"mle_mean": config, "vagram": config}}
    (tmp_path / "tables.json").write_text(json.dumps(content))
    evening = tmp_path / "sweep" / "evening"
    assert run_tables.read([evening]) == ([("mle_mean", 3, 10, 1.0)], {})
    assert run_tables.read([tmp_path / "sweep"])[0] == [("evening/mle_mean", 3, 10, 1.0)]
    evaluations, plans = run_tables.read([tmp_path / "tables"])
    assert evaluations == [("mle_mean", 3, 10, 1.0)]
    assert sweep_table.missing(evaluations, plans)[0] == (
        "missing  mle_mean: seed 3 after environment step 10 of 90"  # seed 4 is not expected
    )
    both, _ = run_tables.read([evening, tmp_path / "tables"])
    assert [of.setting for of in both] == [f"{evening}/mle_mean", f"{tmp_path}/tables/mle_mean"]


def test_what_is_no_run_is_refused(tmp_path):
    run_of(tmp_path / "runs" / "Hopper-v5" / "vagram" / "last", 1.0)
    with pytest.raises(ValueError, match="vagram/last is not called after a setting and a seed"):
        run_tables.read([tmp_path / "runs"])
    (tmp_path / "tables").mkdir()
    with pytest.raises(ValueError, match="tables holds no run that has been evaluated"):
        run_tables.read([tmp_path / "tables"])
    (tmp_path / "tables" / "mle_0.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="mle_0.csv is no table of progress"):
        run_tables.read([tmp_path / "tables"])
    run_of(tmp_path / "once" / "mle" / "0", 1.0)
    with pytest.raises(ValueError, match="mle', seed 0, was read before"):
        run_tables.read([tmp_path / "once"] * 2)


_SAVED = "study,setting,seed,env_step,return\na,mle,0,100,1.5\na,vagram,1,200,-2\n"


@pytest.mark.parametrize(
    "content",
    [
        _SAVED.encode(),
        b"\xef\xbb\xbf" + _SAVED.replace("\n", "\r\n").encode(),  # Excel
        _SAVED.replace("0,100", "0.0,1e+02").replace("1,200", "1.0,2E2").encode(),  # pandas
        _SAVED.replace(",", ";").replace("1.5", "1,5").encode(),  # a decimal comma
        _SAVED.replace(",", "\t").encode(),
        _SAVED.replace(",", ", ").encode() + b"\n,,,,\n\n",
        ",".join(["", *_SAVED.replace("\n", "\n0,").split(",")]).encode()[:-2],  # an index
    ],
)
def test_table_that_a_spreadsheet_has_saved_is_read(content, tmp_path):
    path = tmp_path / "a,b [1].csv"
    path.write_bytes(content)
    evaluations, _ = sweep_table.read([path])
    assert evaluations == [("mle", 0, 100, 1.5), ("vagram", 1, 200, -2.0)]


@pytest.mark.slow
def test_file_names_may_hold_any_separator(tmp_path):
    for name in ("a,b.csv", "c d.csv"):
        written(tmp_path / name, f"{name[0]},mle,0,5,1,1,1")
    given = [f"--csv={tmp_path / name}" for name in ("a,b.csv", "c d.csv")]
    process = plot(*given, f"--output={tmp_path}/out")
    assert process.returncode == 0, process.stderr
    assert "a/mle" in process.stdout and "c/mle" in process.stdout


def test_what_cannot_be_drawn_is_refused_in_one_line(tmp_path, tmp_path_factory):
    good = "a,mle,0,5,1,1,1"
    for lines, words in [
        (["a,mle,0,5,much,1,1"], "line 2: return must be a number, got 'much'"),
        ([good, "a,mle,0,5,nan,1,1"], "line 3: return must be a number, got 'nan'"),
        (["a,mle,0.5,5,1,1,1"], "line 2: seed must be a whole number, got '0.5'"),
        (["a,mle,0"], "line 2: env_step must be a number, got ''"),
        ([good, "a,mle,0,5,2,1,1"], "another return of 'mle', seed 0, step 5 was read before"),
        ([], "is empty: it has no row of an evaluation"),
    ]:
        with pytest.raises(ValueError, match=".csv") as error:
            sweep_table.read([written(tmp_path / "bad.csv", *lines)])
        assert words in str(error.value)
    written(tmp_path / "good.csv", good)
    (tmp_path / "columns.csv").write_text("setting,seed,return\na,0,1\n")
    (tmp_path / "nothing.csv").write_text("")
    runs = tmp_path_factory.mktemp("runs")
    (runs / "env" / "mle" / "0").mkdir(parents=True)
    (runs / "env" / "mle" / "0" / "progress.csv").write_text("env_step,mean_return\n5,1.0\n")
    (tmp_path / "latin.csv").write_bytes(_SAVED.replace("mle", "mle_ö").encode("latin-1"))
    for arguments, words in [
        (
            [f"--csv={tmp_path}/columns.csv", f"--output={tmp_path}/out"],
            "has no column study, env_step",
        ),
        ([f"--csv={tmp_path}/nothing.csv", f"--output={tmp_path}/out"], "is empty"),
        ([f"--csv={tmp_path}/latin.csv", f"--output={tmp_path}/out"], "is no CSV in UTF-8"),
        (["--csv=", f"--output={tmp_path}/out"], "--csv must be a path, got ''"),
        (
            [f"--csv={tmp_path}/gone.csv", f"--output={tmp_path}/out"],
            "cannot be read: No such file or directory",
        ),
        ([f"--csv={tmp_path}/columns.csv"], "--output is needed"),
        ([f"--output={tmp_path}/out"], "either --csv or --runs is needed"),
        (
            [f"--csv={tmp_path}/good.csv", f"--runs={tmp_path}", f"--output={tmp_path}/out"],
            "either --csv or --runs is needed",
        ),
        ([f"--runs={tmp_path}/gone", f"--output={tmp_path}/out"], "holds no run"),
        (
            [f"--runs={tmp_path}", f"--output={tmp_path}/good"],
            f"would overwrite {tmp_path}/good.csv",
        ),
        (
            [f"--csv={tmp_path}/columns.csv", f"--output={tmp_path}/out", "--last=0"],
            "--last must be within (0, 1], got 0",
        ),
        (
            [f"--csv={tmp_path}/a_final.csv", f"--output={tmp_path}/a"],
            f"would overwrite {tmp_path}/a_final.csv",
        ),
        (
            [f"--csv={tmp_path}/good.csv", f"--output={tmp_path}/out", "--labels=mlle=MLE"],
            "--labels must begin with one of 'mle='; got 'mlle=MLE'",
        ),
        (
            [f"--csv={tmp_path}/good.csv", f"--output={tmp_path}/out", "--titles=Hopper"],
            "--titles must begin with one of '='; got 'Hopper'",
        ),
        (
            [f"--csv={tmp_path}/good.csv", f"--output={tmp_path}/out", "--labels=mle=$x^$"],
            "--labels: Matplotlib cannot set '$x^$'",
        ),
        (
            [f"--csv={tmp_path}/a_improvement.csv", f"--output={tmp_path}/a"],
            f"would overwrite {tmp_path}/a_improvement.csv",
        ),
        (
            [f"--csv={tmp_path}/columns.csv", "--output=/no/such/out"],
            "there is no directory /no/such",
        ),
        (
            [f"--runs={runs}", f"--output={runs}/env/mle/0/progress"],
            f"would overwrite {runs}/env/mle/0/progress.csv",
        ),
    ]:
        assert words in programs.refused("plot", arguments), arguments
    assert not list(tmp_path.glob("out*"))
