"""A small data set of concept scenes, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ibc.datasets.concept_scenes.dataset import generate
from ibc.datasets.concept_scenes.settings import SceneSettings


@pytest.fixture(scope="session")
def settings() -> SceneSettings:
    """The settings of ``made``."""
    return SceneSettings(train=60, test=24, broden=48, size=96, seed=3)


@pytest.fixture(scope="session")
def made(settings, tmp_path_factory) -> Path:
    """The folder of the data set; not to be changed."""
    folder = tmp_path_factory.mktemp("scenes") / "data"
    generate(folder, settings, workers=1)
    return folder
