"""Sweeps: what is skipped, continued, retried, stopped, reported, estimated and refused."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import types

import killed
import programs
import pytest

from vagram_tf.commands.sweeps import display, process, run_files, study, work, workers
from vagram_tf.commands.sweeps.display import RunProgress
from vagram_tf.commands.sweeps.process import Outcome, StartedIn
from vagram_tf.commands.sweeps.study import Run
from vagram_tf.study import Study, product, vary


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep of two runs, one of them killed, beside a third whose directory holds another
    configuration.
    """
    tmp_path = tmp_path_factory.mktemp("sweep")
    killed.occupy(tmp_path, "occupied")
    more = {"occupied": {"environment_timeout": 62.0}}
    return tmp_path, more, *killed.start(tmp_path, "--jobs=2", more=more, whom="self")


@pytest.mark.slow
def test_killed_run_is_continued_to_the_same_bytes(swept):
    tmp_path, _, _, runs = swept
    killed.check_one_was_killed_and_continued(tmp_path, runs)


@pytest.mark.slow
def test_failing_run_stops_no_other_and_is_named_with_its_log(swept):
    tmp_path, _, process, _ = swept
    assert process.returncode == 1 and programs.error_lines(process) == []
    assert (
        "finished  one, seed 3: return " in process.stdout
        and "finished  two, seed 3: return " in process.stdout
    )
    failed = process.stdout.partition("failed:\n")[2].splitlines()
    assert (
        failed[0].startswith("  occupied, seed 3: ") and "members was 5 and is now 3" in failed[0]
    )
    assert failed[1] == f"    {tmp_path}/pair/tiny/occupied/seed_3.log"


@pytest.mark.slow
def test_results_are_those_of_the_runs(swept):
    tmp_path, _, process, runs = swept
    with open(tmp_path / "pair" / "tiny.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == (
        "study",
        "setting",
        "seed",
        "env_step",
        "return",
        "length",
        "wall_time",
    )
    expected = [
        (name, row["env_step"], row["mean_return"], row["mean_length"])
        for name, run in zip(killed.EQUAL, runs, strict=True)
        for row in programs.progress(run)
    ]
    assert [
        (row["setting"], row["env_step"], row["return"], row["length"]) for row in rows
    ] == expected
    assert {(row["study"], row["seed"]) for row in rows} == {("pair", "3")}
    for name in killed.EQUAL:
        times = [float(row["wall_time"]) for row in rows if row["setting"] == name]
        assert times == sorted(times) and 0 < times[0] <= times[-1]
    settings = json.loads((tmp_path / "pair" / "tiny.json").read_text())
    assert settings["seeds"] == [3] and list(settings["settings"]) == ["one", "two", "occupied"]
    assert settings["settings"]["two"]["run"]["environment_timeout"] == 61.0
    assert f"results   {tmp_path}/pair/tiny.csv" in process.stdout


@pytest.mark.slow
def test_finished_runs_are_skipped(swept):
    tmp_path, more, _, runs = swept
    logs = [run.parents[2] / "seed_3.log" for run in runs]
    before, results = (
        [log.stat().st_mtime_ns for log in logs],
        (tmp_path / "pair" / "tiny.csv").read_bytes(),
    )
    process, _ = killed.start(tmp_path, more=more)
    assert "3 runs, 2 of them finished already" in process.stdout
    assert process.returncode == 1 and "failed    occupied, seed 3: " in process.stdout
    assert "finished  one" not in process.stdout  # which is no news
    assert [log.stat().st_mtime_ns for log in logs] == before
    assert (tmp_path / "pair" / "tiny.csv").read_bytes() == results


@pytest.fixture
def left(swept, tmp_path):
    """The files of a run with a model, as it has left them, and where its exports are."""
    _, _, _, (path, _) = swept
    config = study.runs(Study({"one": {}}, [3], killed.COMMON))[0].config
    config = config.replace(rollout_model="learned")
    files = run_files.RunFiles(tmp_path, Run("one", 3, config))
    files.path.mkdir(parents=True)
    (files.path / "config.json").write_text(config.to_json())
    (files.path / "progress.csv").write_bytes((path / "progress.csv").read_bytes())
    exports = files.path / "export"
    exports.mkdir()
    for kind in ("policy", "tf_agents_policy"):
        (exports / kind).symlink_to(path / "export" / kind)
    (exports / "dynamics").symlink_to(programs.finished_run()[1] / "export" / "dynamics")
    return files, exports


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["row", "dynamics", "policy", "tf_agents_policy", "config"])
def test_unfinished_runs_are_not_skipped(left, tmp_path, damage):
    """A run is finished when its last row is there, its exports are whole, and it is this one."""
    files, exports = left
    assert files.finished()
    if damage == "row":
        text = (files.path / "progress.csv").read_text()
        (files.path / "progress.csv").write_text(text[:-1])  # the last line is not complete
    elif damage == "config":
        run = files.run
        files = run_files.RunFiles(tmp_path, run._replace(config=run.config.replace(num_steps=70)))
    else:
        (exports / damage).unlink()
    assert not files.finished()


