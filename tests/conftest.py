"""Fixtures shared by all tests: the folder of reference data, where it is present."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository root."""
    return ROOT


@pytest.fixture(scope="session")
def golden() -> Path:
    """Results of the official implementation; tests that need them skip where they are absent."""
    if not (SHARED / "golden").is_dir():
        pytest.skip("no reference results beside the project")
    return SHARED / "golden"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real images for development; tests that need them skip where they are absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip("no development data beside the project")
    return SHARED / "data"
