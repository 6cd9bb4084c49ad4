"""Text and arrays in data.js: exact, and harmless in a script."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibc.report.explorer.encoding import base64_of, bitset, front_coded, planar_words, script_json, visible
from tests.report.explorer.small_page import numbers, paths_of

ODD = ["<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "a\u2028b\u2029c", "\"'\\`${}",
       "日本語 😀", "<!--", "-->", "]]>", "&lt;"]


@pytest.mark.parametrize("text", ODD)
def test_any_text_comes_back_from_a_script(text):
    script = script_json({"text": text})
    assert script.isascii() and "<" not in script
    assert json.loads(script) == {"text": text} and visible(text) == text


def test_what_cannot_be_shown_becomes_visible():
    name = b"caf\xe9\n\x00\x7f.jpg".decode("utf-8", "surrogateescape")
    assert visible(name) == "caf\\xe9\\x0a\\x00\\x7f.jpg"
    assert visible("\x85\ud800") == "\\x85\\ud800"


def test_numbers_in_json():
    assert script_json([1 / 3, float("nan"), float("inf"), 123456, True, None]) == "[0.3333,null,null,123456,true,null]"


@pytest.mark.parametrize("length", [1, 31, 32, 33, 40, 256])
def test_planar_words(length):
    flags = np.random.default_rng(length).random((7, length)) < 0.5
    words = planar_words(flags)
    assert words.shape == (-(-length // 32), 7) and words.flags.c_contiguous
    for image in range(7):
        for bit in range(length):
            assert (int(words[bit >> 5, image]) >> (bit % 32) & 1) == flags[image, bit]
    assert numbers(base64_of(words), "<u4").tolist() == words.ravel().tolist()


def test_bitset_counts_from_the_lowest_bit():
    assert numbers(bitset(np.array([1, 0, 0, 0, 0, 0, 0, 0, 0, 1], bool)), "u1").tolist() == [1, 2]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=300), max_size=8))
def test_front_coded_paths_come_back(texts):
    texts += [texts[0] + "x", texts[0]] if texts else []
    rests, shared = front_coded(texts)
    assert paths_of({"paths": rests, "paths_shared": base64_of(shared)}) == texts


def test_front_coding_of_long_and_of_astral_prefixes():
    texts = ["a" * 300 + "1", "a" * 300 + "2", "😀" * 200, "😀" * 200, "😀" * 199]
    rests, shared = front_coded(texts)
    assert shared.tolist() == [0, 255, 0, 254, 254] and len(rests[1]) == 46
    assert paths_of({"paths": rests, "paths_shared": base64_of(shared)}) == texts
