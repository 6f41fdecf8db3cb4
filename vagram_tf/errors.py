"""What stops a program, and how an error reads to a person: on one line."""

import re


class Fault(RuntimeError):
    """Work cannot go on; the message says why, in one sentence."""


def one_line(error: object) -> str:
    """Returns the text of an error, or of anything else, on one line, without TensorFlow's names
    for its graph nodes.

    An error without a text gives the name of its type.
    """
    return " ".join(re.sub(r"\{\{.*?\}\}", "", str(error)).split()) or type(error).__name__
