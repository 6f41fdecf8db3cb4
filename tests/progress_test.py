"""The progress that a person sees, in a terminal and in a log."""

import io
import re
import sys
import types

import programs
import pytest

from vagram_tf.run import progress


def progress_of(steps, stderr, monkeypatch, resumed=0):
    """Shows `steps` steps of 0.1 s each of the tiny run, 30 random and 60 training ones; returns
    what was printed.
    """
    now = 0.0
    dyna = types.SimpleNamespace(
        env_step=resumed,
        training_step=resumed - 30,
        latest={},
        interaction=types.SimpleNamespace(episodes=[]),
    )
    training = types.SimpleNamespace(
        config=programs.tiny(updates_per_step=7), dyna=dyna, env_step=resumed, evaluation=None
    )
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(progress, "time", types.SimpleNamespace(monotonic=lambda: now))
    with progress.Progress(training, 90) as bar:
        for _ in range(steps):
            now, dyna.env_step, dyna.training_step = (
                now + 0.1,
                dyna.env_step + 1,
                dyna.training_step + 1,
            )
            if dyna.env_step == 25:
                dyna.interaction.episodes.append((-120.4, 25))
            if dyna.env_step == 31:
                dyna.latest["model/holdout_mse"] = 0.00123
                now += 600.0  # the first fit and the compiler
            bar.show(training)
    return stderr.getvalue()


def last(printed):
    return re.split(r"[\r\n]+", printed.strip())[-1]


@pytest.mark.parametrize(
    "steps, state",
    [
        (10, "exploring"),
        (30, "return -120, compiling"),
        (31, "return -120, model mse 0.0012, compiling"),
        (60, "return -120, model mse 0.0012, 70 updates/s, 00:03 left"),
    ],
)
def test_terminal_shows_return_model_error_rate_and_time_left(steps, state, monkeypatch):
    shown = last(progress_of(steps, programs.Terminal(), monkeypatch))
    assert re.fullmatch(rf"\|.+\| {steps}/90 \[\d\d:\d\d, {re.escape(state)}\]", shown), shown


def test_bar_begins_where_a_run_continues(monkeypatch):
    assert "| 41/90 [" in last(progress_of(1, programs.Terminal(), monkeypatch, resumed=40))


def test_log_gets_whole_lines_and_only_now_and_then(monkeypatch):
    printed = progress_of(60, io.StringIO(), monkeypatch)
    # The only one after 30 s.
    assert printed == "step 31/90 [return -120, model mse 0.0012, compiling]\n"


def test_log_says_what_the_terminal_does(monkeypatch):
    monkeypatch.setattr(progress, "_LOG_SECONDS", 0.0)
    lines = progress_of(60, io.StringIO(), monkeypatch).splitlines()
    assert len(lines) == 60
    assert lines[-1] == "step 60/90 [return -120, model mse 0.0012, 70 updates/s, 00:03 left]"
    assert all(re.fullmatch(r"step \d+/90 \[.+\]", line) for line in lines)


def test_rate_is_that_of_the_last_round_between_fits(monkeypatch):
    """A step of 10 s falls out of the rate when as many steps as there are between two fits have
    followed it.
    """
    dyna = types.SimpleNamespace(
        env_step=30, training_step=0, latest={}, interaction=types.SimpleNamespace(episodes=[])
    )
    config = programs.tiny(updates_per_step=1)
    training = types.SimpleNamespace(config=config, dyna=dyna, env_step=30, evaluation=None)
    now, lines = 0.0, []
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(progress, "time", types.SimpleNamespace(monotonic=lambda: now))
    with progress.Progress(training, 90) as bar:
        for step in range(1, config.dyna.retrain_every + 3):
            now += 10.0 if step == 2 else 0.1
            dyna.training_step, dyna.env_step = step, 30 + step
            bar.show(training)
            lines.append(bar._state(training))
    assert "2 updates/s" in lines[-2]  # 20 steps in 11.9 s
    assert "10 updates/s" in lines[-1]
