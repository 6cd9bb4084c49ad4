"""The machinery of all commands: from flags to an exit code."""

import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

from ibc.commands.command import Command, add_json_flag, add_seed_flag, command_parser, speaker
from ibc.errors import input_error


@dataclass(frozen=True)
class SayOptions:
    words: list[str]
    seed: int | None
    json_path: str | None


def parser_of(prog):
    parser = command_parser("Say the words.", "{prog} hello\n{prog} hello --seed 7", prog)
    parser.add_argument("words", nargs="*")
    add_seed_flag(parser, 3, "of nothing")
    add_json_flag(parser)
    return parser


def command(run) -> Command[SayOptions]:
    return Command(parser_of, SayOptions, run)


def test_flags_become_typed_options():
    seen = []
    assert command(seen.append)(["a", "b", "--json", "-"]) == 0
    assert seen == [SayOptions(["a", "b"], 3, "-")]


def test_the_exit_code_is_what_run_returns():
    assert [command(lambda _, code=code: code)([]) for code in (None, 0, 1, 143)] == [0, 0, 1, 143]


@pytest.mark.parametrize(("error", "line"), [
    (input_error("a.yaml", "x", "y", "do z", line=3), "a.yaml:3: found x, expected y; do z"),
    (FileNotFoundError(2, "No such file or directory", "a.yaml"), "a.yaml: No such file or directory"),
    (OSError("several\nlines"), "several lines")])
def test_bad_input_is_one_line(capsys, error, line):
    def run(_):
        raise error

    assert command(run)([]) == 2
    assert capsys.readouterr() == ("", f"error: {line}\n")
    with pytest.raises(type(error)):
        command(run)(["--debug"])


def test_an_interrupt(capsys):
    def run(_):
        raise KeyboardInterrupt

    assert command(run)([]) == 130
    assert capsys.readouterr() == ("", "interrupted\n")


@pytest.mark.parametrize("seed", ["-1", "1.5", "4294967296", "two"])
def test_a_bad_flag_is_one_line(capsys, seed):
    with pytest.raises(SystemExit) as end:
        command(None)(["--seed", seed], prog="ibc say")
    assert end.value.code == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("error: argument --seed: ") and err.endswith("; see ibc say --help\n")


@pytest.mark.parametrize(("prog", "typed"), [("ibc say", "ibc say"), ("eval/say.py", "python eval/say.py")])
def test_examples_name_the_program_as_it_is_started(prog, typed):
    assert parser_of(prog).format_help().endswith(f"example:\n  {typed} hello\n  {typed} hello --seed 7\n")


def test_json_on_stdout_has_it_for_itself(capsys):
    speaker("-")("text")
    speaker("file.json")("text")
    speaker(None)("more")
    assert capsys.readouterr() == ("text\nmore\n", "text\n")


def test_a_reader_that_goes_away_is_no_error(root):
    program = ("import sys; from tests.commands.test_command import command\n"
               "sys.exit(command(lambda _: print('x' * 10_000_000))([]))")
    run = subprocess.Popen([sys.executable, "-c", program], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    run.stdout.close()
    assert (run.stderr.read(), run.wait()) == (b"", 0)
    run.stderr.close()


@pytest.mark.parametrize(("streams", "code", "out", "err"), [
    (">&-", 0, "", "to err\n"), ("2>&-", 0, "to out\n", ""), (">&- 2>&- <&-", 0, "", ""),
    ("> >(true)", 0, "", "to err\n"),
    ("2> >(true)", 0, "to out\n", ""), ("2>/dev/full", 0, "to out\n", ""),
    (">/dev/full", 2, "", "to err\nerror: stdout: No space left on device\n")])
def test_streams_that_cannot_be_written_do_not_end_the_work(root, tmp_path, streams, code, out, err):
    """And a file that is opened later does not take the place of a closed one."""
    program = ("import os, sys, time; from ibc.screen import show; from tests.commands.test_command import command\n"
               f"def run(_):\n    with open({str(tmp_path / 'file')!r}, 'w') as file:\n"
               "        time.sleep(0.2); file.write('content'); show('to out'); show('to err', sys.stderr)\n"
               "        assert file.fileno() > 2\n"
               "sys.exit(command(run)([]))")
    done = subprocess.run(["bash", "-c", f'"$@" {streams}', "bash", sys.executable, "-c", program], cwd=root,
                          capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, out, err)
    assert (tmp_path / "file").read_text() == "content"


def test_help_that_nobody_reads(root):
    done = subprocess.run(["bash", "-c", '"$@" --help > >(true); "$@" --help >&-; "$@" train --help > >(true)', "bash",
                           sys.executable, "-m", "ibc"], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(("backend", "after"), [
    ("module://not_installed_here.backend_inline", None), ("module://json.backend", "module://json.backend"),
    ("module://", None), ("agg", "agg")])
def test_a_notebooks_backend_that_is_not_installed_is_forgotten(monkeypatch, backend, after):
    monkeypatch.setenv("MPLBACKEND", backend)
    assert command(lambda _: None)([]) == 0
    assert os.environ.get("MPLBACKEND") == after
