"""What all commands share: the path from flags to an exit code, common flags, and where text goes.

Each file of ``ibc.commands`` that is a command defines ``COMMAND``, a ``Command``. Its flags are parsed once and become
a typed options object; ``run`` works with that. Bad input becomes one ``error:`` line on stderr and exit code 2.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Generic, NoReturn, TypeVar

from ibc.commands.streams import with_steady_streams
from ibc.device import tune_process
from ibc.errors import InputError, one_message
from ibc.memory import is_memory_error, memory_error
from ibc.ready_configs import ready_names
from ibc.screen import show
from ibc.signals import interruptible_once

SEEDS = 2**32  # of numpy's generators; seeds are smaller


Options = TypeVar("Options")


class CommandParser(argparse.ArgumentParser):
    """An argument parser that reports a bad flag as all other bad input is reported: one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Print ``error: MESSAGE`` on stderr and end the process."""
        self.exit(2, f"error: {one_message(message)}; see {self.prog} --help\n")


def command_parser(description: str, example: str, prog: str | None = None) -> CommandParser:
    """A parser with the flag ``--debug`` and an example under its help.

    example: one or several lines, in which ``{prog}`` stands for how the program is started. prog: its name; None
    takes that of the process.
    """
    parser = CommandParser(prog=prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_example(parser, example)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def add_example(parser: argparse.ArgumentParser, example: str) -> None:
    """Show an example under the help of a parser; ``{prog}`` in it stands for the program, as the user types it."""
    lines = example.strip().replace("{prog}", _as_typed(parser.prog)).splitlines()
    parser.epilog = "example:\n" + "\n".join(f"  {line}" for line in lines)


def _as_typed(prog: str) -> str:
    """How a program is started: ``python train.py``, but ``ibc train``."""
    return f"python {prog}" if prog.endswith(".py") else prog


def add_config_flag(parser: argparse.ArgumentParser, what: str) -> None:
    """``--config FILE``, which must be given; the command reads ``find_config`` of it. what: begins its help."""
    parser.add_argument("--config", required=True, metavar="FILE",
                        help=f"{what}; where there is no such file, the ready one of this name: "
                             + ", ".join(ready_names()))


def add_device_flag(parser: argparse.ArgumentParser) -> None:
    """``--device auto|cpu|cuda``."""
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"],
                        help="auto takes a GPU when there is one (default: auto)")


def add_seed_flag(parser: argparse.ArgumentParser, default: int | None, what: str) -> None:
    """``--seed N``, N from 0 to 2^32 - 1. what: of what it is the seed, for the help."""
    parser.add_argument("--seed", type=_seed, default=default, metavar="N", help=f"{what} (default: {default})")


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= SEEDS:
        raise argparse.ArgumentTypeError(f"found '{text}', expected a whole number from 0 to {SEEDS - 1}")
    return int(text)


def add_json_flag(parser: argparse.ArgumentParser) -> None:
    """``--json FILE``, under the name ``json_path``."""
    parser.add_argument("--json", metavar="FILE", dest="json_path",
                        help="write every number, the protocol, input hashes and versions here (- for stdout)")


@dataclass(frozen=True)
class Command(Generic[Options]):
    """A command: how its flags are parsed, and what it does with them.

    parser: makes the parser for a program name; None stands for the name of the process. options: a frozen dataclass
    with one field a flag, named as the flag's ``dest``. run: does the work; returns None or an exit code.
    """

    parser: Callable[[str | None], CommandParser]
    options: Callable[..., Options]
    run: Callable[[Options], int | None]

    def __call__(self, argv: list[str] | None = None, prog: str | None = None) -> int:
        """Run the command and return its exit code. argv: the words after its name (default: the process's)."""
        def body(args: argparse.Namespace) -> int | None:
            return self.run(self.options(**{name: value for name, value in vars(args).items() if name != "debug"}))

        return run_command(self.parser(prog), body, argv)


def run_command(parser: argparse.ArgumentParser, body: Callable[[argparse.Namespace], int | None],
                argv: list[str] | None = None) -> int:
    """Parse the flags, call ``body(args)``, and return its exit code.

    0 for None, 2 on bad input or too little memory, 130 on Ctrl-C. The work goes on when nobody reads
    stdout any more. A second Ctrl-C ends the process at once.
    """
    tune_process()
    _forget_foreign_backend()

    def work() -> int:
        args = parser.parse_args(argv)
        if sys.__stderr__ and not faulthandler.is_enabled():
            faulthandler.enable(sys.__stderr__)  # a crash in a native library then shows where
        with interruptible_once():
            try:
                return body(args) or 0
            except KeyboardInterrupt:
                show("interrupted", sys.stderr)
                return 130
            except (InputError, OSError) as error:
                if args.debug:
                    raise
                show(f"error: {_one_line(error)}", sys.stderr)
                return 2
            except (RuntimeError, MemoryError) as error:
                if args.debug or not is_memory_error(error):
                    raise
                show(f"error: {_one_line(memory_error(error))}", sys.stderr)
                return 2

    return with_steady_streams(work)


def _forget_foreign_backend() -> None:
    """Drop a matplotlib backend that is not installed here: a notebook of another environment passes its own on."""
    name = os.environ.get("MPLBACKEND", "")
    if name.startswith("module://") and find_spec(name.removeprefix("module://").partition(".")[0] or "?") is None:
        del os.environ["MPLBACKEND"]


def _one_line(error: InputError | OSError) -> str:
    if isinstance(error, OSError) and error.strerror:
        return one_message(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
    return one_message(str(error))


def speaker(json_path: str | None) -> Callable[[str], None]:
    """A function that prints a command's text: on stdout, or on stderr where ``--json -`` needs stdout for itself."""
    stream = sys.stderr if json_path == "-" else sys.stdout

    def say(text: str = "") -> None:
        show(text, stream)

    return say
