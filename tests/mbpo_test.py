"""The command line: help, bad input, precedence of settings, and what a person sees."""

import functools
import importlib.util
import json
import pathlib
import re
import shlex
import shutil

import programs
import pytest

from vagram_tf.commands import flags
from vagram_tf.config import FIELDS, Config
from vagram_tf.presets import preset


def run(*arguments, **kwargs):
    """Runs the program and asserts that it never imported TensorFlow."""
    process = programs.mbpo(arguments, options=("-X", "importtime"), **kwargs)
    assert "import time:" in process.stderr
    assert not re.search(r"\|\s+tensorflow$", process.stderr, re.MULTILINE)
    return process


def refused(*arguments, **kwargs):
    """Asserts that the program refuses its arguments; returns the one line that it prints."""
    process = run(*arguments, **kwargs)
    (line,) = programs.error_lines(process)
    assert process.returncode == 2
    assert process.stdout == ""
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--env=Hoper-v5"], ["unknown environment 'Hoper-v5'", "Hopper-v5"]),
        (["--env=nosuchmodule:Env-v0"], ["nosuchmodule"]),
        (
            ["--env=CartPole-v1"],
            ["CartPole-v1", "unsupported action space", "not discrete actions"],
        ),
        (["--env=NoSuch-v0", "--help"], ["unknown environment 'NoSuch-v0'"]),
        (
            ["--loss=nosuchmodule:mine"],
            ["loss 'nosuchmodule:mine': there is no module nosuchmodule"],
        ),
        (["--loss=vagrm"], ["loss must be one of", "vagram", "'vagrm'"]),
        (["--members=0"], ["members must be at least 1, got 0"]),
        (["--members=3", "--elites=4"], ["elites (4) must not exceed members (3)"]),
        (["--num_steps=-5"], ["num_steps must be at least 1, got -5"]),
        (
            ["--rollout_schedule=10,5,1,2"],
            ["the epochs of rollout_schedule must be at least 0 and in order"],
        ),
        (
            ["--imagined_share=0,1,0,1.5"],
            ["each value of imagined_share must be at least 0 and at most 1, got 1.5"],
        ),
        (["--rollout_schedule=1,2,3"], ["rollout_schedule must be 4 numbers"]),
        (["--rollout_schedule=1,2,3,x"], ["rollout_schedule must be numbers"]),
        (["--model_hidden_units=64,1.5"], ["model_hidden_units must be numbers", "64,1.5"]),
        (["--nosuchflag=1"], ["there is no flag --nosuchflag; --help lists them all"]),
        (["--num-steps=5"], ["did you mean --num_steps?"]),
        (["--lossy=mle"], ["there is no flag --lossy", "did you mean --loss?"]),
        (["--num_steps=many"], ["--num_steps must be an integer, got 'many'"]),
        (["--discount=high"], ["--discount must be a number, got 'high'"]),
        (
            ["--feature_normalization=maybe"],
            ["--feature_normalization must be true or false, got 'maybe'"],
        ),
        (["--num_steps"], ["num_steps"]),
        (["Hopper-v5"], ["unexpected argument 'Hopper-v5'"]),
        (["--discount=nan"], ["discount must be a finite number, got nan"]),
        (["--config=/no/such/config.json"], ["/no/such/config.json", "No such file"]),
        (["--workdir=/dev/null/runs"], ["cannot write to", "/dev/null/runs", "Not a directory"]),
        (["--workdir=/proc/runs"], ["cannot write to", "/proc/runs"]),
    ],
)
def test_bad_input_is_refused_in_one_line(arguments, words, tmp_path):
    line = refused(f"--workdir={tmp_path}", *arguments)
    for word in words:
        assert word in line
    assert list(tmp_path.iterdir()) == []  # nothing was begun


