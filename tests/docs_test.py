"""Runs every command and program of README.md and docs/, as they are written, in the order of the
pages, and the notebook.

They run in a scratch directory that looks like a clone: its entries are links to this repository's,
`.venv` is a link to the environment that runs the tests, and that environment's programs are on the
PATH, as they are once it is active.

Seven things differ from what a reader does, and nothing else:

- Blocks that install the environment (`pip install`) are not run: the tests run in what the
  README's second block installs, and its first block is run by hand.
- Whatever takes long is made short: `SHORT` is appended to every command of a program, and the last
  value of a flag counts; `SMALL` changes the presets of Python programs.
- The run that the tutorial begins with ends at step 100, and its exports have a second name: that
  of the step that the pages name.
- Other runs of the main program leave no exports: no page reads them.
- Episodes of the pendulums end after 25 steps: what plays, plans and draws them takes a while.
- Whatever is Python begins in a process that has imported TensorFlow (`warm`), but for servers; the
  processes of a fit study fork from it.
- A server is stopped as soon as it answers.
- A command that stands on several pages runs once.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import programs
import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    "docs/tutorial.md",
    "README.md",
    *sorted(
        str(path.relative_to(ROOT))
        for path in (ROOT / "docs").glob("*.md")
        if path.name != "tutorial.md"
    ),
]
NOTEBOOK = "docs/tour.ipynb"

# Of the presets that Python programs take.
SMALL = {
    "members": 3,
    "elites": 2,
    "model_hidden_units": (16,),
    "agent_hidden_units": (16,),
    "max_fit_steps": 20,
    "updates_per_step": 1,
    "rollouts_per_step": 4,
    "eval_episodes": 2,
    "random_steps": 1000,  # a fit comes at step 1,001, where the notebook ends a run
}
FIT = shlex.split("--members=3 --elites=2 --model_hidden_units=16 --max_fit_steps=10")
# Flags by program.
SHORT = {
    "mbpo": shlex.split(
        "--random_steps=90 --num_steps=10 --retrain_every=5 --eval_every=10 --eval_episodes=2 "
        "--agent_hidden_units=16 --updates_per_step=1 --rollouts_per_step=4 --video_steps=0"
    )
    + FIT,
    "fit": FIT,
    "fit_study": shlex.split(
        "--noquick --widths=4 --objectives=mle,vagram --seeds=1 --steps=3 --states=5 --jobs=1"
    ),
    "collect": ["--steps=200"],
    "evaluate": ["--episodes=1"],
    "inspect_model": ["--steps=60", "--horizon=30"],
}
# Of a study whose command names none: one of the data sets that are shipped.
SOURCE = "--source=experiments/fits/shipped/inverted_pendulum_10_rotation.npz"
# Runs a file or a module, as Python does.
RUN = """
import gymnasium, multiprocessing, runpy, sys
if "experiments.fit_study" in sys.argv:
    forking = multiprocessing.get_context("fork")
    multiprocessing.get_context = lambda method: forking
for name in ("InvertedPendulum-v5", "Pendulum-v1"):
    gymnasium.spec(name).max_episode_steps = 25
if "experiments.mbpo" in sys.argv and "--loss=vagram" not in sys.argv:
    from vagram_tf.run import exports
    exports.export = lambda *_: {}
of_module = sys.argv[1] == "-m"
del sys.argv[: 2 if of_module else 1]
if of_module:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
else:
    runpy.run_path(sys.argv[0], run_name="__main__")
