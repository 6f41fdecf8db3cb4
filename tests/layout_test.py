"""The house rules that a reader relies on: who imports whom, what loads TensorFlow, how files are
is.
"""

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import programs
import pytest

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = sorted((ROOT / "vagram_tf").rglob("*.py"))
SOURCES = [*LIBRARY, *sorted((ROOT / "experiments").rglob("*.py"))]


def module_name(path):
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def imports(path):
    """Returns every module and every `module.name` that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def importers(package):
    return {
        module_name(path)
        for path in LIBRARY
        if any(name == package or name.startswith(f"{package}.") for name in imports(path))
    }


def test_the_files_are_there():
    names = {module_name(path) for path in LIBRARY}
    assert {
        "vagram_tf",
        "vagram_tf.dyna",
        "vagram_tf.model.losses",
        "vagram_tf.envs.adapter",
    } <= names


def test_only_the_borders_import_tf_agents():
    # `quiet` imports it only to swallow its notices.
    assert importers("tf_agents") <= {
        "vagram_tf.envs.adapter",
        "vagram_tf.envs.interaction",
        "vagram_tf.agent.sac",
        "vagram_tf.envs.episodes",
        "vagram_tf.export.policy",
        "vagram_tf.dyna",
        "vagram_tf.quiet",
    }
    # The search finds some.
    assert {"vagram_tf.envs.adapter", "vagram_tf.agent.sac"} <= importers("tf_agents")


def test_the_library_knows_no_programs_and_no_flags():
    assert importers("experiments") == set()
    library = {
        name for name in map(module_name, LIBRARY) if not name.startswith("vagram_tf.commands")
    }
    for package in ("vagram_tf.commands", "absl.flags", "absl.app"):
        assert not importers(package) & library


MODULES = {module_name(path): path for path in SOURCES}


def edges(name):
    """Returns the modules of ours that a module imports, wherever in it, also for its types
    alone.
    """
    found = imports(MODULES[name])
    # `from package import module` is of the module; `import package`, or `from package import
    # name`, of the package.
    inner = {one.rpartition(".")[0] for one in found if one in MODULES}
    return {
        one
        for one in found
        if one in MODULES and not (one in inner and MODULES[one].name == "__init__.py")
    }


def layer(name):
    """Returns how far up a module is: the library, its commands, what experiments are made of, the
    experiments.
    """
    if name.startswith("vagram_tf"):
        return int(name.startswith("vagram_tf.commands"))
    top = name.count(".") == 1 and MODULES[name].name != "__init__.py"
    return 3 if top else 2


def test_no_module_imports_what_is_above_it():
    assert [
        (name, other) for name in MODULES for other in edges(name) if layer(other) > layer(name)
    ] == []


def test_programs_do_not_import_each_other():
    assert [
        (name, other)
        for name in MODULES
        if layer(name) == 3
        for other in edges(name)
        if layer(other) == 3
    ] == []


def test_no_modules_import_each_other_in_a_circle():
    sorter = graphlib.TopologicalSorter({name: edges(name) for name in MODULES})
    sorter.prepare()  # CycleError names the circle


def test_modules_that_are_named_exist():
    """A program names the module that works, which is imported after TensorFlow."""
    named = {
        node.value
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"(vagram_tf|experiments)(\.\w+)+", node.value)
    }
    assert "vagram_tf.commands.train_work" in named and named <= set(MODULES)


@pytest.mark.parametrize(
    "module", ["commands.learning_curves.sweep_table", "commands.plot", "commands.sweep"]
)
def test_matplotlib_is_not_needed_for(module):
    code = f"import sys, vagram_tf.{module}; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


REFUSED = {
    "mbpo": ["--env=CartPole-v1", "--workdir={place}/runs"],
    "evaluate": ["--export={place}"],
    "inspect_model": ["--export={place}", "--output={place}/out"],
    "collect": ["--export={place}", "--output={place}/data.npz"],
    "fit": ["--dataset={place}/nothing.npz", "--output={place}/out"],
    "sweep": ["--study=nosuchstudy", "--workdir={place}/sweeps"],
    "plot": ["--csv={place}/nothing.csv", "--output={place}/out"],
    "fit_study": ["--source={place}/nothing", "--output={place}/out"],
    "loss_landscape": ["--export={place}", "--output={place}/out"],
    "value_drift": ["--run={place}"],
    "benchmark": ["--output=/dev/null/out"],
    "check_env": ["--env=CartPole-v1"],
    "run_table": ["--runs={place}"],
    "profile": ["--output={place}/nothing/out"],
    "train_in_model": ["--export={place}"],
}


def test_every_program_is_listed():
    assert set(REFUSED) == {path.stem for path in (ROOT / "experiments").glob("*.py")} - {
        "__init__"
    }


@pytest.mark.parametrize("name", REFUSED)
def test_refusal_loads_no_tensorflow_and_leaves_nothing_behind(name, tmp_path):
    programs.refused(name, [argument.format(place=tmp_path) for argument in REFUSED[name]])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["model.losses", "model.splits", "schedules", "model.known_termination"]
)
def test_pure_modules_import_nothing_of_ours_but_types(name):
    path = ROOT / "vagram_tf" / f"{name.replace('.', '/')}.py"
    ours = {
        module for module in imports(path) if module.split(".")[0] in ("vagram_tf", "experiments")
    }
    assert {module for module in ours if not module.startswith("vagram_tf.types")} == set()


@pytest.mark.parametrize(
    "name", ["config", "presets", "schedules", "seeding", "guards", "errors", "files"]
)
def test_what_is_read_before_tensorflow_does_not_import_it(name):
    found = imports(ROOT / "vagram_tf" / f"{name}.py")
    assert not [module for module in found if module.startswith("tensorflow")]


def test_the_model_does_not_know_the_agent_nor_the_agent_the_model():
    for path in LIBRARY:
        if path.parent.name == "model":
            assert not [
                module for module in imports(path) if module.startswith("vagram_tf.agent")
            ], path
        if path.parent.name == "agent":
            assert not [
                module for module in imports(path) if module.startswith("vagram_tf.model")
            ], path


def test_files_are_written_in_one_place():
    """Other modules append to logs, and hand arrays to a process that draws in a temporary
    directory.
    """
    writing = re.compile(
        r"""\.write_(text|bytes)\(|\bopen\([^)]*"[wx]|\.rename\(|\bos\.(replace|rename)\(|"""
        r"""\bshutil\.(move|copy)|\bflock\(|\bcsv\.writer\(|\bjson\.dump\("""
    )
    assert {module_name(path) for path in SOURCES if writing.search(path.read_text())} == {
        "vagram_tf.files"
    }


