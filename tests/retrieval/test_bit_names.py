"""Names of bits, from each file of a dissection folder."""

import csv
import json

import pytest

from ibc.retrieval.bit_names import BitName, bits_named, concept_bits, load_bit_names, main_names

UNITS = [("sea-s", "scene", 0.30, "blue-c", "color", 0.25), ("dog", "object", 0.02, "blue-c", "color", 0.05),
         ("dog", "object", 0.01, "red-c", "color", 0.0)]
CHANCE = [0.1, 0.06, 0.005]


@pytest.fixture
def folder(tmp_path):
    return write_dissection(tmp_path / "dissection")


def write_dissection(folder, units=UNITS, chance=CHANCE):
    """tally.json, tally.csv and units.csv, as a dissection writes them."""
    folder.mkdir()
    records = [{"unit": number + 1, "chance": [0.0, level],
                "best": {unit[place + 1]: {"label": unit[place], "iou": unit[place + 2]} for place in (0, 3)}}
               for number, (unit, level) in enumerate(zip(units, chance, strict=True))]
    (folder / "tally.json").write_text(json.dumps({"units": records, "settings": {"units": None}}))
    categories = sorted({unit[place] for unit in units for place in (1, 4)})
    with open(folder / "tally.csv", "w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["unit", "category", "label", "score", *(f"{name}-{what}" for name in categories
                                                                for what in ("label", "iou"))])
        for number, unit in enumerate(units, 1):
            own = {unit[place + 1]: (unit[place], unit[place + 2]) for place in (0, 3)}
            writer.writerow([number, unit[1], unit[0], unit[2],
                             *(value for name in categories for value in own.get(name, ("", 0)))])
    with open(folder / "units.csv", "w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["unit", "category", "concept", "iou", "chance", "beats_chance"])
        writer.writerows([number, unit[1], unit[0], unit[2], level, int(unit[2] > level)]
                         for number, (unit, level) in enumerate(zip(units, chance, strict=True), 1))
    return folder


EXPECTED = [BitName(0, "sea", "scene", 0.30, 0.1, True), BitName(0, "blue", "color", 0.25, 0.1, True),
            BitName(1, "blue", "color", 0.05, 0.06, False), BitName(1, "dog", "object", 0.02, 0.06, False),
            BitName(2, "dog", "object", 0.01, 0.005, True)]


def test_the_folder_and_each_file(folder):
    assert load_bit_names(folder, 3) == load_bit_names(folder / "tally.json", 3) == EXPECTED
    plain = [BitName(name.bit, name.concept, name.category, name.iou, None, None) for name in EXPECTED]
    assert load_bit_names(folder / "tally.csv", 3) == plain
    assert load_bit_names(folder / "units.csv", 3) == [EXPECTED[0], EXPECTED[3], EXPECTED[4]]


def test_concepts_and_main_names():
    assert [name.bit for name in concept_bits(EXPECTED, "Blue-C")] == [0, 1]
    assert [name.bit for name in bits_named(EXPECTED, "blue", any_category=False)] == [1]
    assert [name.bit for name in bits_named(EXPECTED, "blue")] == [0, 1]
    assert {bit: name.concept for bit, name in main_names(EXPECTED).items()} == {0: "sea", 1: "blue", 2: "dog"}
    with pytest.raises(ValueError, match="found no bit named 'blu', expected a concept of the dissection; near names: "
                                         "blue"):
        bits_named(EXPECTED, "blu")
    with pytest.raises(ValueError, match=r"'dog' at IoU 0.020 at best, by bit 2, expected 0.04 or more"):
        bits_named(EXPECTED, "dog")
    with pytest.raises(ValueError, match=r"no bit with 'red' as its best concept, .* bit 1 comes nearest, IoU 0.200"):
        bits_named([*EXPECTED, BitName(0, "red", "color", 0.2, 0.1, True)], "red", any_category=False)


def test_what_is_no_dissection_of_this_model(folder, tmp_path):
    with pytest.raises(ValueError, match=r"units 1 to 3, expected 1 to 2, the code length; take the dissection of"):
        load_bit_names(folder, 2)
    with pytest.raises(ValueError, match=r"units 1 to 3, expected 1 to 4"):
        load_bit_names(folder, 4)
    with pytest.raises(ValueError, match="no dissection"):
        load_bit_names(tmp_path, 3)
    with pytest.raises(ValueError, match="no such file"):
        load_bit_names(tmp_path / "none", 3)
    for text in ("[1", "[]", '{"units": [1]}', '{"units": []}'):
        (tmp_path / "tally.json").write_text(text)
        with pytest.raises(ValueError, match=r"tally\.json:(1:)? found"):
            load_bit_names(tmp_path, 3)
    (tmp_path / "other.csv").write_text("unit,label\n1,dog\n")
    with pytest.raises(ValueError, match="no column 'score'"):
        load_bit_names(tmp_path / "other.csv", 3)
