"""The numbers in the tables of results/README.md are those of the committed files."""

import json

import numpy as np
import pytest
from committed import RESULTS, of_column, rows_of

from experiments import run_table
from experiments.run_table import Evaluation
from vagram_tf.commands.learning_curves import run_tables, statistics, sweep_table

LINES = (RESULTS / "README.md").read_text().splitlines()


def with_interval(row):
    """A mean alone, where all seeds are the same, or there is one."""
    mean, low, high = (float(row[name] or "nan") for name in ("mean", "low", "high"))
    return f"{mean:,.0f}" + (f" [{low:,.0f}, {high:,.0f}]" if low < high else "")


@pytest.mark.parametrize(
    "study, panel",
    [
        ("pendulum", "_InvertedPendulum_10_rotation"),
        ("bottleneck", ""),
        ("bottleneck_discount_95", ""),
    ],
)
def test_returns_are_those_of_the_studies(study, panel):
    by_setting = {}
    for row in [*rows_of(f"{study}/curves.csv"), *rows_of(f"{study}/whole_final.csv")]:
        by_setting.setdefault(row["setting"].removesuffix(panel), []).append(with_interval(row))
    assert len(by_setting) == (7 if study == "pendulum" else 9)
    for setting, cells in by_setting.items():
        assert len(cells) == 5
        assert f"| `{setting}` | {' | '.join(cells)} |" in LINES


def test_errors_are_those_of_the_fit_study():
    cells = {}
    for row in rows_of("fit_study/fit_study.csv"):
        cells.setdefault((row["task"], row["width"]), {}).setdefault(row["objective"], []).append(
            row
        )
    assert len(cells) == 16
    for (task, width), by_objective in cells.items():
        shown = [
            f"{np.mean(of_column(by_objective[objective], column)):.3g}"
            for column in ("value_error", "own_loss")
            for objective in ("vagram", "mle", "mse", "vagram_example")
        ]
        assert f"| {task} | {width} | {' | '.join(shown)} |" in LINES


def test_fewer_steps_mend_the_value_error_alone():
    by_objective = {}
    for row in rows_of("fit_study/fewer_steps.csv"):
        by_objective.setdefault(row["objective"], []).append(row)
    value_error, own_loss = (
        [
            f"{np.mean(of_column(by_objective[objective], column)):.3g}"
            for objective in ("vagram", "mse", "mle")
        ]
        for column in ("value_error", "own_loss")
    )
    page = "\n".join(LINES)
    assert "{} for `vagram`, {} for `mse` and {} for `mle`".format(*value_error) in page
    assert "The own losses after 500 are {}, {} and {}:".format(*own_loss) in page


def check_shares(tables, others, cells, digits):
    """Looks for the rows of a table of `vagram`'s errors by those of other objectives."""
    errors = {}
    for table in tables:
        for row in rows_of(f"fit_study/{table}.csv"):
            key = table, row["task"], row["width"], row["objective"]
            errors.setdefault(key, []).append((float(row["value_error"]), float(row["own_loss"])))
    means = {key: np.mean(of, axis=0) for key, of in errors.items()}
    found = 0
    for table, task, width, objective in means:
        if objective != "vagram":
            continue
        shares = [
            means[table, task, width, objective] / means[table, task, width, other]
            for other in others
        ]
        shown = " | ".join(f"{share:{digits}}" for share in np.ravel(shares))
        assert f"| {task} | {width} | {shown} |" in LINES
        found += 1
    assert found == cells


def test_weights_are_those_of_their_fits():
    check_shares(("others", "weights"), ("vagram_dimension", "vagram_agreement"), 16, ".2f")


def test_value_aware_losses_are_those_of_their_fits():
    check_shares(("aware",), ("taylor", "itervaml", "calibrated_itervaml"), 4, ".2g")


