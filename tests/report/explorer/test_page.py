"""The explorer's page in a browser: it stays offline, keeps text text, works by keys, on a phone, by its address."""

import contextlib
import csv
import io
import json
import re

import numpy as np
import pytest

from ibc.codes import CodeSet, load_codes, save_codes
from ibc.report.explorer.build import ExplorerSettings, build_page
from ibc.report.explorer.folder import PAGE
from ibc.report.explorer.state import PageState, rank, view_query
from ibc.retrieval import expert_bits
from tests.report.explorer.browser_page import COUNT, EXPERTS, HOSTILE, Page, first
from tests.report.explorer.small_page import CLASSES
from tests.small_run import make_images


def test_only_a_page_of_images_is_made_at_a_time(page):
    assert len(page.shown()) == 60 and page.texts("#more") == ["Show 60 more of 90"]
    page.click("#more")
    assert len(page.shown()) == 120
    page.click("#more")
    assert sorted(page.shown()) == list(range(COUNT))
    assert not page.all("#more")[0].is_displayed()
    assert "140 of 150 images have a thumbnail" in page.texts("#sampled")[0]
    assert len(page.texts("#grid .nameless")) == 10


def test_text_stays_text(page, codes):
    page.go("mode=chips&bits=1&order=file")
    for address in ("bit=1", "class=1", "image=0", "grm=1", "export=1", "help=1"):
        page.go(f"like=0,1&mode=chips&bits=1&{address}")
        assert page.run("return document.getElementById('panel').open"), address
        assert page.run("return [...document.images].filter((image) => image.getAttribute('src') === 'x').length") == 0
        if address in ("bit=1", "class=1", "image=0"):
            assert HOSTILE.replace("window.hacked=1", "")[:16] in page.texts("#panel-title")[0]
    assert page.texts("#title") == [f"All of {HOSTILE}"]
    assert page.texts(".pill.want button")[0] == HOSTILE
    page.run("const box = document.getElementById('search'); box.value = '<img'; "
             "box.dispatchEvent(new Event('input'))")
    assert {HOSTILE, CLASSES[1]} <= set(page.texts("#found .name"))
    assert page.run("return window.hacked") is None


def test_a_card_says_where_each_name_comes_from(page):
    page.go("bit=1")
    assert page.texts("#panel th") == ["name", "category", "from", "IoU", "chance", "nat"]
    assert {"label maps", "classes", "attributes"} <= set(page.texts("#panel td:nth-child(3)"))
    page.go("")


