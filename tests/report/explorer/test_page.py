"""The explorer's page in a browser: it ranks as Python does, stays offline, keeps text text, and works by keys."""

import contextlib
import csv
import io
import json
import re
import shutil
import time

import numpy as np
import pytest

from ibc.codes import CodeSet, load_codes, save_codes
from ibc.report.explorer.build import ExplorerSettings, build_page
from ibc.report.explorer.folder import PAGE
from ibc.report.explorer.state import PageState, rank
from ibc.retrieval import expert_bits
from tests.report.explorer.small_page import CLASSES, make_set
from tests.small_run import make_images

COUNT, LENGTH, EXPERTS = 150, 70, 9
HOSTILE = "<img src=x onerror=window.hacked=1>"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
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


@pytest.fixture(scope="module")
def index(codes_file, tmp_path_factory):
    small = codes_file
    settings = ExplorerSettings(
        codes_file=str(small.codes), images=str(small.images), dissection=str(small.dissection), train_file=None,
        class_names=str(small.class_names), attribute_names=str(small.attribute_names), title=f"All of {HOSTILE}",
        thumb=96, max_thumbs=COUNT - 10, top_k=EXPERTS, multi_label=False, workers=1, seed=1)
    return build_page(tmp_path_factory.mktemp("page") / "page", load_codes(small.codes), settings).index


@pytest.fixture(scope="module")
def codes(codes_file):
    return load_codes(codes_file.codes)


@pytest.fixture
def page(browser, index):
    """The page as first opened."""
    opened = Page(browser, index)
    opened.go("")
    return opened


class Page:
    """The page in a browser, with the few things that tests do to it."""

    def __init__(self, browser, index):
        self.browser, self.index = browser, index

    def go(self, address: str) -> None:
        self.browser.get("about:blank")
        self.browser.get(f"{self.index.as_uri()}#{address}")
        self.wait(lambda: self.run("return Boolean(window.IBCExplorer && IBCExplorer.app)"))

    def run(self, script: str, *arguments):
        return self.browser.execute_script(script, *arguments)

    def all(self, selector: str):
        return self.browser.find_elements("css selector", selector)

    def click(self, selector: str, place: int = 0) -> None:
        self.run("document.querySelectorAll(arguments[0])[arguments[1]].click()", selector, place)

    def texts(self, selector: str) -> list[str]:
        return self.run("return [...document.querySelectorAll(arguments[0])].map((node) => node.textContent)", selector)

    def shown(self) -> list[int]:
        """Numbers of the images in the grid, in order."""
        return self.run("return [...document.querySelectorAll('#grid .cell')].map((cell) => Number(cell.dataset.item))")

    def address(self) -> str:
        return self.run("return location.hash.slice(1)")

    def keys(self, *keys) -> None:
        for key in keys:
            self.browser.switch_to.active_element.send_keys(key)

    def wait(self, condition, seconds: float = 5):
        """Until ``condition()`` is true."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.02)
        return found

    def measured(self) -> None:
        """Until counts and precision, which come a moment after the images, are there."""
        self.wait(lambda: self.run("return document.body.dataset.ready === "
                                   "IBCExplorer.writeState({...IBCExplorer.app.state, panel: null})"))


def first(signs, experts, examples=(), **state) -> list[int]:
    """The 60 images that the grid shows first: Python's ranking without the examples."""
    rows = rank(signs, PageState(**state), experts, top=len(signs)).rows.tolist()
    return [row for row in rows if row not in examples][:60]


def random_state(random: np.random.Generator) -> dict:
    def items(most: int) -> list[int]:
        return random.choice(COUNT, random.integers(0, most + 1), replace=False).tolist()

    bits = random.choice(LENGTH, random.integers(0, 5), replace=False).tolist()
    return {"positive": items(3), "negative": items(2), "mode": str(random.choice(["all", "expert", "bits"])),
            "class": None if random.random() < 0.3 else int(random.integers(0, len(CLASSES))),
            "bits": [[bit, int(random.choice([-1, 1]))] for bit in bits]}


