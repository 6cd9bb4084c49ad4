"""The flag --minutes, and what was tried, at the end of a run with it."""

import pytest

from tests.fuzz.harness import TRIED


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--minutes", type=float, default=0, help="of new random inputs for each parser of tests/fuzz")


@pytest.fixture
def minutes(request: pytest.FixtureRequest) -> float:
    return request.config.getoption("--minutes", 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.getoption("--minutes", 0):
        return
    terminalreporter.section("inputs tried")
    for name, (inputs, refused, seconds) in TRIED.items():
        terminalreporter.write_line(f"{name}: {inputs} inputs, {refused} refused, {seconds / 60:.1f} minutes")