def test_every_fault_names_tests_that_exist():
    section = (ROOT / "docs" / "runs.md").read_text().split("## Faults")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 10
    for row in rows:
        tests = re.findall(r"`(\w+_test)::(\w+)`", row)
        assert tests, row
        for file, name in tests:
            assert f"def {name}(" in (ROOT / "tests" / f"{file}.py").read_text(), f"{file}::{name}"


HEAVY = ("tensorflow", "tf_agents", "tensorflow_probability", "tf_keras")


@pytest.mark.parametrize(
    "code, printed",
    [
        (
            "import vagram_tf; import vagram_tf.config; vagram_tf.Config; "
            "vagram_tf.preset('Hopper-v5')\n"
            "assert 'numpy' not in sys.modules",
            "",
        ),
        (
            "import runpy; sys.argv = ['mbpo', '--help']\n"
            "try: runpy.run_module('experiments.mbpo', run_name='__main__')\n"
            "except SystemExit as exit: assert exit.code == 0",
            "--num_steps",
        ),
        (
            "import runpy; sys.argv = ['mbpo', '--members=0']\n"
            "try: runpy.run_module('experiments.mbpo', run_name='__main__')\n"
            "except SystemExit as exit: assert exit.code == 2",
            "",
        ),
    ],
    ids=["config", "help", "bad flag"],
)
def test_tensorflow_is_not_loaded_for(code, printed):
    check = (
        f"\nheavy = [m for m in {HEAVY} if m in sys.modules]"
        "\nsys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}{check}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert printed in result.stdout
