"""Signals as a request to stop, in processes of their own."""

import os
import pty
import signal
import subprocess
import sys
import time

import programs
import pytest

# Waits for a request, then for a second one, and says what it was asked.
_WAITING = """
import signal, sys, time
from vagram_tf.commands.interrupts import Interrupts
with Interrupts([signal.SIGHUP, signal.SIGUSR1], "stopping") as interrupts:
    print("ready", flush=True)
    while not interrupts.requested():
        time.sleep(0.01)
    print("still here", file=sys.stderr, flush=True)
    time.sleep(float(sys.argv[2]))
    open(sys.argv[1], "w").write(f"keyboard {interrupts.by_keyboard}")
"""


def waiting(path, seconds=0.5, command=(), **kwargs):
    process = subprocess.Popen(
        [*command, sys.executable, "-c", _WAITING, str(path), str(seconds)],
        env=os.environ | {"PYTHONPATH": str(programs.ROOT)},
        text=True,
        # Also where the tests themselves run after `nohup`.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        **kwargs,
    )
    return process


@pytest.mark.parametrize("first", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"])
def test_one_signal_is_a_request(first, tmp_path):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = waiting(tmp_path / "said", **pipes)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(getattr(signal, first))
    assert process.communicate()[1] == "stopping\nstill here\n"
    assert process.returncode == 0
    assert (tmp_path / "said").read_text() == f"keyboard {first == 'SIGINT'}"


def test_second_ctrl_c_stops_at_once_and_a_second_warning_does_not(tmp_path):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = waiting(tmp_path / "said", 30, **pipes)
    assert process.stdout.readline() == "ready\n"
    for number in (signal.SIGUSR1, signal.SIGUSR1, signal.SIGINT, signal.SIGINT):
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(number)
    assert process.communicate()[1].count("stopping") == 1
    assert process.returncode != 0 and not (tmp_path / "said").exists()


def test_terminal_that_goes_away_costs_nothing(tmp_path):
    """As when a connection breaks: SIGHUP comes, and what is written then has nowhere to go."""
    terminal, other = pty.openpty()
    process = waiting(tmp_path / "said", stdout=other, stderr=other, start_new_session=True)
    os.close(other)
    said = b""
    while not said.endswith(b"\n"):  # a terminal that goes away amid a line is another matter
        said += os.read(terminal, 100)
    assert said == b"ready\r\n"
    os.close(terminal)
    process.send_signal(signal.SIGHUP)
    assert process.wait() == 0 and (tmp_path / "said").exists()


def test_nohup_still_means_that_it_goes_on(tmp_path):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = waiting(tmp_path / "said", command=["nohup"], **pipes)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0
