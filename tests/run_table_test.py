"""The table of runs: hand-computed, and the one of the committed runs."""

import re

import programs
import pytest
from committed import RESULTS

from experiments import run_table
from experiments.run_table import Evaluation
from vagram_tf.commands.learning_curves import run_tables

PAGE = (RESULTS / "README.md").read_text()
COMMITTED = [
    RESULTS / study / size
    for study in ("model_limit", "distractors")
    for size in ("evening", "learned_temperature", "mostly_imagined")
] + [RESULTS / "critics" / size for size in ("evening", "long")]


def test_row_of_a_run_by_hand():
    evaluations = [
        Evaluation(1000 * i, mean_return=total, mean_length=2.0, q_mean=q, temperature=0.1 * i)
        for i, (total, q) in enumerate([(100, 2), (6, 3), (10, 30), (2, 9), (4, 5), (8, 1)], 1)
    ]
    # Best: 50 a step, discounted by a half 50 + 25. The last five: 6, 10, 2, 4, 8.
    assert run_table.row("mine", evaluations, discount=0.5) == (
        "| `mine` | 6,000 | 22 | 6 | 100 | 0.40 | 0.60 |"
    )


def test_what_the_best_policy_loses_measures_no_critics():
    lost, nothing = (Evaluation(1000, total, 9.0, -30.0, 0.1) for total in (-200.0, 0.0))
    for of in ([lost], [lost, nothing]):
        assert "| - |" in run_table.row("mine", of, discount=0.99)


TABLE = "env_step,mean_return,mean_length,q_mean,temperature\n10,5,5,2,0.1\n"


def rows(*directories):
    arguments = [f"--runs={directory}" for directory in directories]
    process = programs.program("run_table", arguments)
    assert process.returncode == 0, process.stderr
    return re.findall(r"^\| `(.*)` \| 10 \| 5 \| 5 \| 5 \|", process.stdout, re.MULTILINE)


def test_table_of_a_sweeps_runs_and_of_tables_alone(tmp_path):
    run = tmp_path / "runs" / "mle" / "Hopper-v5" / "mle" / "0"
    run.mkdir(parents=True)
    (run / "progress.csv").write_text(TABLE)
    (run / "value_sensitivity.csv").write_text("no progress\n")
    tables = tmp_path / "tables"
    tables.mkdir()
    (tables / "mle_0.csv").write_text(TABLE)
    assert rows(tmp_path / "runs") == ["mle/Hopper-v5/mle/0"]
    assert rows(run) == ["."]
    assert rows(tables) == ["mle_0"]
    assert rows(run, tables, tables) == [str(run), *[f"{tables}/mle_0"] * 2]


@pytest.mark.parametrize("directory", COMMITTED, ids=lambda path: f"{path.parent.name}_{path.name}")
def test_tables_of_the_page_are_those_of_the_committed_runs(directory):
    """The first table after the link to their directory."""
    after = PAGE[PAGE.index(f"[progress]({directory.relative_to(RESULTS)})") :]
    table = re.search(r"^\| run \|.*\n\|---.*\n((?:\|.*\n)+)", after, re.MULTILINE)
    expected = {
        run_table.row(*of, discount=0.99) for of in run_tables.tables(directory, Evaluation).items()
    }
    shown = table[1].splitlines()
    assert len(shown) == len(expected) and set(shown) == expected
