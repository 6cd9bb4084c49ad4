"""The program ``ibc``: its help, its commands, and words that it does not know."""

import re

import pytest

from ibc import __version__
from ibc.__main__ import main
from ibc.commands.table import COMMANDS
from tests.small_run import run_alone


def ended(capsys, *words) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of ``ibc WORDS``."""
    try:
        code = main(list(words))
    except SystemExit as end:
        code = end.code
    return code, *capsys.readouterr()


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_lists_all_commands_in_order(capsys, words):
    code, out, err = ended(capsys, *words)
    assert (code, err) == (0, "")
    assert re.findall(r"^  (\w+)  +\S", out.split("commands,")[1], re.MULTILINE) == list(COMMANDS)


def test_version(capsys):
    assert ended(capsys, "--version") == (0, f"ibc {__version__}\n", "")


@pytest.mark.parametrize(("word", "advice"), [
    ("trian", "did you mean 'train'?"), ("extraction", "did you mean 'extract'?"), ("xyz", "see ibc --help")])
def test_an_unknown_command_is_one_line(capsys, word, advice):
    assert ended(capsys, word) == (2, "", f"error: found '{word}', expected a command; {advice}\n")


def test_an_unknown_flag_is_one_line(capsys):
    assert ended(capsys, "--verison") == (2, "", "error: unrecognized arguments: --verison; see ibc --help\n")


def test_commands_know_their_name(capsys):
    code, out, _ = ended(capsys, "train", "--help")
    assert code == 0
    assert out.startswith("usage: ibc train ")
    assert "\n  ibc train --config " in out
    assert ended(capsys, "train") == (
        2, "", "error: the following arguments are required: --config; see ibc train --help\n")
    code, _, err = ended(capsys, "train", "--config", "absent.yaml")
    assert (code, err) == (2, "error: absent.yaml: No such file or directory\n")


def test_as_a_module(root):
    result = run_alone("-m", "ibc", "extract", "--help", cwd=root)
    assert (result.returncode, result.stderr) == (0, "")
    assert "ibc extract --config" in result.stdout