"""
VAGRAM = "runs/InvertedPendulum-v5/vagram/0"  # of the tutorial's first run
LAST_STEP, NAMED_STEP = "100", "3000"  # that it ends at, and that the pages name
PORT = 6016  # of the server, beside its default: somebody may be using that


def blocks():
    """Yields page, line and text of every block in a language that is run: `sh` or `python`."""
    for page in PAGES:
        text = (ROOT / page).read_text()
        for match in re.finditer(r"^```(sh|python)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            if "pip install" not in match[2]:
                yield page, text[: match.start()].count("\n") + 1, match[1], match[2]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    directory = tmp_path_factory.mktemp("clone")
    for entry in ("experiments", "vagram_tf", "results", "pretrained", "docs", "README.md"):
        (directory / entry).symlink_to(ROOT / entry)
    (directory / ".venv").symlink_to(sys.prefix)
    return directory


@pytest.fixture(scope="module")
def variables():
    path = os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ["PATH"]])
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", *programs.OWN_VARIABLES)
    }
    return kept | {"PATH": path}


@pytest.fixture(scope="module")
def done():
    """The commands that have run."""
    return set()


@pytest.mark.slow
@pytest.mark.parametrize(
    "page, line, language, text",
    [pytest.param(*block, id=f"{block[0]}:{block[1]}") for block in blocks()],
)
def test_block(clone, variables, done, page, line, language, text):
    if language == "python":
        named = re.match(r"# (\w+\.py)\n", text)  # a program that the page says to save
        run_python(text, clone / (named[1] if named else "program.py"), variables)
        return
    for command in text.replace(".venv/bin/", "").splitlines():
        if command not in done:
            run(shlex.split(command), clone, variables)
        done.add(command)


@pytest.fixture(scope="module")
def notebook_cells():
    cells = json.loads((ROOT / NOTEBOOK).read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@pytest.mark.slow
def test_notebook(clone, variables, notebook_cells):
    text = "\n".join("".join(cell["source"]) for cell in notebook_cells)
    run_python(text, clone / "notebook.py", variables | {"MPLBACKEND": "agg"})


def test_notebook_shows_what_its_cells_print_and_draw(notebook_cells):
    assert (ROOT / NOTEBOOK).stat().st_size < 100_000
    for cell in notebook_cells:
        source, outputs = "".join(cell["source"]), cell["outputs"]
        kinds = {output["output_type"] for output in outputs}
        assert kinds == {"stream" if "print(" in source else "display_data"}, source
        assert cell["execution_count"] is None and cell["metadata"] == {}


def run(command, directory, variables):
    """Runs a command to its end; a program of ours is made short."""
    program, *arguments = command
    if program == "tensorboard":
        serve([*command, f"--port={PORT}"], directory, variables)
    elif program != "python":
        run_warm([f".venv/bin/{program}", *arguments], directory, variables)
    elif "--help" in arguments:
        run_warm(arguments, directory, variables)
    else:
        short = SHORT.get(arguments[1].removeprefix("experiments."), [])
        if arguments[1] == "experiments.fit_study" and "--source" not in str(arguments):
            short = [*short, SOURCE]
        run_warm([*arguments, *short], directory, variables)
        if "--loss=vagram" in arguments:
            for kind in (directory / VAGRAM / "export").iterdir():
                (kind / NAMED_STEP).symlink_to(LAST_STEP)


def run_python(text, program, variables):
    """Runs a program in its directory, its presets made small."""
    program.write_text(re.sub(r"preset\(.*?\)", rf"\g<0>.replace(**{SMALL})", text))
    run_warm([program.name], program.parent, variables)


def run_warm(arguments, directory, variables):
    """Runs `python <arguments>` to its end."""
    process = programs.warm_python(
        "-c", RUN, *arguments, directory=directory, environment=variables
    )
    assert process.returncode == 0, (
        f"{shlex.join(arguments)}\n{process.stdout[-2000:]}\n{process.stderr[-4000:]}"
    )


def serve(command, directory, variables):
    """Starts a server, waits until it answers with a page, and stops it."""
    with subprocess.Popen(
        command, cwd=directory, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            deadline = time.monotonic() + 120
            while not answers():
                assert server.poll() is None and time.monotonic() < deadline, shlex.join(command)
                time.sleep(0.2)
        finally:
            server.terminate()


def answers():
    try:
        with urllib.request.urlopen(f"http://localhost:{PORT}/", timeout=5) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


def test_pages_link_to_what_exists():
    for page in ["README.md", "BUILD.md", *PAGES]:
        for target, anchor in re.findall(
            r"\]\(([^)#:]*)(?:#([^)]*))?\)", (ROOT / page).read_text()
        ):
            path = (ROOT / page).parent / target if target else ROOT / page
            assert path.exists(), f"{page} links to {target}"
            if anchor:
                headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
                assert anchor in {
                    re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
                    for heading in headings
                }