@pytest.mark.slow
def test_a_number_that_is_written_otherwise_is_the_same_run(left, tmp_path):
    files, _ = left
    config = files.run.config.replace(warm_up_epochs=1)
    assert config == files.run.config and config.to_json() != files.run.config.to_json()
    again = run_files.RunFiles(tmp_path, files.run._replace(config=config))
    assert again.finished() and again.evaluations() == files.evaluations() != []


@pytest.mark.slow
def test_run_without_a_model_is_finished_without_its_export(left, tmp_path):
    files, exports = left
    (exports / "dynamics").unlink()
    config = files.run.config.replace(rollout_model="none")
    (files.path / "config.json").write_text(config.to_json())
    assert run_files.RunFiles(tmp_path, files.run._replace(config=config)).finished()


# In the place of experiments.mbpo: leaves its configuration and a checkpoint of a later step and
# does something.
_FAKE = """
import os, pathlib, shutil, signal, sys, time
checkpoints = pathlib.Path(sys.argv[1]) / "checkpoints"
step = len(list(checkpoints.glob("*"))) + 1
(checkpoints / str(step)).mkdir(parents=True)
shutil.copy(sys.argv[2], checkpoints.parent / "config.json")
print(f"step {step} of the fake", flush=True)
"""
_KILL = "os.kill(os.getpid(), signal.SIGKILL)"
_WAIT = (
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); "
    "print('waits', flush=True); time.sleep(60)"
)


@pytest.fixture
def faked(monkeypatch, tmp_path):
    """Returns a function that makes the files of a run whose process runs a statement instead of a
    training.
    """
    statements = {}
    monkeypatch.setattr(process, "_POLL_SECONDS", 0.02)
    monkeypatch.setattr(
        process,
        "command",
        lambda files: [
            sys.executable,
            "-c",
            _FAKE + statements[files.run.setting],
            str(files.path),
            str(files.config),
        ],
    )

    def make(setting, statement):
        statements[setting] = statement
        return run_files.RunFiles(tmp_path, Run(setting, 0, programs.tiny()))

    return make


@pytest.mark.parametrize(
    "statement, starts, error",
    [
        (_KILL, 4, "killed by SIGKILL again, after 3 restarts"),
        (
            f"if step == 2: (checkpoints / '2').rmdir()\n{_KILL}",
            2,
            "killed by SIGKILL without getting further",
        ),
        ("sys.exit('error: the disk is full')", 1, "the disk is full"),
        ("raise ValueError('three\\nlines')", 1, "lines"),
        ("pass", 1, "stopped before its last step"),
    ],
)
def test_only_a_killed_run_that_gets_further_is_started_again(
    faked, tmp_path, statement, starts, error
):
    files = faked("a", statement)
    assert process.supervise(files, tmp_path / "stop", StartedIn.here()) == Outcome(False, error)
    assert files.log.read_text().count("of the fake") == starts
    assert files.spent()[0] > 0


def test_time_is_summed_over_processes(faked, tmp_path):
    files = faked(
        "a",
        "(checkpoints.parent / 'progress.csv').write_text('env_step,mean_return,mean_length\\n'\n"
        "    + ''.join(f'{i},1.5,2\\n' for i in range(step)))\ntime.sleep(0.2)",
    )
    process.supervise(files, tmp_path / "stop", StartedIn.here())
    first, seen = files.spent()
    assert 0.2 <= first and list(seen) == [0] and seen[0] <= first
    process.supervise(files, tmp_path / "stop", StartedIn.here())
    second, both = files.spent()
    assert second >= first + 0.2 and both == {0: seen[0], 1: both[1]} and first < both[1] <= second
    run_files.write_results(tmp_path / "out.csv", "s", [files])
    assert (tmp_path / "out.csv").read_text().splitlines()[1:] == [
        f"s,a,0,0,1.5,2,{seen[0]:.1f}",
        f"s,a,0,1,1.5,2,{both[1]:.1f}",
    ]


