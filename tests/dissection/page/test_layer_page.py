"""The page in a browser: sorting, filtering, nothing from the network, nothing on the console."""

import json

import pytest

from ibc.dissection.page.compare import compare, render
from ibc.dissection.page.layer_page import bars, display_name, page_order, unit_order, write_page
from tests.dissection.data import IMAGE
from tests.dissection.page.hostile import HOSTILE, THRESHOLD


@pytest.fixture(scope="module")
def page(tally, tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("page"), *tally, IMAGE, title=HOSTILE, score_threshold=THRESHOLD,
                      facts=[("Model", HOSTILE)])


@pytest.fixture
def opened(browser, page):
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(page.as_uri())
    yield browser
    assert browser.get_log("browser") == []


def shown(browser):
    return [int(unit) for unit in browser.execute_script(
        "return [...document.querySelectorAll('.unit')].filter(u => !u.hidden).map(u => u.dataset.unit)")]


def set_control(browser, name, value):
    browser.execute_script(
        "const c = document.getElementById(arguments[0]);"
        "if (c.type === 'checkbox') c.checked = arguments[1]; else c.value = arguments[1];"
        "c.dispatchEvent(new Event('input', {bubbles: true}));", name, value)


def test_every_unit_in_the_official_order(opened, tally):
    found, _ = tally
    order = unit_order(found, THRESHOLD)
    assert shown(opened) == found.units[order].tolist()
    below = opened.execute_script("return [...document.querySelectorAll('.unit.below')].map(u => +u.dataset.unit)")
    assert below == [unit for row, unit in zip(order, found.units[order].tolist(), strict=True)
                     if found.score[row] < THRESHOLD]
    assert 0 < len(below) < len(order)


def test_sorting(opened, tally):
    found, _ = tally
    set_control(opened, "sort", "iou")
    assert shown(opened) == found.units[sorted(range(20), key=lambda row: -found.score[row])].tolist()
    set_control(opened, "sort", "category")
    place = [page_order(found.categories).index(found.categories[own]) for own in found.category]
    assert shown(opened) == found.units[sorted(range(20), key=lambda row: (place[row], -found.score[row]))].tolist()
    set_control(opened, "sort", "unit")
    assert shown(opened) == list(range(1, 21))
    set_control(opened, "sort", "lead")
    lead = found.score - found.chance
    assert shown(opened) == found.units[sorted(range(20), key=lambda row: -lead[row])].tolist()


def test_filtering(opened, tally):
    found, _ = tally
    set_control(opened, "unit", "2-4, 7")
    assert sorted(shown(opened)) == [2, 3, 4, 7]
    set_control(opened, "unit", "")
    set_control(opened, "least", "0.062")
    assert sorted(shown(opened)) == found.units[found.score >= 0.062].tolist()
    set_control(opened, "least", "0")
    set_control(opened, "beats", True)
    assert sorted(shown(opened)) == found.units[found.beats_chance].tolist()
    set_control(opened, "beats", False)
    set_control(opened, "category", "material")
    assert sorted(shown(opened)) == found.units[found.category == found.categories.index("material")].tolist()
    set_control(opened, "category", "")
    set_control(opened, "concept", "WOOD")  # the best concept of any category
    place = found.categories.index("material")
    named = (found.best_iou[:, place] >= THRESHOLD) | (found.category == place)
    assert sorted(shown(opened)) == found.units[named].tolist()
    set_control(opened, "concept", "no such thing")
    assert shown(opened) == []
    assert opened.find_element("id", "none").is_displayed()
    opened.find_element("css selector", "#none button").click()
    opened.execute_async_script("setTimeout(arguments[0], 100)")  # the form is reset before units are shown
    assert len(shown(opened)) == 20


def test_a_bar_shows_its_units(opened, tally):
    found, _ = tally
    first = bars(found, THRESHOLD)[0]
    opened.execute_script("document.querySelector('.bar').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    opened.execute_async_script("setTimeout(arguments[0], 100)")
    mine = [found.names[label] == first.label for label in found.label]
    assert sorted(shown(opened)) == found.units[mine].tolist()


def test_nothing_comes_from_elsewhere(opened):
    count = opened.execute_script("for (const image of document.images) image.loading = 'eager';"
                                  "return document.images.length")
    assert count == 20
    opened.execute_async_script("const done = arguments[0];"  # fails where an image is missing or broken
                                "Promise.all([...document.images].map(i => i.decode())).then(() => done())")
    events = [json.loads(entry["message"])["message"] for entry in opened.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert len([url for url in asked if url.endswith(".jpg")]) == count
    assert all(url.startswith(("file:", "data:", "chrome:")) for url in asked)  # chrome: the start page of the browser


def test_names_are_escaped(opened, page):
    assert opened.title.startswith(HOSTILE)
    assert opened.find_element("tag name", "h1").text == HOSTILE
    assert "<script>fail" not in page.read_text()
    svg = (page.parent / "image" / "features-bargraph.svg").read_text()
    assert "<script>fail" not in svg
    opened.get((page.parent / "image" / "features-bargraph.svg").as_uri())
    assert opened.execute_script("return document.querySelectorAll('g.bar').length") > 0


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out(browser, page, tally, tmp_path, width):
    """Neither page is wider than its window, a phone's or a desk's."""
    found, _ = tally
    (tmp_path / "compare.html").write_text(render(compare(["one", "another one"], [found, found], THRESHOLD)))
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500})
    for path in (page, tmp_path / "compare.html"):
        browser.get(path.as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_no_unit_at_the_threshold(browser, tally, tmp_path):
    page = write_page(tmp_path, *tally, IMAGE, title="none", score_threshold=0.99, facts=[])
    browser.get(page.as_uri())
    assert "0/20 units covering 0 concepts" in browser.find_element("tag name", "h2").text
    assert len(shown(browser)) == 20


def test_order_of_the_page(tally):
    tally, _ = tally
    rows = unit_order(tally, 0.02)
    good = [row for row in rows if tally.score[row] >= 0.02]
    assert rows[: len(good)] == good  # units below the threshold come last, by score
    assert [tally.score[row] for row in rows[len(good) :]] == sorted((tally.score[row] for row in rows[len(good) :]),
                                                                      reverse=True)
    order = ["object", "scene", "part", "material", "texture", "color"]
    places = [order.index(tally.categories[tally.category[row]]) for row in good]
    assert places == sorted(places)


def test_names_for_people():
    assert [display_name(name) for name in ("red-c", "street-s", "tall_tree", "t-shirt")] == [
        "red", "street", "tall tree", "t-shirt"]
