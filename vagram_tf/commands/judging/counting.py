"""How far a program is whose time goes to the calls of a function."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

from tqdm import tqdm

_BAR = "{desc} |{bar}| {n_fmt}/{total_fmt} [{elapsed}]"
_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")


@contextlib.contextmanager
def counted(
    what: str, function: Callable[_Arguments, _Answer], most: int
) -> Iterator[Callable[_Arguments, _Answer]]:
    """Gives the function, whose calls a bar counts in a terminal, and nothing in a log.

    Args:
      what: stands before the bar, which goes at the end.
      function: is called through what this gives.
      most: calls that there can be.
    """
    shown = sys.stderr.isatty()
    with tqdm(
        total=most, desc=what, bar_format=_BAR, miniters=1, leave=False, disable=not shown
    ) as bar:

        def counting(*arguments: _Arguments.args, **named: _Arguments.kwargs) -> _Answer:
            answer = function(*arguments, **named)
            bar.update()
            return answer

        yield counting
