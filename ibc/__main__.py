"""The program ``ibc``, also ``python -m ibc``: ``ibc COMMAND ...`` runs a command of ``ibc.commands.table``."""

from __future__ import annotations

import argparse
import difflib
import sys

from ibc import __version__
from ibc.commands.command import CommandParser
from ibc.commands.streams import with_steady_streams
from ibc.commands.table import COMMANDS, load
from ibc.errors import input_error
from ibc.ready_configs import ready_folder
from ibc.screen import show


def main(argv: list[str] | None = None) -> int:
    """Run the command that the words name (default: the words of the process); return its exit code.

    Without a word the help is shown. Help, version and bad words end the process (SystemExit), as argparse does.
    """
    return with_steady_streams(lambda: _run((sys.argv[1:] if argv is None else argv) or ["--help"]))


def _run(argv: list[str]) -> int:
    name, *words = argv
    if name in COMMANDS:
        return load(name)(words, prog=f"ibc {name}")
    if name.startswith("-"):
        _parser().parse_args([name])
    near = difflib.get_close_matches(name, COMMANDS, 1)
    advice = f"did you mean '{near[0]}'?" if near else "see ibc --help"
    error = input_error(None, f"'{name}'", "a command", advice)
    show(f"error: {error}", sys.stderr)
    return 2


def _parser() -> CommandParser:
    """What ``ibc`` understands itself: ``--help`` and ``--version``."""
    parser = CommandParser("ibc", usage="ibc COMMAND ...", description="Interpretable binary codes for customised "
                           "image retrieval.", formatter_class=argparse.RawDescriptionHelpFormatter)
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {what}" for name, what in COMMANDS.items()]
    parser.epilog = "\n".join(["commands, in the order of their use:", *lines, "", "ibc COMMAND --help says more.",
                               f"ready configurations: {ready_folder()}"])
    parser.add_argument("--version", action="version", version=f"ibc {__version__}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
