"""Foreign text on a terminal: nothing in it can act, and nothing fills the screen."""

import os
import sys
from pathlib import Path

import pytest

from ibc.errors import InputError, input_error, one_message
from ibc.progress import Progress
from ibc.report.text import columns
from ibc.screen import shortened, show, visible


@pytest.mark.parametrize("text, seen", [
    ("plain é 漢字 مرحبا 👨\u200d👩", "plain é 漢字 مرحبا 👨\u200d👩"),
    ("\x1b]0;title\x07", r"\x1b]0;title\x07"), ("\x9b2J", r"\x9b2J"), ("a\rb\bc\x7f", r"a\x0db\x08c\x7f"),
    ("gpj.\u202eexe", r"gpj.\u202eexe"), ("a\u2028b\x85c", r"a\u2028b\x85c"), ("\ufeffa\u200b", r"\ufeffa\u200b"),
    (os.fsdecode(b"m\xfcll.jpg"), r"m\xfcll.jpg"), ("\ud800", r"\ud800"), ("\U000e0041", r"\U000e0041"),
    ("two\nlines\tand a tab", "two\nlines\tand a tab")])
def test_what_is_unseen_is_escaped(text: str, seen: str) -> None:
    assert visible(text) == seen


def test_long_text_keeps_its_ends() -> None:
    text = shortened("begin" + "x" * 20_000 + "end", 100)
    assert len(text) <= 100 and text.startswith("begin") and text.endswith("end") and "19908 more" in text
    assert shortened("short", 100) == "short"


def test_messages_are_one_short_printable_line() -> None:
    error = input_error("a\x1b[2Jb.txt", "'" + "\x07x" * 10_000 + "'", "an integer", "mend it", line=3)
    assert str(error).isprintable() and len(str(error)) < 600
    assert str(error).endswith("expected an integer; mend it")
    assert one_message("a\n  b\x1b" + "c" * 20_000).startswith(r"a b\x1b") and len(one_message("c" * 20_000)) <= 1500


def test_progress_and_tables_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(1, "listing \x1b[2J") as bar:
        bar.write("skipped: \x1b]0;a\x07")
    show("\n".join(columns([["a\x1b[1m", "b"], ["c" * 20_000, "d\nd"]])), sys.stdout)
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err and r"\x1b[2J" in err and r"\x1b]0;a\x07" in err
    assert max(map(len, out.splitlines())) < 300


def test_a_command_escapes_what_a_file_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from ibc.commands.doctor import COMMAND

    config = tmp_path / "a\x1b]0;b\x07.yaml"
    config.write_text('"k\\e[2J": 1\n')
    assert COMMAND([str(config)]) == 2
    assert COMMAND([str(tmp_path / "missing\x1b[2J.yaml")]) == 2
    with pytest.raises(SystemExit):
        COMMAND(["--near", "\x1b[2J", str(config)])
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err and r"\x1b]0;b\x07" in err and r"unknown key 'k\x1b[2J'" in err


def test_the_error_type_stays() -> None:
    assert type(input_error(None, "a", "b")) is InputError


def test_a_name_of_very_many_characters_is_refused(tmp_path: Path) -> None:
    from ibc.text_files import names_of_text

    assert names_of_text("a\n\n  b c \n" + "d" * 1000, "names.txt") == ["a", "b c", "d" * 1000]
    with pytest.raises(InputError, match=r"^names\.txt:3: found a name of 20000 characters, expected at most 1000"):
        names_of_text("a\n\n" + "x" * 20_000, "names.txt")
