"""The skeleton of every command-line program: what may be refused is refused first, then it works.

Exit codes: 0, or what the work returns; 1 after a fault; 2 where nothing was begun; 130 after
Ctrl-C.
"""

import contextlib
import importlib
import os
import re
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from absl import app

import vagram_tf
from vagram_tf import processes, quiet
from vagram_tf.commands import flags
from vagram_tf.commands.notice import notice
from vagram_tf.config import RunConfig
from vagram_tf.errors import Fault


@dataclass(frozen=True)
class Program:
    """A program, from its flags to its exit code. Its help is the docstring of the module that
    defines its flags, whose examples name it as it was started.

    Args:
      define: defines its flags.
      check: finds out from the flags what is to be done, the order, which is any value. Begins
        nothing and does not import TensorFlow. Raises ValueError or OSError, in one sentence, for
        what is refused.
      work: name of the module that works, imported after everything else: its `run(order)` may
        return an exit code, and raises ValueError, OSError or Fault, in one sentence, where it
        cannot go on.
      threads: of TensorFlow, by order; None for a program that does without TensorFlow.
      packages: that it needs besides those of a run.
      hold: takes what nobody else may have meanwhile, as a context manager that yields the order
        for `run`; it may refuse as `check` does.
    """

    define: Callable[[], None]
    check: Callable[[], Any]
    work: str
    threads: Callable[[Any], int] | None = lambda order: RunConfig().threads
    packages: tuple[str, ...] = ()
    hold: Callable[[Any], AbstractContextManager[Any]] = contextlib.nullcontext

    def main(self) -> NoReturn:
        """Runs the program and ends the process, without a word where nobody reads standard output
        any longer.
        """
        self.define()
        code: object = 1
        try:
            try:
                app.run(lambda argv: self._run(), flags_parser=self._parse)
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            # Which the interpreter flushes once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except SystemExit as end:
            code = end.code
        except KeyboardInterrupt:
            code = 130
        processes.end(code)

    def _parse(self, argv: list[str]) -> list[str]:
        if "--version" in argv[1:]:
            print(f"vagram_tf {vagram_tf.__version__}")
            sys.exit(0)
        if {"--help", "-h", "-help"} & set(argv[1:]):
            command = _command(argv[0])
            text = sys.modules[self.define.__module__].__doc__ or ""
            examples = re.sub(r"^    vagram-\w+", f"    {command}", text, flags=re.MULTILINE)
            try:
                print(flags.help_text(command, examples, self.define.__module__, argv))
            except ValueError as error:
                flags.fail(str(error), 2)
            sys.exit(0)
        return flags.parse(argv)

    def _run(self) -> int:
        with contextlib.ExitStack() as held:
            try:
                flags.check_packages(*self.packages)
                quiet.announce_threads(RunConfig().threads)
                order = held.enter_context(self.hold(self.check()))
            except (ValueError, OSError) as error:
                flags.fail(str(error), 2)
            try:
                with notice("loading TensorFlow") if self.threads else contextlib.nullcontext():
                    if self.threads:
                        quiet.load_tensorflow(self.threads(order))
                    work = importlib.import_module(self.work)
                code = work.run(order)
            except BrokenPipeError:  # nobody reads what it prints
                raise
            except (ValueError, OSError, Fault) as error:
                flags.fail(str(error), 1)
        return code or 0


def with_tensorflow(module: str, threads: int) -> ModuleType:
    """Imports a module that needs TensorFlow, after TensorFlow itself, whose notices are not shown.

    Args:
      module: its name.
      threads: of an operation.
    """
    quiet.load_tensorflow(threads)
    return importlib.import_module(module)


def _command(program: str) -> str:
    """Returns how the program was started: `python -m <module>`, or the name of a command that is
    installed.
    """
    spec = sys.modules["__main__"].__spec__
    return f"python -m {spec.name}" if spec else Path(program).name
