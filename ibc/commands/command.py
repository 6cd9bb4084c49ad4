"""What every command shares: flags, errors as one line, and where its text goes.

A file of ``ibc.commands`` defines ``COMMAND``, a ``Command``: flags in, typed options at the door, exit code out.
Bad input becomes ``error: ...`` on stderr and exit code 2.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ibc.device import tune_process
from ibc.errors import InputError
from ibc.ready_configs import ready_names

SEEDS = 2**32  # of numpy's generators; seeds are smaller


Options = TypeVar("Options")


class CommandParser(argparse.ArgumentParser):
    """An argument parser whose complaints are one ``error:`` line, like all others here."""

    def error(self, message: str):
        self.exit(2, f"error: {' '.join(message.split())}; see {self.prog} --help\n")


def command_parser(description: str, example: str, prog: str | None = None) -> CommandParser:
    """A parser with ``--debug``, and an example under its help, in which ``{prog}`` stands for the program."""
    parser = CommandParser(prog=prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    lines = example.strip().replace("{prog}", _as_typed(parser.prog)).splitlines()
    parser.epilog = "example:\n" + "\n".join(f"  {line}" for line in lines)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _as_typed(prog: str) -> str:
    """``train.py`` is started as ``python train.py``, ``ibc train`` as it is."""
    return f"python {prog}" if prog.endswith(".py") else prog


def add_config_flag(parser: argparse.ArgumentParser, what: str) -> None:
    """``--config``, which must be given; whoever reads it takes ``find_config`` of it. what: begins its help."""
    parser.add_argument("--config", required=True, metavar="FILE",
                        help=f"{what}; where there is no such file, the ready one of this name: "
                             + ", ".join(ready_names()))


def add_device_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"],
                        help="auto takes a GPU when there is one (default: auto)")


def add_seed_flag(parser: argparse.ArgumentParser, default: int | None, what: str) -> None:
    parser.add_argument("--seed", type=_seed, default=default, metavar="N", help=f"{what} (default: {default})")


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= SEEDS:
        raise argparse.ArgumentTypeError(f"found '{text}', expected a whole number from 0 to {SEEDS - 1}")
    return int(text)


def add_json_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", metavar="FILE", dest="json_path",
                        help="write every number, the protocol, input hashes and versions here (- for stdout)")


@dataclass(frozen=True)
class Command(Generic[Options]):
    """A command, called with the words after its name (default: those of the process); returns its exit code.

    parser: makes the parser for a program name (None: that of the process). options: a dataclass with a field for
    every flag's ``dest``. run: does the work; it may return an exit code other than 0.
    """

    parser: Callable[[str | None], CommandParser]
    options: Callable[..., Options]
    run: Callable[[Options], int | None]

    def __call__(self, argv: list[str] | None = None, prog: str | None = None) -> int:
        def body(args: argparse.Namespace) -> int | None:
            return self.run(self.options(**{name: value for name, value in vars(args).items() if name != "debug"}))

        return run_command(self.parser(prog), body, argv)


def run_command(parser: argparse.ArgumentParser, body: Callable[[argparse.Namespace], int | None],
                argv: list[str] | None = None) -> int:
    """Parse, run ``body(args)``, and return the exit code: 0, 2 on bad input, 130 on Ctrl-C."""
    tune_process()
    args = parser.parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal without the character, an odd file name
    if sys.__stderr__ and not faulthandler.is_enabled():
        faulthandler.enable(sys.__stderr__)  # a crash in a native library then says where it came from
    try:
        return body(args) or 0
    except BrokenPipeError:  # the reader of a pipe went away (| head): not an error of ours
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (InputError, OSError) as error:
        if args.debug:
            raise
        print(f"error: {_one_line(error)}", file=sys.stderr)
        return 2


def _one_line(error: InputError | OSError) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split())


def speaker(json_path: str | None) -> Callable[[str], None]:
    """Where a command's text goes: stdout, or stderr when stdout is to hold the JSON alone."""
    stream = sys.stderr if json_path == "-" else sys.stdout

    def say(text: str = "") -> None:
        print(text, file=stream, flush=True)

    return say
