"""What every command shares: flags, errors as one line, device choice, progress, JSON output.

A command builds a parser with ``command_parser``, and hands it with its body to ``run_command``,
which turns bad input into ``error: ...`` on stderr and exit code 2.
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from ibc.errors import InputError, input_error
from ibc.files import atomic_write, sha256

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
SEEDS = 2**32  # of numpy's generators; seeds are smaller
PLAIN_PROGRESS_SECONDS = 10.0  # between two lines where stderr is not a terminal

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h


class CommandParser(argparse.ArgumentParser):
    """An argument parser whose complaints are one ``error:`` line, like all others here."""

    def error(self, message: str):
        self.exit(2, f"error: {' '.join(message.split())}; see {self.prog} --help\n")


def command_parser(description: str, example: str, prog: str | None = None) -> CommandParser:
    """A parser with an example under its help, and ``--debug``."""
    parser = CommandParser(
        prog=prog,
        description=description,
        epilog="example:\n" + "\n".join(f"  {line}" for line in example.strip().splitlines()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


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


def run_command(parser: argparse.ArgumentParser, body: Callable[[argparse.Namespace], int | None],
                argv: list[str] | None = None) -> int:
    """Parse, run ``body(args)``, and return the exit code: 0, 2 on bad input, 130 on Ctrl-C."""
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


def resolve_device(name: str) -> torch.device:
    """``auto``, ``cpu`` or ``cuda`` as a torch device. Raises InputError without a usable GPU."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise input_error("--device", f"{name}, but no usable GPU", "a CUDA device", "use --device cpu")
    return torch.device(name)


def keep_freed_memory(device: torch.device) -> None:
    """Let malloc keep large blocks for a network's next batch on a CPU (glibc; elsewhere, and for a GPU, nothing).

    Else the kernel clears the pages of every layer's output anew: a quarter of an update's time on two cores.
    """
    if device.type == "cpu" and platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        for setting in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            mallopt(setting, 2**31 - 1)


class Progress:
    """A progress bar on a terminal; elsewhere a plain line every few seconds and at the end.

    Counts items (``unit``), shows the rate and the time left, and any ``note`` beside them.
    """

    def __init__(self, total: int | None, what: str, unit: str = "images", initial: int = 0):
        self.total, self.what, self.unit = total, what, unit
        self.done = self.initial = initial
        self.start = self.last_line = time.monotonic()
        self.note = ""
        self.bar = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=total, desc=what, unit=f" {unit}", initial=initial, dynamic_ncols=True)

    def update(self, count: int = 1, note: str = "") -> None:
        self.done += count
        self.note = note or self.note
        if self.bar is not None:
            if note:
                self.bar.set_postfix_str(note, refresh=False)
            self.bar.update(count)
        elif time.monotonic() - self.last_line >= PLAIN_PROGRESS_SECONDS:
            self._line()

    def write(self, text: str, stream: TextIO | None = None) -> None:
        """Print a line above the bar, on stderr or ``stream``."""
        stream = stream or sys.stderr
        if self.bar is not None:
            self.bar.write(text, file=stream)
        else:
            print(text, file=stream, flush=True)

    def _line(self) -> None:
        self.last_line = time.monotonic()
        elapsed = max(self.last_line - self.start, 1e-9)
        rate = (self.done - self.initial) / elapsed
        of = f"/{self.total}" if self.total is not None else ""
        left = ""
        if self.total is not None and rate > 0 and self.done < self.total:
            left = f", {(self.total - self.done) / rate:.0f} s left"
        note = f", {self.note}" if self.note else ""
        print(f"{self.what}: {self.done}{of} {self.unit}, {rate:.1f}/s{left}{note}", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
        else:
            self._line()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.bar is not None or kind is None or not issubclass(kind, InputError | OSError):
            self.close()  # an error's one line stands alone


def track(items: Iterable[T], what: str, total: int | None = None, unit: str = "items") -> Iterator[T]:
    """Iterate with a progress bar, one step an item."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    with Progress(total, what, unit) as bar:
        for item in items:
            yield item
            bar.update()


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that can move a number."""
    from ibc import __version__

    found = {"ibc": __version__, "python": platform.python_version()}
    for name in ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "pillow", "numba"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def write_json(path: str, *, command: str, seed: int | None, protocol: dict[str, Any],
               inputs: Iterable[str | os.PathLike], metrics: dict[str, Any]) -> None:
    """Write the JSON that every reporting command shares (``-``: stdout). NaN becomes null."""
    report = {
        "command": command,
        "versions": versions(),
        "seed": seed,
        "protocol": protocol,
        "inputs": [{"path": os.fspath(item), "sha256": sha256(item)} for item in inputs],
        "metrics": metrics,
    }
    text = json.dumps(_plain(report), indent=1, allow_nan=False) + "\n"
    if path == "-":
        sys.stdout.write(text)
    else:
        with atomic_write(path, "w") as handle:
            handle.write(text)


def _plain(value: Any) -> Any:
    """Arrays and scalars of numpy/torch as lists and numbers; non-finite numbers as null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
