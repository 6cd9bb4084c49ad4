"""A browser, and a dissection with a hostile label to show in it."""

import dataclasses
import shutil

import pytest

from ibc.dissection import Settings, dissect, load_broden
from tests.dissection.data import Filters, write_broden
from tests.dissection.page.hostile import HOSTILE

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--no-first-run", "--window-size=1300,900")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no chromium")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield started
    started.quit()


@pytest.fixture(scope="module")
def tally(tmp_path_factory):
    folder = write_broden(tmp_path_factory.mktemp("data") / "broden", count=30)
    broden = load_broden(folder)
    found = dissect(Filters(20), broden, Settings(workers=0, device="cpu", null=5, quantile=0.1, top_n=3))
    names = list(found.names)
    names[3] = HOSTILE  # a label that would break a page that does not escape
    return dataclasses.replace(found, names=names), broden
