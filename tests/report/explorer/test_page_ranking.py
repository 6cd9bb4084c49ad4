"""The explorer's page in a browser ranks, counts and measures as Python does."""

import numpy as np
import pytest

from ibc.report.explorer.state import PageState, rank
from ibc.retrieval import expert_bits
from tests.report.explorer.browser_page import COUNT, EXPERTS, LENGTH, first
from tests.report.explorer.small_page import CLASSES


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


def test_a_class_is_asked_for_by_its_expert_bits(page, codes):
    page.go("like=4&class=2")
    page.click("#panel .acts-line button", 2)
    experts = expert_bits(codes.grm, EXPERTS)[2].tolist()
    assert page.shown() == first(codes.bits, None, mode="bits", bits=tuple((bit, 1) for bit in experts))
    page.measured()
    assert page.texts("#measures em") == ["class town"] and page.texts(".pill.want") != []
    page.click("[data-mode=all]")
    assert "of=" not in page.address()