@pytest.mark.parametrize("with_undecided", [True, False])
def test_a_hundred_random_states_rank_as_python_does(page, codes, with_undecided):
    random = np.random.default_rng(int(with_undecided))
    states = [random_state(random) for _ in range(100)]
    data = "IBC_DATA" if with_undecided else "{...IBC_DATA, undecided: null}"
    found = page.run(f"const codes = new IBCExplorer.CodeSet({data});"
                     "return arguments[0].map((state) => IBCExplorer.rankPlain(codes, state));", states)
    signs = codes.bits if with_undecided else np.where(codes.binary_codes > 0.5, 1, -1)
    assert (codes.bits == 0).any()
    experts = expert_bits(codes.grm, EXPERTS).tolist()
    for state, ranking in zip(states, found, strict=True):
        wanted = rank(signs, PageState.from_json(state), experts, top=COUNT)
        assert ranking["rows"] == wanted.rows.tolist(), state
        assert ranking["distances"] == wanted.distances.tolist(), state
    assert page.run("return IBCExplorer.rank(arguments[0])", states[0])["rows"][0] in range(COUNT)


def test_a_click_makes_an_image_the_query(page, codes):
    before = page.shown()
    page.run("document.querySelectorAll('#grid .pick')[2].click()")
    item = before[2]
    assert page.address() == f"like={item}"
    assert page.shown() == first(codes.bits, None, {item}, positive=(item,))
    distances = rank(codes.bits, PageState((item,)), top=COUNT).distances
    assert [float(text) for text in page.texts("#grid .distance")] == distances[1:61].tolist()
    other = page.shown()[5]
    page.run("arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true, shiftKey: true}))",
             page.all("#grid .pick")[5])
    worse = page.shown()[7]
    page.click("#grid .cell:nth-child(8) [data-act=not]")
    assert page.address() == f"like={item},{other}&unlike={worse}"
    assert page.shown() == first(codes.bits, None, {item, other, worse}, positive=(item, other), negative=(worse,))
    page.click(".example.like .remove")
    assert page.address() == f"like={other}&unlike={worse}"
    page.click("#asked .acts-line button:last-child")
    assert page.address() == "" and len(page.shown()) == 60


def test_chips_have_three_states(page, codes):
    page.go("mode=chips")
    chip = page.run("return [...document.querySelectorAll('#chips .chip')].findIndex("
                    "(chip) => chip.textContent.includes('thing 7'))")
    page.click("#chips .chip", chip)
    assert page.address() == "mode=chips&bits=7~0"
    assert page.shown() == first(codes.bits, None, mode="bits", bits=((6, 1),))
    page.click("#chips .chip", chip)
    assert page.address() == "mode=chips&bits=7~0-" and page.texts(".pill.without button")[0] == "not thing 7"
    assert page.shown() == first(codes.bits, None, mode="bits", bits=((6, -1),))
    page.click("#chips .chip", chip)
    assert page.address() == "mode=chips"
    page.go("like=4&mode=bits")
    page.click(".cell-bit", 30)  # as the example has it
    assert page.shown() == first(codes.bits, None, {4}, mode="bits", bits=((30, int(codes.bits[4, 30])),))


def test_chosen_bits_take_the_values_of_a_clicked_image(page, codes):
    page.go("mode=bits&bits=3,4-,5")
    page.click("#grid .pick", 40)
    item = int(page.address().partition("&")[0].removeprefix("like="))
    own = {bit: int(codes.bits[item, bit]) or before for bit, before in ((2, 1), (3, -1), (4, 1))}
    assert page.shown() == first(codes.bits, None, {item}, mode="bits", bits=tuple(own.items()))
    assert [text.startswith("not") for text in page.texts(".pill button:first-child")] == [s < 0 for s in own.values()]


def test_the_wanted_attribute_says_what_is_right(page, codes):
    page.go("mode=chips&bits=2-")  # the bit that says attribute 0, "blue"
    page.measured()
    assert page.texts("#measures em") == ["not blue"]
    right = (codes.labels[page.shown()[:20], 1] != 1).mean()
    assert page.texts(".meter.own b") == [f"{round(right * 100)}\u00a0%"]
    assert page.texts(".meter b")[1] == "–"  # all bits need an example
    any_image = (codes.labels[:, 1] != 1).mean()
    assert page.texts(".meter b")[3] == f"{round(any_image * 100)}\u00a0%"


def test_expert_bits_are_those_of_the_examples_class(page, codes):
    experts = expert_bits(codes.grm, EXPERTS).tolist()
    page.go("like=4&mode=expert")
    own = int(codes.categories[4])
    assert page.shown() == first(codes.bits, experts, {4}, positive=(4,), mode="expert", number=own)
    page.go("like=4&mode=expert&of=2")
    assert page.shown() == first(codes.bits, experts, {4}, positive=(4,), mode="expert", number=2)


