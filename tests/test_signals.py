"""Deferred stop: signals are noted, a second one ends the work, handlers come back."""

import signal
import subprocess
import sys
import threading

import pytest

from ibc.signals import StopSignals

BOTH = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def handlers():
    """Python's usual handlers before each test; after it they are the same again."""
    outside = {number: signal.getsignal(number) for number in BOTH}
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    for number, handler in usual.items():
        signal.signal(number, handler)
    yield
    assert {number: signal.getsignal(number) for number in BOTH} == usual
    for number, handler in outside.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", BOTH)
def test_the_first_signal_is_noted(number):
    with StopSignals() as stop:
        assert stop.noted == 0
        signal.raise_signal(number)
        assert stop.noted == number


@pytest.mark.parametrize("first", BOTH)
def test_the_second_ends_at_once(first):
    with pytest.raises(KeyboardInterrupt), StopSignals() as stop:
        signal.raise_signal(first)
        assert stop.noted == first
        signal.raise_signal(signal.SIGINT)


def test_under_torchrun_it_is_the_second_of_a_kind(monkeypatch):
    """There Ctrl-C comes twice: to all processes, and as SIGTERM from torchrun."""
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    with pytest.raises(KeyboardInterrupt), StopSignals() as stop:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert stop.noted == signal.SIGINT
        signal.raise_signal(signal.SIGINT)


def run_program(code: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-c", f"import signal\nfrom ibc.signals import *\n{code}"],
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize("second", BOTH)
@pytest.mark.parametrize("first", BOTH)
def test_in_a_command_the_system_ends_it(first, second):
    """No exception that something could catch, no clean-up that could wait; not even in a held section."""
    code = ("with interruptible_once(), StopSignals() as stop, stop.held():\n"
            f"    signal.raise_signal({first})\n"
            f"    try: signal.raise_signal({second})\n    except BaseException: pass\n"
            "print('alive')")
    assert run_program(code) == (-second, "")


def test_ctrl_c_twice_in_a_command():
    code = ("with interruptible_once():\n"
            "    try: signal.raise_signal(2)\n    except KeyboardInterrupt: print('once', flush=True)\n"
            "    try: signal.raise_signal(2)\n    except BaseException: pass\nprint('alive')")
    assert run_program(code) == (-signal.SIGINT, "once\n")


def test_a_second_sigterm_kills():
    code = ("import signal; from ibc.signals import StopSignals\n"
            "with StopSignals():\n    for _ in range(2): signal.raise_signal(signal.SIGTERM)\nprint('alive')")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "")


def test_nothing_interrupts_a_held_section():
    steps = []
    with pytest.raises(KeyboardInterrupt), StopSignals([signal.SIGINT]) as stop:
        with stop.held():
            signal.raise_signal(signal.SIGINT)
        steps.append(stop.noted)
        with stop.held():
            for _ in range(3):
                signal.raise_signal(signal.SIGINT)
            steps.append("end of the section")
        steps.append("never")
    assert steps == [signal.SIGINT, "end of the section"]


def test_two_signals_in_one_held_section():
    with pytest.raises(KeyboardInterrupt), StopSignals() as stop, stop.held():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert stop.noted == signal.SIGINT


def test_an_exception_in_a_held_section_passes():
    with pytest.raises(ValueError, match="bad"), StopSignals() as stop, stop.held():
        raise ValueError("bad")


def test_only_the_signals_asked_for():
    with pytest.raises(KeyboardInterrupt), StopSignals([signal.SIGTERM]):
        signal.raise_signal(signal.SIGINT)


def test_an_outer_block_hears_the_second():
    with StopSignals() as outer, StopSignals() as inner:
        signal.raise_signal(signal.SIGTERM)
        assert (inner.noted, outer.noted) == (signal.SIGTERM, 0)
        signal.raise_signal(signal.SIGTERM)
        assert outer.noted == signal.SIGTERM


def test_in_another_thread_nothing_changes():
    def work():
        with StopSignals() as stop, stop.held():
            seen.append(signal.getsignal(signal.SIGINT))

    seen = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