@pytest.mark.parametrize("size, discount", [("evening", "0.99"), ("discount_95", "0.95")])
def test_errors_are_those_of_the_bottlenecks_fits(size, discount):
    runs = {}
    for row in rows_of(f"bottleneck_fits/{size}.csv"):
        runs.setdefault(row["objective"], {}).setdefault(row["source"], []).append(row)
    assert len(runs) == 4
    for objective, by_run in runs.items():
        assert len(by_run) == 5
        shown = []
        for column in ("task_error", "distractor_error", "value_error"):
            means = [np.mean(of_column(fits, column)) for fits in by_run.values()]
            if column == "value_error":
                means = [
                    mean / float(fits[0]["value_spread"])
                    for mean, fits in zip(means, by_run.values(), strict=True)
                ]
            shown.append(f"{np.mean(means):.2f} ({min(means):.2f} to {max(means):.2f})")
        assert f"| {discount} | `{objective}` | {' | '.join(shown)} |" in LINES


def test_returns_in_worse_models_are_those_of_the_quick_study():
    runs = {}
    for row in rows_of("model_limit/quick.csv"):
        runs.setdefault(row["setting"], {}).setdefault(row["seed"], []).append(float(row["return"]))
    assert set(runs) == {"learned", "shrunk_0.3", "shrunk_0.6", "sac"}
    for setting, by_seed in runs.items():
        whole = [f"{np.mean(returns):.0f}" for returns in by_seed.values()]
        assert len(whole) == 5
        last = np.mean([returns[-1] for returns in by_seed.values()])
        mean = np.mean(list(by_seed.values()))
        assert f"| `{setting}` | {mean:.0f} | {', '.join(whole)} | {last:.0f} |" in LINES


@pytest.mark.parametrize(
    "task", ["inverted_pendulum", "pendulum", "hopper", "hopper_without_value"]
)
def test_planners_are_those_of_their_files(task):
    document = json.loads((RESULTS / "planner" / f"{task}.json").read_text())
    shown = " | ".join(
        f"{of['return']['mean']:,.0f} [{of['return']['interval'][0]:,.0f}, "
        f"{of['return']['interval'][1]:,.0f}]"
        for of in (document["planner"], document)
    )
    speed = f"{document['planner']['plans_per_second']:.3g}"
    (line,) = [line for line in LINES if f"(planner/{task}.json)" in line]
    assert line.endswith(f"| {shown} | {speed} |")


@pytest.mark.parametrize("where, name", [("amd", "AMD EPYC"), ("intel", "Intel Xeon")])
def test_default_runs_are_those_of_their_files(where, name):
    for seed in range(5):
        rows = rows_of(f"default_seeds/{where}/progress_{seed}.csv")
        returns = " | ".join(f"{total:,.0f}" for total in of_column(rows, "mean_return"))
        first, *_, last = of_column(rows, "model_holdout_mse")
        line = f"| {name} | {seed} | {returns} | {first:.2g} | {last:.2g} | {last / first:.2f} |"
        assert line in LINES


def test_the_pretrained_run_is_one_of_the_default_runs():
    shipped = (RESULTS / "inverted_pendulum_vagram" / "progress.csv").read_bytes()
    assert shipped == (RESULTS / "default_seeds" / "amd" / "progress_0.csv").read_bytes()


def test_hoppers_returns_with_distractors_are_those_of_their_runs():
    """The tables beside the figure are those of the runs, and the page has their numbers."""
    directory = RESULTS / "distractors"
    evaluations, plans = run_tables.read([directory / "evening"])
    assert not [line for line in sweep_table.missing(evaluations, plans) if "missing" in line]
    cells = {}
    for name, last in (("curves_final", 0.1), ("whole_final", 1.0)):
        rows = rows_of(f"distractors/{name}.csv")
        for row, of in zip(rows, statistics.final(evaluations, last), strict=True):
            assert (row["setting"], row["mean"]) == (of.setting, f"{of.mean:.6g}")
            assert (row["low"] or "nan", row["high"] or "nan") == (
                f"{of.low:.6g}",
                f"{of.high:.6g}",
            )
            cells.setdefault((of.setting, row["seeds"]), []).append(with_interval(row))
    assert len(cells) == 5
    for (setting, seeds), shown in cells.items():
        curve = setting.removesuffix("_15_nonlinear")
        assert f"| `{curve}` | {seeds} | {' | '.join(shown)} |" in LINES


