"""A dissection with a hostile label to show in a browser."""

import dataclasses

import pytest

from ibc.dissection import Settings, dissect, load_broden
from tests.dissection.data import Filters, write_broden
from tests.dissection.page.hostile import HOSTILE


@pytest.fixture(scope="module")
def tally(tmp_path_factory):
    folder = write_broden(tmp_path_factory.mktemp("data") / "broden", count=30)
    broden = load_broden(folder)
    found = dissect(Filters(20), broden, Settings(workers=0, device="cpu", null=5, quantile=0.1, top_n=3))
    names = list(found.names)
    names[3] = HOSTILE  # a label that would break a page that does not escape
    return dataclasses.replace(found, names=names), broden
