"""Fixtures shared by all tests: reference results, real images where they are present, and a browser."""

import io
import os
import shutil
import zipfile
from pathlib import Path

if os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1") != "1":  # before numpy and torch look for cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
BROWSER_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
                 "--window-size=1300,900")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository root."""
    return ROOT


@pytest.fixture(scope="session")
def golden() -> Path:
    """Results of the official implementation (tests/golden/README.md)."""
    return ROOT / "tests" / "golden"


@pytest.fixture(scope="session")
def golden_photographs() -> Path:
    """The photographs that some of these results were computed from; they are not published with the project."""
    if not (SHARED / "golden").is_dir():
        pytest.skip("parity on photographs: they are not published with the project (tests/golden/README.md)")
    return SHARED / "golden"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real images for development; tests that need them skip where they are absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip("real photographs and data sets: they are not published with the project")
    return SHARED / "data"


@pytest.fixture(scope="session")
def imagenet_sample(shared_data):
    """A function of (count, side): every tenth of 1,000 ImageNet photographs, (count, 3, side, side), and its class."""
    def read(count: int, side: int):
        with zipfile.ZipFile(shared_data / "imagenet-sample-256px.zip") as archive:
            names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))[::10][:count]
            images = [torch.from_numpy(np.array(Image.open(io.BytesIO(archive.read(name))).convert("RGB")))
                      for name in names]
        edge = (256 - side) // 2
        whole = torch.stack(images).permute(0, 3, 1, 2)[..., edge : edge + side, edge : edge + side]
        return whole.contiguous(), torch.arange(0, 1000, 10)[:count]
    return read


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Headless Chromium that keeps its console and its requests; tests that need it skip where it is absent."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*BROWSER_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield started
    started.quit()
