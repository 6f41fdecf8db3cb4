"""The table of runs: hand-computed, and the one of the committed runs."""

import programs
import pytest

from experiments import run_table
from experiments.run_table import Evaluation

RESULTS = programs.ROOT / "results"
LINES = (RESULTS / "README.md").read_text().splitlines()
COMMITTED = [
    RESULTS / study / size
    for study in ("model_limit", "distractors")
    for size in ("evening", "learned_temperature", "mostly_imagined")
] + [RESULTS / "critics" / "evening"]


def test_row_of_a_run_by_hand():
    evaluations = [
        Evaluation(1000 * i, mean_return=total, mean_length=2.0, q_mean=q, temperature=0.1 * i)
        for i, (total, q) in enumerate([(100, 2), (6, 3), (10, 30), (2, 9), (4, 5), (8, 1)], 1)
    ]
    # Best: 50 a step, discounted by a half 50 + 25. The last five: 6, 10, 2, 4, 8.
    assert run_table.row("mine", evaluations, discount=0.5) == (
        "| `mine` | 6,000 | 22 | 6 | 100 | 0.40 | 0.60 |"
    )


def test_table_of_a_sweeps_runs_and_of_tables_alone(tmp_path, capsys):
    table = "env_step,mean_return,mean_length,q_mean,temperature\n10,5,5,2,0.1\n"
    run = tmp_path / "runs" / "mle" / "Hopper-v5" / "mle" / "0"
    run.mkdir(parents=True)
    (run / "progress.csv").write_text(table)
    (run / "value_sensitivity.csv").write_text("no progress\n")
    (tmp_path / "mle_0.csv").write_text(table)
    for directory, name in (
        (tmp_path / "runs", "mle/Hopper-v5/mle/0"),
        (run, "."),
    ):
        run_table.run(run_table.Order(run_table._tables(directory), 0.99))
        assert f"| `{name}` | 10 | 5 | 5 | 5 |" in capsys.readouterr().out
    (run / "progress.csv").unlink()
    run_table.run(run_table.Order(run_table._tables(tmp_path), 0.99))
    assert "| `mle_0` | 10 | 5 | 5 | 5 |" in capsys.readouterr().out


@pytest.mark.parametrize("directory", COMMITTED, ids=lambda path: f"{path.parent.name}_{path.name}")
def test_rows_of_the_page_are_those_of_the_committed_runs(directory):
    rows = [run_table.row(*of, discount=0.99) for of in run_table._tables(directory).items()]
    assert rows and set(rows) <= set(LINES)


def test_page_has_no_row_of_a_run_that_is_not_there():
    shown = [line for line in LINES if line.startswith("| `") and line.count("|") == 8]
    names = {name for directory in COMMITTED for name in run_table._tables(directory)}
    assert {line.split("`")[1] for line in shown} == names
