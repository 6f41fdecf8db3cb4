"""The skeleton of the programs, with a toy: refusals, faults, exit codes, help, closed pipes; and
its inputs.
"""

import os
import subprocess
import sys

import programs
import pytest

import vagram_tf
from vagram_tf.commands import inputs


def toy(*arguments):
    return programs.python("-m", "toy", *arguments)


def installed(command):
    """Asks a console script for help."""
    return programs.python(
        command, "--help", environment={"PYTHONPATH": f"{programs.ROOT}:{programs.ROOT / 'tests'}"}
    )


@pytest.mark.parametrize(
    "how, code, line",
    [
        ("refused", 2, "error: that is refused"),
        ("unreadable", 2, "error: [Errno 2] No such file or directory: 'somewhere'"),
        (
            "missing",
            2,
            "error: missing packages: nosuchpackage; install them with pip install -r "
            "requirements.txt, or with the extras of vagram_tf: pip install 'vagram_tf[video]'",
        ),
        ("fault", 1, "error: it cannot go on"),
        ("value", 1, "error: wrong value"),
        ("disk", 1, "error: [Errno 28] disk full"),
    ],
)
def test_refusals_and_faults_are_one_line(how, code, line):
    process = toy(f"--how={how}")
    assert (process.returncode, process.stdout, process.stderr) == (code, "", f"{line}\n")


@pytest.mark.parametrize("how, code", [("well", 0), ("stopped", 130)])
def test_work_says_how_it_ended(how, code):
    process = toy(f"--how={how}")
    assert (process.returncode, process.stdout, process.stderr) == (code, f"{how} False\n", "")


def test_ctrl_c_leaves_no_traceback():
    process = toy("--how=interrupted")
    assert (process.returncode, process.stdout, process.stderr) == (130, "", "")


def test_bug_shows_where_it_is():
    process = toy("--how=bug")
    assert (
        process.returncode == 1
        and "Traceback" in process.stderr
        and "toy_work.py" in process.stderr
    )


def test_version():
    process = toy("--version")
    assert (process.returncode, process.stdout) == (0, f"vagram_tf {vagram_tf.__version__}\n")


def test_help_is_the_docstring_and_names_how_it_was_started(tmp_path):
    command = tmp_path / "vagram-toy"
    command.write_text("import toy\ntoy.main()\n")
    for process, usage in ((toy("--help"), "python -m toy"), (installed(command), "vagram-toy")):
        assert process.returncode == 0 and process.stderr == ""
        assert process.stdout.startswith(
            f"usage: {usage} [--flag=value ...]\n\nA program for tests of the skeleton.\n"
        )
        assert "Program:\n  --how (well) " in process.stdout


@pytest.mark.parametrize("name", ["train", "evaluate", "inspect_model", "sweep", "plot"])
def test_installed_command_has_examples_of_its_own(name, tmp_path):
    command = tmp_path / f"vagram-{name.removesuffix('_model')}"
    command.write_text(f"from vagram_tf.commands.{name} import main\nmain()\n")
    process = installed(command)
    assert process.returncode == 0 and process.stdout.startswith(
        f"usage: {command.name} [--flag=value ...]\n"
    )
    assert f"    {command.name} --" in process.stdout and "python -m" not in process.stdout


@pytest.mark.parametrize(
    "argument, line", [("--help", ""), ("--version", ""), ("--how=talking", "word\n")]
)
def test_reader_that_goes_away_leaves_no_traceback(argument, line):
    with subprocess.Popen(
        [sys.executable, "-m", "toy", argument],
        cwd=programs.ROOT / "tests",
        env=os.environ | {"PYTHONPATH": str(programs.ROOT)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        if line:
            assert process.stdout.readline() == line
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


@pytest.fixture
def run_directory(tmp_path):
    for kind, steps in (("policy", (90, 1000)), ("dynamics", (90,))):
        for step in steps:
            (tmp_path / "export" / kind / str(step)).mkdir(parents=True)
            (tmp_path / "export" / kind / str(step) / "metadata.json").touch()
    (tmp_path / "export" / "policy" / "2000").mkdir()  # half-written
    return tmp_path


@pytest.mark.parametrize(
    "place, kind, taken",
    [
        ("", "policy", "policy/1000"),
        ("export", "policy", "policy/1000"),
        ("export/policy", "policy", "policy/1000"),
        ("export/policy/90", "policy", "policy/90"),
        ("", "dynamics", "dynamics/90"),
        ("export/policy", "dynamics", "policy/1000"),  # which is refused for its kind
    ],
)
def test_newest_export_is_taken_and_named(run_directory, place, kind, taken, capsys):
    path = run_directory / place
    export = inputs.export(path, kind)
    assert export == run_directory / "export" / taken
    inputs.tell(export, path)
    assert capsys.readouterr().out == (
        "" if place == "export/policy/90" else f"export   {export}\n"
    )


def test_directory_without_exports_stays_as_it_is(tmp_path):
    assert inputs.export(tmp_path, "policy") == tmp_path


@pytest.mark.parametrize(
    "loss",
    ["nosuch:mine", "json.nosuch:mine", "nosuch.more:mine", ".json:mine", "json.decoder.x:y"],
)
def test_module_of_a_loss_is_found_without_importing_it(loss):
    with pytest.raises(ValueError, match="there is no module"):
        inputs.check_loss(loss)
    for good in ("vagram", "toy_work:mine"):
        inputs.check_loss(good)
    assert "toy_work" not in sys.modules


def test_where_no_program_can_work_one_line_says_so():
    process = programs.python("-c", "import sys; sys.platform = 'win32'; import vagram_tf.commands")
    assert process.returncode == 2
    assert process.stderr == (
        "error: the programs need Linux or macOS; on Windows, run them in WSL2\n"
    )