def test_nothing_is_fetched_and_nothing_goes_wrong(page):
    page.browser.get_log("browser"), page.browser.get_log("performance")
    for address in ("", "like=3&mode=expert&bit=2", "like=3&grm=1", "like=3&export=1"):
        page.go(address)
        page.measured()
    page.wait(lambda: page.run("return document.querySelectorAll('.sprite.loaded').length > 10"))
    page.go("bit=999&like=99999,-1,x&mode=none&of=77&bits=0,71,a&classes=9&attributes=8-&order=?")
    assert len(page.shown()) == 60 and not page.run("return document.getElementById('panel').open")
    events = [json.loads(entry["message"])["message"] for entry in page.browser.get_log("performance")]
    asked = {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
    assert any(address.endswith("data.js") for address in asked)
    assert {address for address in asked if not address.startswith(("file:", "about:", "chrome:"))} == set()
    assert page.browser.get_log("browser") == []


def test_by_keys_alone(page, codes):
    page.run("document.body.focus()")
    page.keys("/")
    assert page.run("return document.activeElement.id") == "search"
    page.keys(*"thing 12", "\ue007")  # Enter
    assert page.address() == "bits=12~0"
    page.keys("\ue00c")  # Escape leaves the box
    page.run("document.getElementById('skip').click()")
    columns = page.run("return IBCExplorer.app.grid.columnCount()")
    page.keys("\ue014", "\ue015")  # right, down
    item = page.shown()[1 + columns]
    assert f"{codes.paths[item]}" in page.run("return document.activeElement.getAttribute('aria-label')")
    page.keys("\ue007")
    assert page.address() == f"like={item}&bits=12~0"
    assert page.run("return document.activeElement === document.querySelector('#grid .pick')")
    also = page.shown()[0]
    page.keys("+")
    assert page.address() == f"like={item},{also}&bits=12~0"
    page.keys("i")
    assert page.run("return document.getElementById('panel').open")
    page.keys("\ue00c")
    page.wait(lambda: not page.run("return document.getElementById('panel').open"))
    page.keys("?")
    assert page.texts("#panel-title") == ["Help and keys"]
    assert page.run("return document.querySelectorAll('#grid .pick[tabindex=\"0\"]').length") == 1


def test_the_address_is_the_view(page):
    page.go("like=4,9&unlike=7&mode=expert&of=2&bits=3,8-&classes=0,2&attributes=1-")
    view, address = page.shown(), page.address()
    page.reload()
    assert page.shown() == view and page.address() == address
    page.all("#grid .pick")[0].click()  # a person's click: what a script does leaves no entry in the history
    page.all("[data-mode=all]")[0].click()
    assert page.shown() != view
    page.browser.back()
    page.browser.back()
    page.wait(lambda: page.shown() == view)
    page.run("location.hash = 'bit=12'")
    page.wait(lambda: page.texts("#panel-title") == ["Bit 12: thing 12"])
    page.browser.back()
    page.wait(lambda: not page.run("return document.getElementById('panel').open"))


def test_the_rules_lead_to_bits_and_classes(page, codes):
    page.go("grm=1")
    box = page.run("const map = document.querySelector('#panel canvas'), box = map.getBoundingClientRect();"
                   "return [box.left, box.top]")
    left, wide, high = page.run("return [190, Math.max(3, Math.min(20, Math.floor(("
                                "document.querySelector('.map').clientWidth - 190) / 70))), 22]")
    event = "document.querySelector('#panel canvas').dispatchEvent(new MouseEvent(arguments[0], " \
            "{bubbles: true, clientX: arguments[1], clientY: arguments[2]}))"
    x, y = box[0] + left + 11.5 * wide, box[1] + 4 + 2.5 * high
    page.run(event, "mousemove", x, y)
    assert page.texts(".readout")[0] == f"town × thing 12 (bit 12): {round(float(codes.grm[2, 11]) * 255) / 255:.2f}"
    page.run(event, "click", x, y)
    assert page.address() == "bit=12"
    page.go("grm=1")
    page.run(event, "click", box[0] + 20, y)
    assert page.address() == "class=2"


def test_the_export_gives_the_same_result(page, codes):
    page.go("like=4&unlike=9&mode=expert&bits=3-&export=1")
    images, bits, python, sql = page.texts("#panel pre")
    experts = expert_bits(codes.grm, EXPERTS).tolist()
    state = PageState((4,), (9,), "expert", int(codes.categories[4]), ((2, -1),))
    wanted = rank(codes.bits, state, experts, top=100)
    csv_text = page.run("return IBCExplorer.csvText(IBCExplorer.app, 100)")
    assert csv_text.startswith(images.removesuffix("…").rstrip()[:200])
    rows = list(csv.DictReader(io.StringIO(csv_text)))
    assert [int(row["number"]) for row in rows] == wanted.rows.tolist()
    assert [float(row["distance"]) for row in rows] == wanted.distances.tolist()
    assert [row["path"] for row in rows] == [codes.paths[row] for row in wanted.rows]
    assert bits.startswith("bit,value,concept") and "\n3,0," in bits
    found: dict = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(python, found)
    assert found["rows"][0].tolist() == wanted.rows.tolist()
    assert "{" not in sql and "LIMIT 100" in sql
    query, bits_asked = view_query(codes.bits, state, experts)
    for word in range(2):
        own = [bit for bit in bits_asked.tolist() if bit >> 6 == word]
        mask, value = (sum(1 << (bit & 63) for bit in own if query[bit] >= least) for least in (-1, 1))
        assert f"(w{word}, {value}::UBIGINT) & {mask}::UBIGINT" in sql


def test_a_phone_scrolls_down_only(page):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    wide = "const panel = document.getElementById('panel'); return panel.scrollWidth <= panel.clientWidth"
    try:
        page.go("like=4&mode=expert&bits=3,8-")
        page.measured()
        for address in ("", "bit=1", "class=1", "image=0", "grm=1", "export=1", "help=1"):
            page.run("location.hash = arguments[0]", address)
            page.wait(lambda: page.run("return IBCExplorer.writeState(IBCExplorer.app.state)") == page.address())
            assert page.run("return innerWidth") == 390
            assert page.run("return document.documentElement.scrollWidth") <= 390, address
            assert page.run(wide), address
        page.go("")
        page.click("#open-side")
        assert page.all("#chips .chip")[0].is_displayed()
        assert page.run("return document.getElementById('side').scrollWidth") <= 390
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("multi_label", [False, True])
def test_codes_without_rules_and_dissection(browser, tmp_path, multi_label):
    names = make_images(tmp_path / "images", 12)
    random = np.random.default_rng(0)
    values = random.random((12, 33)).astype(np.float32)
    labels = random.integers(0, 2, (12, 4)).astype(np.float32) if multi_label else np.full((12, 1), 99999, np.float32)
    save_codes(tmp_path / "codes.npz", CodeSet(values, labels, None, names))
    settings = ExplorerSettings(
        codes_file=str(tmp_path / "codes.npz"), images=str(tmp_path / "images"), dissection=None, train_file=None,
        class_names=None, attribute_names=None, title="Bare", thumb=96, max_thumbs=100, top_k=5,
        multi_label=multi_label, workers=1, seed=1)
    codes = load_codes(tmp_path / "codes.npz")
    page = Page(browser, build_page(tmp_path / "page", codes, settings).index)
    browser.get_log("browser")
    for address in ("", "like=3&mode=expert", "mode=chips", "bit=33", "image=2", "export=1", "grm=1", "help=1"):
        page.go(address)
        page.measured()
        assert len(page.shown()) == (11 if address.startswith("like") else 12)
    page.go("like=3")
    assert page.shown() == first(codes.bits, None, {3}, positive=(3,))
    page.measured()
    assert page.run("return document.getElementById('measures').hidden") is not multi_label
    if multi_label:
        page.go("like=3&classes=1")
        assert sorted([*page.shown(), 3]) == sorted({*np.flatnonzero(labels[:, 1]).tolist(), 3})
    assert browser.get_log("browser") == []


def test_dark_and_light(page):
    colour = "return getComputedStyle(document.body).backgroundColor"
    for system in ("light", "dark"):
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                     {"features": [{"name": "prefers-color-scheme", "value": system}]})
        page.go("")
        before = page.run(colour)
        assert before == ("rgb(246, 246, 243)" if system == "light" else "rgb(19, 21, 24)")
        page.click("#theme")
        assert page.run(colour) != before
        page.run("localStorage.removeItem('ibc-theme')")
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_the_search_box_asks_for_a_concept_by_all_its_bits(page):
    page.run("const box = document.getElementById('search'); box.value = 'red'; box.dispatchEvent(new Event('input'))")
    more = page.texts("#found small")
    assert more[0].startswith("by all its") and len(page.texts("#found li")) == 4
    page.run("document.querySelector('#found li').dispatchEvent(new MouseEvent('mousedown', {bubbles: true}))")
    count = int(more[0].split()[3])
    assert len(page.address().removeprefix("bits=").split(",")) == count
    assert set(page.texts(".pill.want button:first-child")) == {"red"}


def test_the_scripts_make_no_html_of_text_and_load_nothing():
    for file in sorted(PAGE.iterdir()):
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch(", "http:",
                     "https:", "XMLHttpRequest", "import ", 'type="module"'):
            assert word not in text, (file.name, word)
    scripts = set(re.findall(r'src="([a-z]+\.js)"', (PAGE / "index.html").read_text(encoding="utf-8")))
    assert scripts == {file.name for file in PAGE.glob("*.js")} | {"data.js"}
