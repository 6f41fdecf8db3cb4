"""The progress that a person sees, in a terminal and in a log."""

import io
import re
import sys
import threading
import types

import numpy as np
import programs
import pytest

from vagram_tf.bookkeeping import Clock
from vagram_tf.envs.episodes import Evaluation
from vagram_tf.run import progress


class Steps:
    """Stands for the tiny run, 30 random and 60 training steps, that takes 1/8 s for a step, shown
    on a terminal of 120 columns.
    """

    def __init__(self, monkeypatch, stderr, resumed=0, **changes):
        self.now, self.config, self.evaluation = 0.0, programs.tiny(**changes), None
        self.dyna = types.SimpleNamespace(
            training_step=resumed - 30,
            latest={},
            interaction=types.SimpleNamespace(episodes=[]),
            clock=Clock(("collect", "fit", "imagine", "improve", "evaluate")),
        )
        self.env_step, self.stderr = resumed, stderr
        monkeypatch.setattr(sys, "stderr", stderr)
        monkeypatch.setattr(progress, "time", types.SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setenv("COLUMNS", "120")
        self.shown = progress.Progress(self, 90)

    def go(self, steps, seconds=0.125):
        """Takes steps, and returns what is shown then."""
        for _ in range(steps):
            self.now += seconds
            self.env_step, self.dyna.training_step = self.env_step + 1, self.dyna.training_step + 1
            if self.env_step == 25:
                self.dyna.interaction.episodes.append((-120.4, 25))
            if self.env_step == 31:
                self.dyna.latest["model/holdout_mse"] = 0.00123
            self.shown.show(self)
        return self.last()

    def last(self):
        """Returns the last line or picture of the bar."""
        return re.split(r"[\r\n]+", self.stderr.getvalue().strip())[-1].strip()


@pytest.fixture
def begun(monkeypatch):
    """Begins runs, and closes their bars, which would share the terminal with others."""
    runs = []

    def begin(*arguments, **changes):
        runs.append(Steps(monkeypatch, *arguments, **changes))
        return runs[-1]

    yield begin
    for run in runs:
        run.shown._bar.close()


@pytest.fixture
def terminal(begun):
    return begun(programs.Terminal(), updates_per_step=7)


@pytest.mark.parametrize(
    "steps, state",
    [
        (10, "exploring"),
        (30, "return -120"),
        (32, "return -120, model mse 0.0012, 56 updates/s, 00:07 left"),
        (60, "return -120, model mse 0.0012, 56 updates/s, 00:03 left"),
        (90, "return -120, model mse 0.0012, 56 updates/s"),
    ],
)
def test_terminal_shows_return_model_error_rate_and_time_left(steps, state, terminal):
    terminal.go(steps)
    terminal.shown._draw()
    shown = terminal.last()
    assert re.fullmatch(rf"\|.+\| {steps}/90 \[\d\d:\d\d, {re.escape(state)}\]", shown), shown


@pytest.mark.parametrize(
    "step, phase, before, doing",
    [
        (30, "fit", 0.0, "compiling and fitting"),
        (50, "fit", 3.0, "fitting the model"),
        (30, "improve", 0.0, "compiling and improving"),
        (45, "evaluate", 0.0, "evaluating"),
        (90, "draw", 0.0, "drawing"),
        (90, "export", 0.0, "exporting"),
        (5, "collect", 1.0, "exploring"),
        (35, "collect", 1.0, "stepping the environment"),
    ],
)
def test_bar_says_what_takes_long(step, phase, before, doing, terminal):
    terminal.go(step)
    terminal.dyna.clock.seconds[phase] = before
    with terminal.dyna.clock(phase):
        terminal.shown._draw()
    assert f", {doing}" in terminal.last()
    terminal.shown._draw()
    assert (doing in terminal.last()) == (doing == "exploring")


def test_nothing_is_left_while_the_last_step_is_exported(terminal):
    terminal.go(90)
    with terminal.dyna.clock("export"):
        terminal.shown._draw()
    assert "left" not in terminal.last() and "exporting" in terminal.last()


@pytest.mark.parametrize(
    "columns, kept",
    [
        (60, []),
        (80, ["00:03 left"]),
        (100, ["return -120", "model mse 0.0012", "00:03 left"]),
        (120, ["return -120", "model mse 0.0012", "8 updates/s", "00:03 left"]),
    ],
)
def test_narrow_terminal_drops_fields_and_keeps_the_bar(columns, kept, monkeypatch, terminal):
    monkeypatch.setenv("COLUMNS", str(columns))
    terminal.config = programs.tiny(updates_per_step=1)
    terminal.go(60)
    with terminal.dyna.clock("improve"):
        terminal.shown._draw()
    shown = terminal.last()
    bar, fields = re.fullmatch(r"\|(.*)\| 60/90 \[\d\d:\d\d, (.*)\]", shown).groups()
    assert fields.split(", ") == ["compiling and improving", *kept]
    assert len(bar) >= progress._BAR_COLUMNS and len(shown) == columns - 1


def test_thread_shows_a_step_that_takes_long(monkeypatch, begun):
    """With real time."""
    monkeypatch.setattr(progress, "_SILENT_SECONDS", 0.01)
    steps = begun(programs.Terminal())
    drawn, draw = threading.Event(), steps.shown._draw
    steps.now = 1.0
    monkeypatch.setattr(steps.shown, "_draw", lambda: (draw(), drawn.set()))
    with steps.shown, steps.dyna.clock("fit"):
        steps.dyna.training_step = 0
        assert drawn.wait(60)
        assert steps.last().endswith("compiling and fitting]")
    assert not steps.shown._thread.is_alive()


def test_thread_ends_where_the_terminal_is_gone(monkeypatch, begun):
    monkeypatch.setattr(progress, "_SILENT_SECONDS", 0.01)
    steps = begun(io.StringIO())
    monkeypatch.setattr(threading, "excepthook", lambda told: pytest.fail(f"{told.exc_value}"))
    monkeypatch.setattr(steps.shown, "_draw", programs.raise_(OSError("gone")))
    steps.now = 100.0
    with steps.shown:
        steps.shown._thread.join(60)
        assert not steps.shown._thread.is_alive()


def test_bar_begins_where_a_run_continues(begun):
    steps = begun(programs.Terminal(), resumed=40)
    assert "| 41/90 [" in steps.go(1, 1.0)


def test_log_gets_whole_lines_and_only_now_and_then(begun):
    steps = begun(io.StringIO())
    steps.go(30)
    assert steps.stderr.getvalue() == ""
    steps.go(1, 600.0)
    assert steps.stderr.getvalue() == "step 31/90 [return -120, model mse 0.0012]\n"
    steps.go(59)
    assert steps.stderr.getvalue().count("\n") == 1  # 30 s later comes the next
    with steps.shown:
        pass
    assert steps.stderr.getvalue().count("\n") == 1


def test_log_says_what_the_terminal_does(monkeypatch, begun):
    monkeypatch.setattr(progress, "_LOG_SECONDS", 0.0)
    monkeypatch.setenv("COLUMNS", "20")  # which a log does not have
    steps = begun(io.StringIO(), updates_per_step=7)
    steps.go(60)
    lines = steps.stderr.getvalue().splitlines()
    assert len(lines) == 60
    assert lines[-1] == "step 60/90 [return -120, model mse 0.0012, 56 updates/s, 00:03 left]"
    assert all(re.fullmatch(r"step \d+/90 \[.+\]", line) for line in lines)


def test_evaluation_is_a_line_that_stays(begun, capsys):
    steps = begun(io.StringIO())
    steps.go(44)
    steps.evaluation = Evaluation(np.array([-100.0, -300.0]), np.array([25, 25]))
    steps.go(2)
    assert capsys.readouterr().out == (
        "step      45   greedy return   -200.0 ± 100.0   length   25.0   (2 episodes)\n"
    )


def test_rate_is_that_of_the_last_round_between_fits(monkeypatch, begun):
    """A step of 10 s falls out of the rate when as many steps as there are between two fits have
    followed it.
    """
    monkeypatch.setattr(progress, "_LOG_SECONDS", 0.0)
    steps = begun(io.StringIO(), resumed=30, updates_per_step=1)
    steps.go(1)
    steps.go(1, 10.0)
    rest = steps.config.dyna.retrain_every - 1
    assert "2 updates/s" in steps.go(rest)  # 20 steps in 12.4 s
    assert " 8 updates/s" in steps.go(1)