@pytest.mark.slow
def test_loss_that_its_module_does_not_register_leaves_nothing_behind(tmp_path):
    process = programs.mbpo(["--loss=json:mine", f"--workdir={tmp_path}"])
    (line,) = programs.error_lines(process)
    assert (process.returncode, process.stdout) == (
        2,
        "",
    ) and "loss 'mine' is not registered" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text, words",
    [
        ("{", ["not a configuration"]),
        ("[]", ["not a configuration"]),
        ('{"run": {"sed": 1}}', ["no setting 'sed'; did you mean seed?"]),
        ('{"running": {}}', ["running"]),
        ('{"run": {"seed": "1"}}', ["seed must be a whole number"]),
        ('{"model": {"members": 0}}', ["members must be at least 1"]),
    ],
)
def test_bad_config_file_is_refused_in_one_line(text, words, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(text)
    line = refused(f"--config={path}", f"--workdir={tmp_path / 'runs'}")
    for word in words:
        assert word in line
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("package", flags._PACKAGES)
def test_missing_package_is_named(package, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(f"""
import importlib.machinery
find = importlib.machinery.PathFinder.find_spec
def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] == {package!r} else find(name, path, target)
importlib.machinery.PathFinder.find_spec = staticmethod(find_spec)
""")
    line = refused(f"--workdir={tmp_path / 'runs'}", environment={"PYTHONPATH": str(tmp_path)})
    assert f"missing packages: {package};" in line and "pip install -r requirements.txt" in line
    assert not (tmp_path / "runs").exists()


def test_directory_of_another_configuration_is_refused(tmp_path):
    (directory := programs.run_directory(tmp_path)).mkdir(parents=True)
    (directory / "config.json").write_text(programs.tiny(members=5, discount=0.5).to_json())
    line = refused(*programs.flags(), f"--workdir={tmp_path}")
    assert "members was 5 and is now 3" in line and "discount was 0.5 and is now 0.99" in line
    assert "elites" not in line and "num_steps" not in line


@pytest.fixture(scope="module")
def help_text():
    process = run("--help")
    assert process.returncode == 0 and programs.error_lines(process) == []
    return process.stdout


SETTINGS = {("env" if name == "name" else name): name for name in FIELDS}  # flag -> field


def shown(default):
    if default is None:
        return "unset"
    return ",".join(f"{x:g}" for x in default) if isinstance(default, tuple) else str(default)


def test_help_lists_every_setting_by_subject_with_what_a_run_has_without_it(help_text):
    subject_of, subject = {}, None
    for line in help_text.splitlines():
        if re.fullmatch(r"[A-Z].*:", line):
            subject = line
        elif match := re.match(r"  --(\w+) \((.*?)\)  ", line):
            assert match[1] not in subject_of, "listed twice"
            subject_of[match[1]] = subject, match[2]
    assert set(subject_of) == {*SETTINGS, "config", "workdir"}
    sections, defaults = {}, preset("InvertedPendulum-v5").flat()
    for name, field_name in SETTINGS.items():
        heading, default = subject_of[name]
        assert default == shown(defaults[field_name]), name
        assert sections.setdefault(FIELDS[field_name].section, heading) == heading
    assert len(set(sections.values())) == len(sections)
    flat = " ".join(help_text.split())
    assert "discount per environment step; at least 0 and below 1 --" in flat
    for field in FIELDS.values():
        assert " ".join(field.help.split()) in flat


def test_help_begins_with_usage_and_three_examples(help_text, parsed):
    assert help_text.startswith(
        "usage: python -m experiments.mbpo [--flag=value ...]\n\nTrains an agent"
    )
    examples = re.findall(r"^    python -m experiments\.mbpo (.*)$", help_text, re.MULTILINE)
    assert len(examples) == 3
    config = parsed(*examples[1].split())
    assert (config.env.name, config.env.distractors, config.dyna.num_steps) == (
        "Hopper-v5",
        5,
        10_000,
    )


def test_help_shows_the_preset_of_an_environment():
    text = run("--help", "--env=Humanoid-v5").stdout
    assert "--retrain_every (1000)" in text and "--model_hidden_units (400,400,400,400)" in text


@pytest.mark.parametrize("columns, widest", [("80", 80), ("200", 120), ("20", 80)])
def test_help_fits_the_terminal(columns, widest):
    lines = run("--help", environment={"COLUMNS": columns}).stdout.splitlines()
    settings = [line for line in lines if re.match(r"  --| {40}", line)]
    assert widest - 12 <= max(map(len, settings)) <= widest


def test_help_wins_over_bad_flags():
    assert run("--help", "--members=0", "--nosuchflag").returncode == 0


@pytest.fixture
def parsed():
    """Returns a function from arguments to the configuration that they describe, in this
    process.
    """
    from absl import flags as absl_flags

    values = absl_flags.FlagValues()
    before = absl_flags.FLAGS

    def parse(*arguments):
        flags.parse(["mbpo", *arguments])
        return flags.config()

    absl_flags.FLAGS = flags.flags.FLAGS = values
    with pytest.MonkeyPatch.context() as patch:
        for kind in ("", "_string", "_list", "_bool", "_integer", "_float"):
            # A frame of this module's would be taken for what defines the flag.
            define = functools.partial(getattr(absl_flags, f"DEFINE{kind}"), flag_values=values)
            patch.setattr(absl_flags, f"DEFINE{kind}", define)
        flags.define()
        yield parse
    absl_flags.FLAGS = flags.flags.FLAGS = before


def test_preset_is_the_base(parsed):
    config = parsed("--env=Hopper-v5", "--loss=mle")
    assert config == preset("Hopper-v5").replace(loss="mle")
    assert config.dyna.random_steps == 5000


def test_no_flags_give_the_inverted_pendulum(parsed):
    assert parsed() == preset("InvertedPendulum-v5")


def test_flags_win_over_config_and_config_over_preset(parsed, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(
        Config().replace(name="Hopper-v5", random_steps=77, members=3, elites=2).to_json()
    )
    config = parsed(f"--config={path}", "--members=4")
    assert config.model.members == 4  # the flag
    assert config.dyna.random_steps == 77  # the file, not the 5,000 of Hopper's preset
    assert config.agent.agent_hidden_units == (256, 256)  # the file again: the preset has 128
    assert config == Config.from_json(path.read_text()).replace(members=4)


def test_flag_of_every_type(parsed):
    config = parsed(
        "--feature_normalization",
        "--agent_hidden_units=8,9",
        "--target_entropy=-2",
        "--rollout_schedule=1,2,3,4.5",
        "--seed=7",
    )
    assert config.agent.feature_normalization is True and config.agent.agent_hidden_units == (8, 9)
    assert config.agent.target_entropy == -2.0 and config.run.seed == 7
    assert config.dyna.rollout_schedule == (1.0, 2.0, 3.0, 4.5)


@pytest.mark.slow
def test_start_names_the_run():
    process, directory = programs.finished_run()
    assert process.stdout.startswith(f"programs:Short-v0, vagram, seed 0, in {directory}\n")


@pytest.mark.slow
def test_closing_lines_name_what_exists():
    process, directory = programs.finished_run()
    named = dict(re.findall(r"^(progress|dynamics|policy)\s+(\S+)$", process.stdout, re.MULTILINE))
    assert named == {
        "progress": str(directory / "progress.csv"),
        "dynamics": str(directory / "export" / "dynamics" / "90"),
        "policy": str(directory / "export" / "policy" / "90"),
    }
    assert all(pathlib.Path(path).exists() for path in named.values())
    commands = process.stdout.partition("what to try next:\n")[2].splitlines()
    assert [command.split()[-1] for command in commands] == [
        f"--export={named['policy']}",
        f"--export={named['dynamics']}",
        str(directory.parents[2]),
    ]
    for command in map(shlex.split, commands):
        assert shutil.which(command[0]), command
        if command[1] == "-m":
            assert importlib.util.find_spec(command[2]), command
    reached = float(programs.progress(directory)[-1]["mean_return"])
    assert (
        f"mean greedy return {reached:.1f} over 2 episodes after 60 training steps"
        in process.stdout
    )


@pytest.mark.slow
def test_evaluations_are_shown():
    process, directory = programs.finished_run()
    shown = re.findall(r"step +(\d+) +greedy return +(-?[\d.]+)", process.stdout + process.stderr)
    rows = programs.progress(directory)
    assert [step for step, _ in shown] == [row["env_step"] for row in rows]
    for (_, value), row in zip(shown, rows, strict=True):
        # Both are rounded.
        assert float(value) == pytest.approx(float(row["mean_return"]), abs=0.0501)


@pytest.mark.slow
def test_start_is_quiet():
    process, _ = programs.finished_run()
    assert programs.error_lines(process) == []
    for noise in ("CUDA", "oneDNN", "Gym has been unmaintained", "AutoGraph", "absl", "Warning"):
        assert noise not in process.stderr + process.stdout


@pytest.mark.slow
def test_config_json_holds_every_setting():
    _, directory = programs.finished_run()
    saved = json.loads((directory / "config.json").read_text())
    assert {name for section in saved.values() for name in section} == set(FIELDS)
    assert Config.from_json((directory / "config.json").read_text()) == programs.tiny()
