"""How far a program is, in a terminal alone."""

import io
import re
import sys
import time

import programs

from vagram_tf.commands.judging.counting import counted
from vagram_tf.commands.notice import notice


def test_calls_are_counted_in_a_terminal_and_the_bar_goes(monkeypatch):
    monkeypatch.setattr(sys, "stderr", programs.Terminal())
    with counted("greedy actions", lambda x, factor=1: x * factor, 10) as doubled:
        for x in range(7):
            assert doubled(x, factor=2) == 2 * x
            time.sleep(0.11)  # longer than two pictures of a bar are apart
        shown = sys.stderr.getvalue()
    assert re.match(r"\r?greedy actions \|.*\| 0/10 \[00:00\]", shown)
    assert re.search(r"\| 7/10 \[\d\d:\d\d\]$", shown)
    assert sys.stderr.getvalue().removeprefix(shown).strip() == ""


def test_notice_goes_again(monkeypatch):
    monkeypatch.setattr(sys, "stderr", programs.Terminal())
    with notice("loading"):
        assert sys.stderr.getvalue() == "loading"
    assert sys.stderr.getvalue() == "loading\r\x1b[K"


def test_log_has_neither(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with notice("loading"), counted("steps", abs, 2) as counting:
        assert counting(-3) == 3
    assert sys.stderr.getvalue() == ""
