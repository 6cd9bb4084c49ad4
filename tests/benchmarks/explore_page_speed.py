"""How fast a page of ``ibc explore`` opens and ranks again, in headless Chromium.

    python tests/benchmarks/explore_size.py --folder PAGE     (makes one of 50,000 images of 256 bits)
    python tests/benchmarks/explore_page_speed.py PAGE

Opening is timed from the start of the navigation to the first 20 thumbnails. Ranking again is timed
in the page, from a changed query to the new order, and to the changed grid. What follows the images (counts of the
filters, precision beside ten sets of random bits) is timed apart.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from selenium import webdriver

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run", "--window-size=1440,900")
FIRST = """
const done = arguments[arguments.length - 1];
const look = () => document.querySelectorAll('.sprite.loaded').length >= 20
  ? done(performance.now()) : setTimeout(look, 5);
look();"""
AGAIN = """
const app = IBCExplorer.app, times = [];
for (let i = 0; i < 20; i++) {
  const begin = performance.now();
  app.query(i * 7919 % app.codes.count);
  times.push([app.ranked, performance.now() - begin]);
}
const begin = performance.now();
app.filters.showCounts(app.state);
app.measures.showMeasures(app.state, app.ranking);
return {times, after: performance.now() - begin, nodes: document.querySelectorAll('*').length};"""


def main() -> None:
    """Open the page five times, then ask twenty queries."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    address = (parser.parse_args().page / "index.html").absolute().as_uri()
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    with tempfile.TemporaryDirectory() as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        browser = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
        try:
            opened = []
            for _ in range(5):
                browser.get("about:blank")
                browser.get(address)
                opened.append(browser.execute_async_script(FIRST))
                time.sleep(0.5)
            found = browser.execute_script(AGAIN)
        finally:
            browser.quit()
    ranked, drawn = ([pair[place] for pair in found["times"]] for place in (0, 1))
    print(f"first view: median {statistics.median(opened):.0f} ms, longest {max(opened):.0f} ms")
    for name, values in (("ranked again", ranked), ("ranked and drawn", drawn)):
        print(f"{name}: median {statistics.median(values):.1f} ms, longest {max(values):.1f} ms")
    print(f"counts and precision, after the images: {found['after']:.0f} ms; nodes of the page: {found['nodes']}")


if __name__ == "__main__":
    main()
