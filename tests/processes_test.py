"""Threads of a program share the allocator's arenas."""

import sys

import programs
import pytest

# Tells how many arenas twelve threads have that all allocate before any of them ends.
_ARENAS = """
import ctypes, os, sys, threading
from vagram_tf import processes

if sys.argv[1] == "shared":
    processes.share_memory()
libc = ctypes.CDLL(None)
barrier = threading.Barrier(12)

def allocate():
    barrier.wait()
    libc.malloc(100)
    barrier.wait()

threads = [threading.Thread(target=allocate) for _ in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.fdopen.restype = ctypes.c_void_p
libc.malloc_info(0, ctypes.c_void_p(libc.fdopen(os.dup(1), b"w")))
libc.fflush(None)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="arenas are glibc's")
def test_threads_share_four_arenas():
    def arenas(name):
        process = programs.python("-c", _ARENAS, name)
        assert process.returncode == 0, process.stderr
        return process.stdout.count("<heap nr=")

    assert arenas("shared") == 4
    assert arenas("separate") > 4  # on two cores or more; one has eight
