"""The page of a comparison in a browser."""

import dataclasses

from ibc.dissection.page.compare import compare, render
from tests.dissection.page.hostile import HOSTILE, THRESHOLD


def test_comparison_page(browser, tally, tmp_path):
    found, _ = tally
    other = dataclasses.replace(found, both=found.both[::-1].copy())
    result = compare(["one", HOSTILE], [found, other], THRESHOLD)
    (tmp_path / "compare.html").write_text(render(result))
    browser.get_log("browser")
    browser.get((tmp_path / "compare.html").as_uri())
    assert browser.get_log("browser") == []
    assert HOSTILE in browser.find_element("tag name", "h1").text
    rows = browser.find_elements("css selector", "#renamed tr")
    assert len(rows) == 1 + len(result.renamed) > 1
    assert len(browser.find_elements("css selector", "#concepts td.chart")) == 2 * len(result.concepts) > 0