def test_results_say_which_bits_agree_and_how_many_images_are_right(page, codes):
    page.go("like=4&mode=chips&bits=3,4-")
    wanted = np.array([1, -1])
    for text, item in zip(page.texts("#grid .caption"), page.shown(), strict=True):
        agree = codes.bits[item, [2, 3]] == wanted
        for name, good in zip(["thing 3", "not thing 4"], agree, strict=True):
            yes, no = text.partition("✓")[0], text
            assert name in no and (good or name in yes)
    page.go("like=4")
    page.measured()
    right = np.isin(codes.categories[page.shown()[:20]], codes.categories[4]).mean()
    assert page.texts(".meter.own b") == [f"{round(right * 100)}\u00a0%"]
    assert len(page.texts(".meter b")) == 4
    assert "Precision of the first 20" in page.texts("#status")[0]


def test_what_the_first_images_share_is_offered(page, codes):
    page.go("mode=chips&bits=1")
    offered = page.texts("#shared .offer")
    inside, outside = (codes.bits[page.shown()[:20]] > 0).mean(axis=0), (codes.bits > 0).mean(axis=0)
    spread = np.sqrt(np.maximum(outside * (1 - outside), 1 / COUNT) / 20)
    surprise = np.where(inside >= 0.5, (inside - outside) / spread, 0)
    surprise[0] = 0
    assert len(offered) == min(8, (surprise > 2).sum()) > 0
    page.click("#shared .offer")
    assert f"bits=1,{surprise.argmax() + 1}" in page.address()


def test_filters_count_what_is_left(page, codes):
    page.go("classes=1&attributes=0")
    page.measured()
    own = (codes.categories == 1) & (codes.labels[:, 1] == 1)
    assert sorted(page.shown()) == np.flatnonzero(own).tolist()
    blue = codes.labels[:, 1] == 1
    sizes = [((codes.categories == number) & blue).sum() for number in range(len(CLASSES))]
    assert page.texts("#filters .filter small") == [str(size) for size in sizes]
    sizes = [(own & (codes.labels[:, column] == 1)).sum() for column in (1, 2)]
    assert page.texts("#filters .chip small") == [str(size) for size in sizes]
    page.click("#filters .chip")
    assert page.address() == "classes=1&attributes=0-"


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
    assert {address for address in asked if not address.startswith(("file:", "about:"))} == set()
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
    page.browser.refresh()
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


def test_50_000_codes_of_256_bits_rank_in_a_moment(page):
    times = page.run("""
      const count = 50000, words = 8;
      const plane = () => Uint32Array.from({length: count}, () => Math.random() * 2 ** 32);
      const planes = Array.from({length: words}, plane);
      const codes = {count, words, length: 256, planes, undecided: null};
      const wanted = Int8Array.from({length: 256}, () => Math.random() < 0.5 ? -1 : 1);
      return Array.from({length: 7}, () => {
        const begin = performance.now();
        IBCExplorer.rankWanted(codes, wanted);
        return performance.now() - begin;
      });""")
    print("ms:", times)
    assert min(times) < 60  # about 3 on a quiet machine


def test_the_search_box_asks_for_a_concept_by_all_its_bits(page):
    page.run("const box = document.getElementById('search'); box.value = 'red'; box.dispatchEvent(new Event('input'))")
    more = page.texts("#found small")
    assert more[0].startswith("by all its") and len(page.texts("#found li")) == 4
    page.run("document.querySelector('#found li').dispatchEvent(new MouseEvent('mousedown', {bubbles: true}))")
    count = int(more[0].split()[3])
    assert len(page.address().removeprefix("bits=").split(",")) == count
    assert set(page.texts(".pill.want button:first-child")) == {"red"}


def test_a_class_is_asked_for_by_its_expert_bits(page, codes):
    page.go("like=4&class=2")
    page.click("#panel .acts-line button", 2)
    experts = expert_bits(codes.grm, EXPERTS)[2].tolist()
    assert page.shown() == first(codes.bits, None, mode="bits", bits=tuple((bit, 1) for bit in experts))
    page.measured()
    assert page.texts("#measures em") == ["class town"] and page.texts(".pill.want") != []
    page.click("[data-mode=all]")
    assert "of=" not in page.address()


def test_the_scripts_make_no_html_of_text_and_load_nothing():
    for file in sorted(PAGE.iterdir()):
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch(", "http:",
                     "https:", "XMLHttpRequest", "import ", 'type="module"'):
            assert word not in text, (file.name, word)
    scripts = set(re.findall(r'src="([a-z]+\.js)"', (PAGE / "index.html").read_text(encoding="utf-8")))
    assert scripts == {file.name for file in PAGE.glob("*.js")} | {"data.js"}
