"""Every command that a page shows is one that there is: its own parser takes it.

That they work is shown elsewhere: ``test_readme_run.py`` runs the README's, ``tests/commands`` and others the rest.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import tomllib
from pathlib import Path

import pytest

from ibc.commands.command import Command
from ibc.commands.table import COMMANDS, load
from tests.docs.pages import GUIDES, ROOT, commands, mentions, name_of

TORCHRUN = {"--nproc_per_node", "--nnodes", "--rdzv_backend", "--rdzv_endpoint", "--max_restarts"}
MAKE = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
EXTRAS = set(re.findall(r"optional-dependencies\.(\w+)", (ROOT / "pyproject.toml").read_text()))


@pytest.mark.parametrize("page", GUIDES, ids=name_of)
def test_commands_in_blocks(page):
    for words in commands(page):
        while "=" in words[0]:  # a variable of the environment
            words = words[1:]
        check(words)


def check(words: list[str]) -> None:
    """Raise AssertionError for a command that would not be understood."""
    program = Path(words[0]).name
    if program == "torchrun":
        while words[1].startswith("--"):
            assert words[1] in TORCHRUN, words
            words = [words[0], *words[3:]]
        words, program = ["python", *words[1:]], "python"
    if program == "ibc":
        parse(words[1], load(words[1]), words[2:])
    elif program == "python":
        check_python(words[1:])
    elif program == "pytest":
        check_pytest(words[1:])
    elif program == "make":
        assert all(word in MAKE for word in words[1:] if "=" not in word), words
    elif program == "pip":
        check_pip(words[1:])
    else:
        assert program in ("docker", "pre-commit", "git"), words


def check_python(words: list[str]) -> None:
    if words[0] == "-c":
        ast.parse(words[1])
        return
    module = words[1] if words[0] == "-m" else words[0].removesuffix(".py").replace("/", ".")
    words = words[2:] if words[0] == "-m" else words[1:]
    if module == "ibc":
        parse(words[0], load(words[0]), words[1:])
    elif module == "pytest":
        check_pytest(words)
    elif module == "pip":
        check_pip(words)
    elif module.startswith("tests."):
        source = (ROOT / module.replace(".", "/")).with_suffix(".py").read_text()
        assert all(f'"{word}"' in source for word in words if word.startswith("--")), words
    else:  # an official script
        parse(module, importlib.import_module(module).COMMAND, words)


def parse(name: str, command: Command, words: list[str]) -> None:
    try:
        command.parser(f"ibc {name}").parse_args(words)
    except SystemExit as end:
        assert end.code == 0, (name, words)


def check_pytest(words: list[str]) -> None:
    for word in words:
        assert not word.startswith("tests") or (ROOT / word.split("::")[0]).exists(), words


def check_pip(words: list[str]) -> None:
    for before, word in zip(["", *words], words, strict=False):
        assert before != "-r" or (ROOT / word).exists(), words
        assert "[" not in word or set(re.findall(r"\w+", word.split("[")[1])) <= EXTRAS, words


@pytest.mark.parametrize("page", GUIDES, ids=name_of)
def test_commands_in_the_text(page):
    for code in mentions(page):
        found = re.fullmatch(r"(?:python -m )?ibc ([a-z]+)(?: (.*))?", code)
        if not found:
            continue
        name, rest = found[1], (found[2] or "").split()
        assert name in COMMANDS, code
        flags = known_flags(load(name).parser(f"ibc {name}"), rest)
        assert all(word.split("=")[0] in flags for word in rest if word.startswith("--")), code


def known_flags(parser: argparse.ArgumentParser, words: list[str]) -> set[str]:
    """The flags of a command, those of the sub-command among its words included."""
    flags = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            flags |= {flag for word in words if word in action.choices
                      for flag in action.choices[word]._option_string_actions}
    return flags


def test_every_command_has_its_row(root):
    page = (root / "docs/commands.md").read_text()
    assert re.findall(r"^\| `([a-z]+)[^|…]* \|", page, re.MULTILINE) == list(COMMANDS)


def test_the_extras_are_those_of_the_package(root):
    named = set(re.findall(r"'\.\[(\w+)\]'", (root / "docs/commands.md").read_text()))
    assert named == EXTRAS
    assert tomllib.loads((root / "pyproject.toml").read_text())["project"]["name"] == "ibc"
