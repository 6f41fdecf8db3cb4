"""The numbers in the tables of README and docs/when.md are those of the committed results."""

import json

import numpy as np
import programs
import pytest
from committed import RESULTS, of_column, rows_of

_CASE = "_InvertedPendulum_10_rotation"
LINES = (programs.ROOT / "README.md").read_text().splitlines()


@pytest.mark.parametrize(
    "task, named, width",
    [
        ("Hopper-v5, 30 rotation", "Hopper-v5, 30 predictable distractors", "32x32"),
        (
            "InvertedPendulum-v5, 10 rotation",
            "InvertedPendulum-v5, 10 predictable distractors",
            "64x64",
        ),
    ],
)
def test_value_errors_are_those_of_the_fit_study(task, named, width):
    cells = [
        np.mean(
            [
                float(row["value_error"])
                for row in rows_of("fit_study/fit_study.csv")
                if (row["task"], row["width"], row["objective"]) == (task, width, objective)
            ]
        )
        for objective in ("vagram", "mse", "mle")
    ]
    shown = " | ".join(f"{cell:.3g}" for cell in cells)
    assert f"| value error of fresh models, {named}, {width} | {shown} | | |" in LINES


def span(rows, column, digits=2):
    values = of_column(rows, column)
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}"


def test_signs_are_those_of_the_fit_study():
    lines = (programs.ROOT / "docs" / "when.md").read_text().splitlines()
    by_task = {}
    for row in rows_of("fit_study/fit_study_signs.csv"):
        by_task.setdefault(row["task"], []).append(row)
    assert len(by_task) == 4
    for task, cells in by_task.items():
        signs = cells[0]
        assert (
            f"| {task} | {float(signs['rank']):.1f} | {float(signs['dimensions']):.1f} of "
            f"{signs['of_dimensions']} | {span(cells, 'of_mse')} | {span(cells, 'of_mle')} |"
        ) in lines


@pytest.mark.parametrize("size, discount", [("discount_95", "0.95"), ("evening", "0.99")])
def test_signs_are_those_of_the_bottlenecks_runs(size, discount):
    rows = rows_of(f"bottleneck_fits/{size}_signs.csv")
    assert len(rows) == 5

    assert (
        f"| Pendulum-v1, 30 rotation, discount {discount}, 16x16 | {span(rows, 'rank', 1)} | "
        f"{span(rows, 'dimensions', 1)} of 33 | {span(rows, 'of_mse')} | {span(rows, 'of_mle')} |"
    ) in (programs.ROOT / "docs" / "when.md").read_text().splitlines()


@pytest.mark.parametrize(
    "study, panel, step, named",
    [
        ("pendulum", _CASE, 3000, "return, InvertedPendulum-v5, the same case, step 3,000"),
        (
            "bottleneck",
            "",
            3000,
            "return, Pendulum-v1, 30 predictable distractors, 16x16, step 3,000",
        ),
        (
            "bottleneck_discount_95",
            "",
            3000,
            "return, the same with a discount of 0.95, step 3,000",
        ),
    ],
)
def test_returns_are_those_of_the_studies(study, panel, step, named):
    of = {
        row["setting"].removesuffix(panel): row
        for row in rows_of(f"{study}/curves.csv")
        if int(row["env_step"]) == step
    }
    assert {row["seeds"] for row in of.values()} == {"10"}
    shown = " | ".join(
        "{:,.0f} [{:,.0f}, {:,.0f}]".format(
            *(float(of[name][key]) for key in ("mean", "low", "high"))
        )
        for name in ("vagram", "mse", "mle", "mle_mean", "sac")
    )
    assert f"| {named}, ten seeds | {shown} |" in LINES


def measured(what):
    """Returns the committed benchmark's rows: by name, a row's value, or its share of the limit."""
    rows = json.loads((RESULTS / "benchmark.json").read_text())["rows"]
    return {row["name"]: row[what] for row in rows}


def test_costs_are_those_of_the_benchmark():
    values = measured("value")
    page = (programs.ROOT / "docs" / "speed.md").read_text()
    first, last, alone = (
        (values[f"Hopper, {stored}: 250 training steps"], values[f"Hopper, {stored}: peak memory"])
        for stored in ("5,000 stored", "125,000 stored", "30,000 stored, one thread")
    )
    assert f"a training step takes {first[0] / 250:.3f} s and {last[0] / 250:.3f} s" in page
    assert f"a run {first[1]:.2f} GB and {last[1]:.2f} GB" in page
    two, four = (values[f"{count} single-threaded processes by one"] for count in (2, 4))
    assert f"do {two:.2f} times the work of one, four do {four:.2f} times" in page
    memory = [values[f"{count} single-threaded processes: memory"] for count in (1, 2, 4)]
    assert "One holds {:.2f} GB, two {:.2f} GB, four {:.2f} GB".format(*memory) in page
    runs, steps = 630, 125_000  # of the study `distractors` in full
    hours = alone[0] / 250 * steps / 3600
    days = runs * hours / 24
    assert f"a round of 250 steps takes {alone[0]:.1f} s at 30,000 stored" in page
    assert f"{hours:.1f} hours a run, and {days:.0f} days of a core for all" in page
    assert f"n cores take {days:.0f}/n days" in page


