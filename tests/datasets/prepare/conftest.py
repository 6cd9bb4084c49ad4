"""Sources that several data sets are prepared from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.datasets import replicas


@pytest.fixture(scope="session")
def ilsvrc(tmp_path_factory) -> Path:
    """A miniature of ILSVRC2012 in its published archives, with a dataset_info.mat of ImageNet-150K."""
    folder = tmp_path_factory.mktemp("ilsvrc")
    replicas.write_ilsvrc(folder)
    replicas.write_dataset_info(folder / "dataset_info.mat")
    return folder