def test_run_that_ends_at_once_is_timed_and_its_evaluations_are_seen(faked, tmp_path, monkeypatch):
    class Ended(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.wait()

    monkeypatch.setattr(process.subprocess, "Popen", Ended)
    files = faked(
        "a",
        "(checkpoints.parent / "
        "'progress.csv').write_text('env_step,mean_return,mean_length\\n7,1.5,2\\n')",
    )
    process.supervise(files, tmp_path / "stop", StartedIn.here())
    seconds, evaluations = files.spent()
    assert 0 < seconds and evaluations == {7: seconds}


def test_results_that_cannot_be_written_are_told_and_stop_nothing(tmp_path, capsys):
    (tmp_path / "out.csv").mkdir()
    assert not work._write_results(tmp_path / "out.csv", "s", [])
    assert capsys.readouterr().err == f"warning: cannot write {tmp_path}/out.csv: Is a directory\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


class Asked:
    """Interrupts of a sweep that is asked to stop once its runs wait."""

    by_keyboard = False

    def __init__(self, *files):
        self._files = files

    def requested(self):
        return all("waits" in files.log_tail() for files in self._files)


def test_stopped_sweep_ends_its_runs_gently_and_starts_no_other(
    faked, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(work, "_REFRESH_SECONDS", 0.05)
    runs = [faked(name, _WAIT) for name in "abc"]
    (tmp_path / "size").mkdir()
    code = work.sweep(
        "s, size", "s", runs, tmp_path / "size.csv", workers.LocalWorkers(2), Asked(*runs[:2])
    )
    assert code == 0
    assert "stopped with 3 runs to go; the same command continues them" in capsys.readouterr().out
    assert not runs[2].log.exists()
    assert all(run.checkpoint() == 1 for run in runs[:2])


def test_sweep_that_fails_ends_its_runs_gently_and_starts_no_other(faked, tmp_path, monkeypatch):
    monkeypatch.setattr(work, "_REFRESH_SECONDS", 0.05)
    runs = [faked(name, _WAIT) for name in "abc"]
    (tmp_path / "size").mkdir()

    def fail(*_):
        if Asked(*runs[:2]).requested():
            raise BrokenPipeError

    monkeypatch.setattr(display.Display, "update", fail)
    local = workers.LocalWorkers(2)
    with pytest.raises(BrokenPipeError):
        work.sweep(
            "s, size",
            "s",
            runs,
            tmp_path / "size.csv",
            local,
            types.SimpleNamespace(requested=lambda: False),
        )
    local._pool.shutdown()  # waits for them, as the end of the program does
    assert local.outcomes() == [Outcome(False)] * 3
    assert not runs[2].log.exists() and all(run.checkpoint() == 1 for run in runs[:2])


def test_run_dies_with_who_has_started_it(tmp_path):
    """A parent that is killed leaves no run behind."""
    code = (
        "import subprocess, sys, os, signal; child = subprocess.Popen([sys.executable, '-m', "
        "'vagram_tf.commands.sweeps.child', str(os.getpid()), *sys.argv[1:]], "
        "stdout=subprocess.PIPE); "
        "print(child.pid, flush=True); child.stdout.readline(); os.kill(os.getpid(), "
        "signal.SIGKILL)"
    )
    arguments = [*programs.flags(), f"--workdir={tmp_path}"]
    result = programs.python("-c", code, *arguments)
    assert result.returncode == -signal.SIGKILL
    child = int(result.stdout)
    for _ in range(100):
        if (
            not os.path.exists(f"/proc/{child}")
            or "State:\tZ" in open(f"/proc/{child}/status").read()
        ):
            return
        threading.Event().wait(0.1)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the run lives on")


def test_time_left():
    """Half of a run took 100 s, a quarter of another 10 s; a run of the first setting takes 200 s,
    of a third 120 s.
    """
    runs = [
        ("a", RunProgress(0, 0.5, 100.0, "")),
        ("b", RunProgress(0, 0.25, 10.0, "")),
        ("a", RunProgress(0, 0.0, 0.0, "")),
        ("c", RunProgress(0, 0.0, 5.0, "")),
        ("a", RunProgress(0, 1.0, 200.0, "1")),
    ]
    assert display.seconds_left(runs) == [100.0, 30.0, 200.0, pytest.approx(440 / 3 - 5), 0.0]
    # Nearly all of it its start.
    assert display.seconds_left([("a", RunProgress(31, 0.01, 90.0, ""))]) == [None]


def test_terminal_shows_a_table_in_the_place_of_the_one_before(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdout", programs.Terminal())
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: (100, 24))
    first, second = (
        run_files.RunFiles(tmp_path, Run(name, 0, programs.tiny())) for name in ("first", "second")
    )
    shown = display.Display("s, size", [first, second], [None, None])
    for files, step in ((first, 60), (second, 30)):
        files.path.mkdir(parents=True)
        files.log.write_text(f"step {step}/90 [training]\n")
        files.write_spent(40.0, {})
    (first.path / "config.json").write_text(first.run.config.to_json())
    (first.path / "progress.csv").write_text("env_step,mean_return,mean_length\n60,-3.25,25\n")
    shown.update([None, None], False)
    head, *table = sys.stdout.getvalue().split("\n")
    assert head == "\r\x1b[Js, size: 0 of 2 runs finished, 2 at work, 00:40 left"  # 80 s a run
    assert [line.split() for line in table] == [
        ["setting", "seed", "step", "return", "time", "left"],
        ["first", "0", "60/90", "-3.2", "00:40"],
        ["second", "0", "30/90", "–", "00:40"],
        [],
    ]
    sys.stdout.seek(sys.stdout.truncate(0))
    shown.update([Outcome(True), None], True)
    news, head, *table = sys.stdout.getvalue().split("\n")
    assert news == "\x1b[4A\r\x1b[Jfinished  first, seed 0: return -3.2 at step 60, 00:40"
    assert (
        head == "s, size: 1 of 2 runs finished, 1 at work, 00:40 left, stopping" and len(table) == 3
    )


def test_run_that_has_taken_its_last_step_is_finishing(tmp_path, monkeypatch):
    """It is evaluated, drawn and exported, which takes a while."""
    monkeypatch.setattr(sys, "stdout", programs.Terminal())
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: (100, 24))
    files = run_files.RunFiles(tmp_path, Run("first", 0, programs.tiny()))
    shown = display.Display("s, size", [files], [None])
    files.path.mkdir(parents=True)
    files.log.write_text("step 90/90 [exporting, return -3]\n")
    files.write_spent(40.0, {})
    shown.update([None], False)
    head, _, row, _ = sys.stdout.getvalue().split("\n")
    assert head.endswith("0 of 1 runs finished, 1 at work, finishing")
    assert row.split() == ["first", "0", "90/90", "–", "finishing"]


def test_step_is_the_last_that_the_log_or_the_table_tells(tmp_path):
    files = run_files.RunFiles(tmp_path, Run("a", 0, programs.tiny()))
    assert (files.step(), display.progress(files)) == (0, RunProgress(0, 0.0, 0.0, ""))
    files.path.mkdir(parents=True)
    (files.path / "config.json").write_text(files.run.config.to_json())
    (files.path / "progress.csv").write_text(
        "env_step,mean_return,mean_length\n40,-3.5,25\n50,-2.5,2"
    )
    assert display.progress(files) == RunProgress(40, 10 / 60, 0.0, "-3.5")
    files.log.write_text("step 30/90 [exploring]\nstep      60   greedy return     -3.5\n")
    assert files.step() == 60


@pytest.mark.parametrize("rows", ["\0\0\0", "40,-3.5", "40,,25", "forty,-3.5,25", "\xff"])
def test_damaged_table_has_no_evaluations(tmp_path, rows):
    files = run_files.RunFiles(tmp_path, Run("a", 0, programs.tiny()))
    files.path.mkdir(parents=True)
    (files.path / "config.json").write_text(files.run.config.to_json())
    table = files.path / "progress.csv"
    table.write_text("env_step,mean_return,mean_length\n40,-3.5,25\n")
    assert files.evaluations() == [(40, "-3.5", "25")]
    table.write_bytes(f"env_step,mean_return,mean_length\n{rows}\n".encode("latin-1"))
    assert (files.evaluations(), files.step()) == ([], 0)


def test_products_and_their_names():
    models = {"big": {"model_hidden_units": (9, 9)}, "small": {"model_hidden_units": (3,)}}
    assert product(vary("distractors", 0, 5), models) == {
        "0_big": {"distractors": 0, "model_hidden_units": (9, 9)},
        "0_small": {"distractors": 0, "model_hidden_units": (3,)},
        "5_big": {"distractors": 5, "model_hidden_units": (9, 9)},
        "5_small": {"distractors": 5, "model_hidden_units": (3,)},
    }
    with pytest.raises(ValueError, match="the same name"):
        product({"a_b": {}, "a": {}}, {"c": {}, "b_c": {}})


def test_runs_have_the_preset_the_common_changes_and_their_own():
    runs = study.runs(
        Study(
            {"x": {"loss": "mle"}, "y": {"members": 6}},
            (4, 2),
            {"name": "Hopper-v5", "loss": "mse"},
        )
    )
    assert [(run.setting, run.seed) for run in runs] == [("x", 4), ("y", 4), ("x", 2), ("y", 2)]
    config = runs[3].config
    assert config.run.seed == 2 and config.run.threads == 1 and config.model.loss == "mse"
    assert config.model.members == 6 and config.dyna.random_steps == 5000  # the preset's
    assert runs[0].config.model.loss == "mle"


@pytest.mark.parametrize(
    "settings, seeds, words",
    [
        ({}, [0], "the study has no settings"),
        ({"a": {}}, [], "the study has no seeds"),
        (["a"], [0], "settings must be a dictionary, got list"),
        ({"a": {}}, 5, "seeds must be a list of whole numbers or a range, got 5"),
        ({"a": {}}, {0}, r"seeds must be a list of whole numbers or a range, got \{0\}"),
        ({"a": {}}, [0, 1, 0], "seed 0 occurs twice"),
        ({"a": {}}, [-1], "at least 0, got -1"),
        ({"a": {}}, [0.5], "seed must be a whole number, got 0.5"),
        ({"a": {"los": "mle"}}, [0], r"setting a: there is no setting 'los'; did you mean loss\?"),
        ({"a": {"loss": "vagrm"}}, [0], "setting a: loss must be one of .*'vagrm'"),
        ({"a": {"members": "7"}}, [0], "setting a: members must be a whole number, got '7'"),
        ({"a": 3}, [0], "setting a: "),
        ({"a": {"seed": 1}}, [0], "setting a: seed is no setting of a study"),
        ({"a": {"threads": 2}}, [0], "setting a: threads is no setting of a study"),
        ({"a": {}, "b": {"members": 7}}, [0], "settings a and b are the same"),
        ({"../a": {}}, [0], "a setting's name must be"),
        ({"a b": {}}, [0], "a setting's name must be"),
        ({"stop": {}}, [0], "a setting cannot be called 'stop'"),
        ({"lock": {}}, [0], "a setting cannot be called 'lock'"),
    ],
)
def test_impossible_study_is_refused(settings, seeds, words):
    with pytest.raises(ValueError, match=words) as caught:
        study.runs(Study(settings, seeds))
    assert "\n" not in str(caught.value)


_IMPORT = "from vagram_tf.study import Study\n"


@pytest.mark.parametrize(
    "text, arguments, words",
    [
        (None, [], "--study is needed"),
        (None, ["--study=pendulums"], "there is no study 'pendulums'; did you mean pendulum?"),
        (None, ["--study=/no/such.py"], "there is no file /no/such.py"),
        (None, ["--study=pendulum", "--size=huge"], "has no size 'huge'; it has full, evening"),
        (None, ["--study=pendulum", "--jobs=0"], "jobs"),
        (None, ["--study=pendulum", "--workdir=/proc/runs"], "/proc/runs"),
        ("1 / 0", [], "fails: ZeroDivisionError: division by zero"),
        ("x = 1", [], "has no constant that is a Study"),
        (
            _IMPORT + "EVENING = Study({'a': {'name': 'Hoper-v5'}}, [0])",
            [],
            "unknown environment 'Hoper-v5'",
        ),
        (
            _IMPORT + "EVENING = Study({'a': {'name': 'CartPole-v1'}}, [0])",
            [],
            "unsupported action space",
        ),
        (
            _IMPORT + "EVENING = Study({'a': {'loss': 'nosuch:mine'}}, [0])",
            [],
            "there is no module nosuch",
        ),
        (_IMPORT + "EVENING = Study({'a': {}, 'b': {}}, [0])", [], "settings a and b are the same"),
    ],
)
def test_bad_input_is_refused_in_one_line(text, arguments, words, tmp_path):
    if text:
        (tmp_path / "mine.py").write_text(text + "\n")
        arguments = [f"--study={tmp_path / 'mine.py'}"]
    assert words in programs.refused("sweep", [f"--workdir={tmp_path / 'sweeps'}", *arguments])
    assert not (tmp_path / "sweeps").exists()  # nothing was begun


def test_second_sweep_of_a_study_is_refused(tmp_path):
    with run_files.lock(tmp_path / "pendulum" / "evening"):
        line = programs.refused("sweep", ["--study=pendulum", f"--workdir={tmp_path}"])
    assert line == f"error: another sweep is at work in {tmp_path}/pendulum/evening"
