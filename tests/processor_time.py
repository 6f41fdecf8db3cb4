"""A plugin of pytest's that shows what the processor time goes to, file by file, in the processes
that tests start, too; what each worker needs to begin is left out.

    python -m pytest -p tests.processor_time
"""

import collections
import os
from pathlib import Path

import pytest

_TICKS = os.sysconf("SC_CLK_TCK")  # per second
_begun = {}  # seconds at a test's beginning, by its name
_of_files = collections.Counter()


def seconds():
    """Returns the processor time of this process and all that it has started."""
    used, children = {}, collections.defaultdict(list)
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, parent, *fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        # User and system, its own and that of children that have ended: from the 14th field on.
        used[int(path.parent.name)] = sum(map(int, fields[9:13]))
        children[int(parent)].append(int(path.parent.name))
    found = [os.getpid()]
    for process in found:
        found += children[process]
    return sum(used.get(process, 0) for process in found) / _TICKS


def pytest_runtest_logstart(nodeid):
    _begun[nodeid] = seconds()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    if call.when == "teardown":
        item.user_properties.append(("processor", seconds() - _begun.pop(item.nodeid)))
    return (yield)


def pytest_runtest_logreport(report):
    if report.when == "teardown":
        _of_files[report.location[0]] += dict(report.user_properties)["processor"]


def pytest_terminal_summary(terminalreporter):
    for name, used in _of_files.most_common():
        terminalreporter.write_line(f"{used:8.1f} s  {name}")
    terminalreporter.write_line(f"{_of_files.total():8.1f} s of processor time")
