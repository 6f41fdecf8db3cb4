"""A process that has imported TensorFlow and what else takes long, and forks: a program that a test
starts begins there.

The imports are a third of a tiny run. Standard input is a socket: each message is an order, with
the pipes of its output; a child runs it to its end, and the answer is the exit code.
"""

import gc  # noqa: I001
import json
import os
import runpy
import signal
import socket
import sys

import vagram_tf  # noqa: F401  before TensorFlow: it chooses Keras 2
import matplotlib.backends.backend_agg  # noqa: F401
import scipy.stats  # noqa: F401
import tensorflow as tf  # noqa: F401
import tf_agents.environments  # noqa: F401

TIMEOUT = 500  # seconds


def serve(orders):
    """Answers orders until nobody asks; returns, in a child, Python's arguments."""
    while True:
        message, pipes, *_ = socket.recv_fds(orders, 2**20, 2)
        if not message:
            sys.exit()
        child = os.fork()
        if not child:
            return become(*json.loads(message), pipes)
        for pipe in pipes:
            os.close(pipe)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        orders.send(str(code).encode())


def become(arguments, directory, environment, pipes):
    """Makes this process what a fresh one in this directory and environment is, but for what is
    imported; returns its arguments.
    """
    os.chdir(directory)
    sys.path[0] = directory
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, pipe in enumerate(pipes, start=1):
        os.dup2(pipe, number)
        os.close(pipe)
    signal.alarm(TIMEOUT)
    return arguments


if __name__ == "__main__":
    gc.freeze()  # what collects garbage in a child would copy the pages of all that it looks at
    option, what, *arguments = serve(socket.socket(fileno=0))
    sys.argv = [option, *arguments]
    if option == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(what, {"__name__": "__main__"})
