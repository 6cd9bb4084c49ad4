"""A page with names that would break one that takes text for HTML."""

import numpy as np
import pytest

from ibc.codes import load_codes, save_codes
from ibc.report.explorer.build import ExplorerSettings, build_page
from tests.report.explorer.browser_page import COUNT, EXPERTS, HOSTILE, LENGTH, Page
from tests.report.explorer.small_page import make_set


@pytest.fixture(scope="session")
def codes_file(tmp_path_factory):
    """A set whose first path, second class and first concept would break a page that takes text for HTML."""
    small = make_set(tmp_path_factory.mktemp("set"), COUNT, LENGTH)
    codes = load_codes(small.codes)
    codes.binary_codes[np.random.default_rng(3).random(codes.binary_codes.shape) < 0.02] = 0.5
    (small.images / codes.paths[0]).rename(small.images / f"{HOSTILE}.jpg")
    codes.paths[0] = f"{HOSTILE}.jpg"
    save_codes(small.codes, codes)
    tally = small.dissection / "tally.json"
    tally.write_text(tally.read_text().replace("thing 1-s", HOSTILE).replace("0.015", "0.05"))  # red beats chance
    return small


@pytest.fixture(scope="session")
def index(codes_file, tmp_path_factory):
    small = codes_file
    settings = ExplorerSettings(
        codes_file=str(small.codes), images=str(small.images), dissection=str(small.dissection), train_file=None,
        class_names=str(small.class_names), attribute_names=str(small.attribute_names), title=f"All of {HOSTILE}",
        thumb=96, max_thumbs=COUNT - 10, top_k=EXPERTS, multi_label=False, workers=1, seed=1)
    return build_page(tmp_path_factory.mktemp("page") / "page", load_codes(small.codes), settings).index


@pytest.fixture(scope="session")
def codes(codes_file):
    return load_codes(codes_file.codes)


@pytest.fixture
def page(browser, index):
    """The page as first opened."""
    opened = Page(browser, index)
    opened.go("")
    return opened
