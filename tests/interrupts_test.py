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

PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


def waiting(path, seconds=0.5, command=(), program=_WAITING, **kwargs):
    process = subprocess.Popen(
        [*command, sys.executable, "-c", program, str(path), str(seconds)],
        env=os.environ | {"PYTHONPATH": str(programs.ROOT)},
        text=True,
        # Also where the tests themselves run after `nohup`.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        **kwargs,
    )
    return process


@pytest.mark.parametrize("first", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"])
def test_one_signal_is_a_request(first, tmp_path):
    process = waiting(tmp_path / "said", **PIPES)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(getattr(signal, first))
    assert process.communicate()[1] == "stopping\nstill here\n"
    assert process.returncode == 0
    assert (tmp_path / "said").read_text() == f"keyboard {first == 'SIGINT'}"


def test_second_ctrl_c_stops_at_once_and_a_second_warning_does_not(tmp_path):
    process = waiting(tmp_path / "said", 30, **PIPES)
    assert process.stdout.readline() == "ready\n"
    for number in (signal.SIGUSR1, signal.SIGUSR1, signal.SIGINT, signal.SIGINT):
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(number)
    assert process.communicate()[1].count("stopping") == 1
    assert process.returncode != 0 and not (tmp_path / "said").exists()


@pytest.mark.parametrize(
    "signals", [[signal.SIGHUP], [signal.SIGUSR1], [signal.SIGTERM, signal.SIGHUP]]
)
def test_terminal_that_goes_away_costs_nothing(signals, tmp_path):
    """As when a connection breaks: what is written then has nowhere to go, SIGHUP or not."""
    terminal, other = pty.openpty()
    process = waiting(tmp_path / "said", stdout=other, stderr=other, start_new_session=True)
    os.close(other)
    assert os.read(terminal, 5) == b"ready"  # amid a line
    os.close(terminal)
    for number in signals:
        process.send_signal(number)
    assert process.wait() == 0 and (tmp_path / "said").exists()


# Speaks until a request comes.
_SPEAKING = """
import sys
from vagram_tf.commands.interrupts import Interrupts
with Interrupts([]) as interrupts:
    while not interrupts.requested():
        print("a line")
open(sys.argv[1], "w").write("saved")
"""


def test_pipe_that_nobody_reads_any_more_is_a_request(tmp_path):
    process = waiting(tmp_path / "said", program=_SPEAKING, stdout=subprocess.PIPE)
    assert process.stdout.readline() == "a line\n"
    process.stdout.close()
    assert process.wait() == 0 and (tmp_path / "said").read_text() == "saved"


def test_signals_amid_what_is_said_are_heard(tmp_path):
    for attempt in range(3):
        said = tmp_path / f"said_{attempt}"
        process = waiting(said, program=_SPEAKING, **PIPES)
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.communicate()[1].startswith("stopping after this step")
        assert process.returncode == 0 and said.read_text() == "saved"


def test_nohup_still_means_that_it_goes_on(tmp_path):
    process = waiting(tmp_path / "said", command=["nohup"], **PIPES)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0
