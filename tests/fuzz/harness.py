"""A property of a parser: for any input it returns a result or raises its own error, in bounded time and memory.

    @fuzzed(damaged(SEEDS))
    def test_list_file(data: bytes, folder: Path) -> None:
        (folder / "list.txt").write_bytes(data)
        read_list(folder / "list.txt")

``fuzzed`` makes it a test: the kept cases first (``tests/fuzz/cases/list_file/*``, for inputs that are bytes, and
``examples=``), then random inputs, few by default, with ``--minutes N`` as many as there is time for.
"""

from __future__ import annotations

import contextlib
import resource
import shutil
import signal
import time
import traceback
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ibc.errors import InputError

CASES = Path(__file__).parent / "cases"
FOUND = Path("local/fuzz")  # where a run with --minutes leaves the inputs that a parser failed on
TRIED: dict[str, tuple[int, int, float]] = {}  # name -> inputs, of them refused, seconds
MESSAGE = 2000  # characters that a message may have
_BATCH = 200
_SHOWN = 20


class BeyondLimit(BaseException):
    """More time was taken than an input may; no parser can catch it by accident."""


@contextlib.contextmanager
def limits(seconds: float, megabytes: int) -> Iterator[None]:
    """Processor seconds (on the clock twenty times as many) and memory that the block may take beyond what is taken."""
    def stop(number: int, frame: FrameType | None) -> None:
        raise BeyondLimit(f"more than {seconds} s")

    before = resource.getrlimit(resource.RLIMIT_DATA)
    handlers = {number: signal.signal(number, stop) for number in (signal.SIGPROF, signal.SIGALRM)}
    if (taken := _taken()) is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (taken + (megabytes << 20), before[1]))
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, 20 * seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_DATA, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _taken() -> int | None:
    """Bytes of private memory that the process has asked for; None where the system does not tell: no limit then."""
    if not Path("/proc/self/status").exists():
        return None
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData"))


def fuzzed(strategy: st.SearchStrategy[Any], *, examples: Sequence[Any] = (), errors: tuple[type[Exception], ...] = (),
           tries: int = 40, seconds: float = 5, megabytes: int = 400) -> Callable[[Callable[..., None]], Any]:
    """Make a test of ``check(value, folder)``; ``folder`` is empty for each value.

    strategy: of the values. examples: values that once failed. errors: that the parser may raise beside InputError.
    tries: values of a run without --minutes. seconds, megabytes: that one value may take.
    """
    def decorate(check: Callable[[Any, Path], None]) -> Callable[..., None]:
        name = check.__name__.removeprefix("test_")
        own = (InputError, *errors)

        def one(value: Any, folder: Path) -> bool:
            """Whether the value was refused."""
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            with limits(seconds, megabytes):
                try:
                    check(value, folder)
                except own as error:
                    _check_message(error)
                    return True
            return False

        def test(minutes: float, tmp_path: Path) -> None:
            folder = tmp_path / "input"
            if (CASES / name).is_dir():
                for file in sorted((CASES / name).iterdir()):
                    _noted(file.name, one, file.read_bytes(), folder)
            for value in examples:
                _noted(repr(value)[:200], one, value, folder)
            if minutes:
                _run_long(name, strategy, one, folder, minutes)
            else:
                _run(strategy, lambda value: one(value, folder), tries, 0, derandomize=True)

        test.__name__, test.__doc__, test.__module__ = check.__name__, check.__doc__, check.__module__
        return test

    return decorate


def each(*calls: Callable[[], Any], own: tuple[type[Exception], ...] = ()) -> None:
    """Every one of several parsers on the same input. Raises the last error, if all are the parsers' own.

    own: errors that they may raise beside InputError.
    """
    last: Exception | None = None
    for call in calls:
        try:
            call()
        except (InputError, *own) as error:
            _check_message(error)
            last = error
    if last is not None:
        raise last


def _check_message(error: Exception) -> None:
    """A message is printable and short: foreign text in it is escaped and shortened."""
    if isinstance(error, InputError):
        text = str(error)
        assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in text), repr(text[:500])
        assert len(text) <= MESSAGE, f"a message of {len(text)} characters: {text[:200]}"


def _noted(case: str, one: Callable[[Any, Path], bool], value: Any, folder: Path) -> None:
    try:
        one(value, folder)
    except BaseException as error:
        error.add_note(f"kept case: {case}")
        raise


def _run(strategy: st.SearchStrategy[Any], one: Callable[[Any], Any], tries: int, seed: int, *, derandomize: bool,
         phases: Sequence[Phase] = tuple(Phase)) -> None:
    @settings(max_examples=tries, deadline=None, database=None, derandomize=derandomize, phases=phases,
              suppress_health_check=list(HealthCheck))
    @given(strategy)
    def body(value: Any) -> None:
        one(value)

    if not derandomize:
        body = hypothesis.seed(seed)(body)
    body()


def _run_long(name: str, strategy: st.SearchStrategy[Any], one: Callable[[Any, Path], bool], folder: Path,
              minutes: float) -> None:
    """Try inputs until the time is over; a failure is kept, once for each place that fails, and the run goes on."""
    faults: dict[str, str] = {}
    inputs = refused = 0
    start = time.monotonic()

    def tried(value: Any) -> None:
        nonlocal inputs, refused
        if time.monotonic() - start > 60 * minutes:
            return
        inputs += 1
        try:
            refused += one(value, folder)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{type(error).__name__} at {frame.filename}:{frame.lineno}"
            if place not in faults:
                faults[place] = _keep(name, len(faults), value, error)

    for seed in count():
        _run(strategy, tried, _BATCH, seed, derandomize=False, phases=(Phase.generate,))
        if time.monotonic() - start > 60 * minutes:
            break
    TRIED[name] = inputs, refused, time.monotonic() - start
    if faults:
        pytest.fail("\n".join(f"{place}: {file}" for place, file in list(faults.items())[:_SHOWN]), pytrace=False)


def _keep(name: str, number: int, value: Any, error: BaseException) -> str:
    """Write an input on which a parser failed, and how it failed."""
    folder = FOUND / name
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{int(time.time())}-{number}"
    file.write_bytes(value if isinstance(value, bytes) else repr(value).encode(errors="backslashreplace"))
    trace = "".join(traceback.format_exception(error))
    file.with_suffix(".txt").write_text(trace[:20_000], errors="backslashreplace")
    return str(file)