def test_hoppers_models_err_as_the_page_says():
    mse = {
        path.stem: of_column(rows_of(path.relative_to(RESULTS)), "model_holdout_mse")
        for path in (RESULTS / "distractors" / "evening").glob("*.csv")
        if not path.stem.startswith("sac")
    }

    def span(kind, at, digits=2):
        values = [column[at] for name, column in mse.items() if name.startswith(kind)]
        return " to ".join(f"{value:.{digits}f}" for value in (min(values), max(values)))

    page = "\n".join(LINES)
    assert f"falls from {span('', 0)} at the first evaluation to {span('vagram', -1)} " in page
    assert f"and to {span('mse', -1, 3)} under `mse`" in page
    assert f"under the likelihoods it stays at {span('mle', -1)}." in page


def test_hopper_without_a_model_is_within_the_span_of_runs_with_one():
    tables = (RESULTS / "model_limit" / "evening").glob("*.csv")
    whole = {
        path.stem: np.mean(of_column(rows_of(path.relative_to(RESULTS)), "mean_return"))
        for path in tables
    }
    without = whole.pop("sac_0")
    low, high = min(whole.values()), max(whole.values())
    assert low < without < high and len(whole) == 5
    said = (
        f"`sac_0` earns {without:.0f} over the whole run, within the span of the five of "
        f"`learned`, {low:.0f} to {high:.0f}."
    )
    assert said in "\n".join(LINES)


def test_critics_stay_sound_over_20_000_steps():
    """The largest Q of the study's runs, some of which are also those of other studies."""
    directory = RESULTS / "critics" / "long"
    runs = run_tables.tables(directory, Evaluation)
    shared = {"distractors": ("vagram", "mle"), "model_limit": ("learned",)}
    for study, begins in shared.items():
        of_study = run_tables.tables(RESULTS / study / "evening", Evaluation)
        runs |= {name: of for name, of in of_study.items() if name.startswith(begins)}
    q = max(float(run_table.row(name, of, 0.99).split(" | ")[5]) for name, of in runs.items())
    settings = {name.rpartition("_")[0].replace("learned", "vagram_0") for name in runs}
    planned = json.loads((RESULTS / "critics" / "long.json").read_text())["settings"]
    assert settings <= set(planned)
    page = "\n".join(LINES)
    assert f"the largest mean Q is at most {q:.2f} times the worth of the best policy seen" in page
    assert f"They are of {len(settings)} of the study's {len(planned)} settings" in page


def test_what_five_seeds_of_hopper_tell_and_what_they_do_not():
    tables = (RESULTS / "distractors" / "evening").glob("*.csv")
    best = {
        path.stem: max(of_column(rows_of(path.relative_to(RESULTS)), "mean_return"))
        for path in tables
    }
    page = "\n".join(LINES)
    for name in ("vagram", "mse", "mle_mean", "sac"):
        *first, last = [f"{best[f'{name}_15_nonlinear_{seed}']:,.0f}" for seed in range(5)]
        assert f"{', '.join(first)} and {last} for `{name}`" in page

    def apart(table, other):
        of = {row["setting"]: row for row in rows_of(f"distractors/{table}.csv")}
        low = float(of["vagram_15_nonlinear"]["low"])
        return low > float(of[f"{other}_15_nonlinear"]["high"])

    others = ("mle_mean", "mse", "sac")
    assert [apart("curves_final", other) for other in others] == [True, False, False]
    assert [apart("whole_final", other) for other in others] == [False, False, False]