def test_speeds_are_those_of_the_benchmark():
    values = measured("value")

    def number(value):
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

    for named, ours, peers, unit in (
        (
            "SAC updates, 2×256, 20 per call",
            "SAC updates, 2×256",
            ("mbrl-lib", "sbx (20 per call)"),
            "updates/s",
        ),
        (
            "ensemble steps, 7 × 4×200, batch 256",
            "ensemble steps, mle, batch 256",
            ("mbrl-lib",),
            "steps/s",
        ),
    ):
        beside = [values[f"{ours}, {peer}"] for peer in peers]
        cells = [f"{number(peer)} ({values[ours] / peer:.2f} ×)" for peer in beside]
        cells += [""] * (2 - len(cells))
        assert f"| {named} | {number(values[ours])} {unit} | {' | '.join(cells)} |" in LINES
    name = "Hopper, equal epochs: 1,000 training steps"
    ours, theirs = values[name], values[f"{name}, mbrl-lib"]
    assert (
        f"| Hopper-v5, 1,000 training steps, equal epochs | {number(ours)} s | {number(theirs)} "
        f"({theirs / ours:.2f} ×) |  |"
    ) in LINES


def test_aims_are_set_beside_what_the_benchmark_has_measured():
    values, shares = measured("value"), measured("share")
    lines = (programs.ROOT / "docs" / "speed.md").read_text().splitlines()
    start = lines.index("| | aim | here |") + 2
    step = "ensemble steps, mle, batch 256"
    large = "ensemble steps, mle, batch 1024"
    peer = values[f"{step}, mbrl-lib"]
    further = "equal epochs, training steps 1,000 to 5,000, mbrl-lib by this"
    assert [line.split(" | ")[-1] for line in lines[start : start + 9]] == [
        f"{100 * shares[step]:.0f} % |",
        f"{values[step] / peer:.2f} × |",
        f"{100 * shares[large]:.0f} % |",
        f"{values[large] / values[f'{large}, mbrl-lib']:.2f} × |",
        f"{values[further]:.2f} × |",
        f"{values['Hopper, 100,000 stored: outside fits and SAC updates']:.1f} % |",
        f"{values['Hopper, 125,000 stored: peak memory']:.2f} GB |",
        f"{values['from the command to the first training step']:.1f} s |",
        f"{values['from the command to the next one of a run that continues']:.1f} s |",
    ]
    alone = values[f"matrix products of {step}"] / peer
    said = f"would be {alone:.2f} times as fast as a whole step of mbrl-lib"
    assert any(said in line for line in lines)
    loop = "Hopper, equal epochs, longer"
    updates, steps = 100_000, values[f"{loop}: ensemble steps taken"]
    products = updates / values["matrix products of SAC updates, 2×256"]
    products += steps / values[f"matrix products of {step}"]
    third = values[f"{loop}: 5,000 training steps, mbrl-lib"] / 3
    said = (
        f"the products of its {updates:,} SAC updates and {steps:,} ensemble steps alone would "
        f"take {products:.0f} s, and a third of mbrl-lib's time is {third:.0f} s"
    )
    assert any(said in line for line in lines)


def test_hoppers_returns_with_distractors_are_those_of_the_committed_runs():
    of = {
        row["setting"].removesuffix("_15_nonlinear"): row
        for row in rows_of("distractors/curves_final.csv")
    }

    def shown(name):
        seeds = int(of[name]["seeds"])
        cell = f"{float(of[name]['mean']):,.0f}"
        if seeds > 1:
            cell += f" [{float(of[name]['low']):,.0f}, {float(of[name]['high']):,.0f}]"
        return cell if seeds == 5 else f"{cell} ({seeds} seed{'s' * (seeds > 1)})"

    cells = " | ".join(map(shown, ("vagram", "mse", "mle", "mle_mean", "sac")))
    assert (
        f"| return, Hopper-v5, 15 nonlinear distractors, at the end, five seeds | {cells} |"
    ) in LINES
