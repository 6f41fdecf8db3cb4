"""The work of the toy."""

import sys

from vagram_tf.errors import Fault

FAULTS = {
    "fault": Fault("it cannot go on"),
    "value": ValueError("wrong value"),
    "disk": OSError(28, "disk full"),
}


def run(how):
    if how in FAULTS:
        raise FAULTS[how]
    if how == "interrupted":
        raise KeyboardInterrupt
    if how == "bug":
        raise KeyError("a bug")
    while how == "talking":
        print("word", flush=True)
    print(how, "tensorflow" in sys.modules)
    return 130 if how == "stopped" else None
