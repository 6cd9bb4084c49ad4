"""The page of a search in a real browser: text stays text, nothing is loaded from elsewhere, no error."""

import json
import re

from ibc.report.search_page import search_page
from tests.report.test_contact_sheet import HOSTILE, make_report


def test_in_a_browser(browser, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(search_page(make_report(tmp_path / "images", missing=2, top=12)))
    browser.get("about:blank")
    browser.get_log("performance")
    browser.get(page.as_uri())
    asked = [message["params"]["request"]["url"] for entry in browser.get_log("performance")
             if (message := json.loads(entry["message"])["message"])["method"] == "Network.requestWillBeSent"]
    # chrome://: the browser's own start page, which may still be loading
    assert [url for url in asked if not re.match(r"data:|chrome://|file://.*/page\.html$", url)] == []
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert browser.execute_script("return document.querySelectorAll('ol.grid li').length") == 12
    assert browser.execute_script("return document.querySelectorAll('img[src=x]').length") == 0
    assert browser.execute_script("return [...document.images].every(image => image.naturalWidth > 0)")
    assert HOSTILE in browser.execute_script("return document.body.textContent")
    for width in (390, 1300):
        browser.set_window_size(width, 900)
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
