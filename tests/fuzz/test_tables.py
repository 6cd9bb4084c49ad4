"""Tables: attributes and labels of a folder, names and weights of bits, the tables of a Broden folder."""

from pathlib import Path

import pytest
from hypothesis import strategies as st
from PIL import Image

from ibc.commands.search_bits import names_of
from ibc.data.broden.check import check_broden
from ibc.data.broden.dataset import load_broden
from ibc.datasets.building.table import ImageTable, class_weights, read_attributes, read_labels
from ibc.retrieval.attribute_names import column_names, find_column
from ibc.retrieval.bit_groups import concept_groups
from ibc.retrieval.bit_names import check_dissected_model, load_bit_names
from ibc.retrieval.bits import bits_of_concepts
from ibc.retrieval.wishes import read_weights
from ibc.text_files import read_text
from tests.fuzz.damage import damaged, odd_texts
from tests.fuzz.harness import each, fuzzed

IMAGES = ["cats/a.jpg", "cats/b.jpg", "dogs/c d.jpg", "é.png"]
TABLES = [b"image,red,green\ncats/a.jpg,1,0\nb,-1,\n\"c d\",2,1\n", "image;r;\n\u00e9;1,0;\n".encode(),
          "sep=;\r\nimage;red;green\r\na.jpg;1.0;TRUE\r\n".encode("utf-16"), b"image\tx\ty\n./cats\\a.jpg\tNaN\t0.0\n",
          b"\xef\xbb\xbfimage,x\na,1\n"]


@fuzzed(damaged(TABLES))
def test_attribute_table(data: bytes, folder: Path) -> None:
    (folder / "table.csv").write_bytes(data)
    each(*(lambda read=read: _matched(read(folder / "table.csv")) for read in (read_attributes, read_labels)))


def _matched(table: ImageTable) -> None:
    matched, _ = table.match(IMAGES)
    class_weights(matched.values(), len(table.names))


@fuzzed(damaged([b"red\ngreen\n", "\u00e9t\u00e9\r\n".encode(), "a\n".encode("utf-16")]))
def test_names(data: bytes, folder: Path) -> None:
    (folder / "names.txt").write_bytes(data)
    file = folder / "names.txt"
    each(lambda: names_of(str(file), None, "classes.txt"), lambda: names_of(None, str(folder), "names.txt"),
         lambda: read_text(file), lambda: column_names(2, (), file))


@fuzzed(odd_texts())
def test_attribute_wish(text: str, folder: Path) -> None:
    find_column(text, ["red", "has tail", "2"])


@fuzzed(damaged([b"1, 0.5 2 # three\n1e3\n", b"0 0 0 1"]))
def test_bit_weights(data: bytes, folder: Path) -> None:
    (folder / "weights.txt").write_bytes(data)
    read_weights(folder / "weights.txt", 4)


TALLIES = [b"unit,category,label,score,object-label,object-iou,color-label,color-iou\n"
           b"1,object,sky,0.2,sky,0.2,red-c,0.1\n2,object,,0,,0,,0\n",
           b"unit,concept,category,iou,chance\n1,sky,object,0.3,0.02\n2,night_sky-s,scene,0.1,nan\n",
           b"unit,category,label,score\n1,object,sea,0.5\n"]
JSON_TALLIES = [b'{"model": "ab", "settings": {"units": null}, "units": [{"unit": 1, "chance": [0.1, null], "best": '
                b'{"object": {"label": "sky", "iou": 0.4}}}, {"unit": 2, "chance": [], "best": {}}]}']


@fuzzed(st.tuples(st.sampled_from(("tally.csv", "units.csv")), damaged(TALLIES))
        | st.tuples(st.just("tally.json"), damaged(JSON_TALLIES)))
def test_bit_names(value: tuple[str, bytes], folder: Path) -> None:
    name, data = value
    (folder / name).write_bytes(data)
    check_dissected_model(folder, "cd", "codes.npz")
    names = load_bit_names(folder, 2)
    assert all(0 <= found.bit < 2 and 0 < found.iou <= 1 for found in names)
    bits_of_concepts(folder / name, ["sky"])
    concept_groups(str(folder / name), "sky", 0.1, True, 2)


BRODEN = {
    "index.csv": b"image,split,ih,iw,sh,sw,object,color\na.jpg,train,6,8,3,4,o.png;2,1\nb.jpg,val,6,8,3,4,,2;o.png\n",
    "category.csv": b"name,first,last,count,frequency\nobject,1,2,2,2\ncolor,1,3,2,2\n",
    "label.csv": b"number,name,category,frequency,coverage,syns\n1,sky,object(2),2,0.5,\n2,red-c,color,1,0.1,\n",
    "c_object.csv": b"code,number,name,frequency,coverage\n1,1,sky,2,0.5\n2,2,red-c,1,0.1\n",
    "c_color.csv": b"code,number,name,frequency,coverage\n1,2,red-c,1,0.1\n"}


@pytest.fixture(scope="module")
def broden_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("broden") / "images"
    folder.mkdir()
    for name, size in (("a.jpg", (8, 6)), ("b.jpg", (8, 6)), ("o.png", (4, 3))):
        Image.new("RGB", size, (1, 0, 0)).save(folder / name)
    return folder


_IMAGES: list[Path] = []


@pytest.fixture(autouse=True)
def _share_images(broden_images: Path) -> None:
    _IMAGES[:] = [broden_images]


MANY_MAPS = b"image,split,ih,iw,sh,sw,object,color\na.jpg,train,6,8,16384,16384,o.png;" + b"1;" * 500 + b",\n"


@fuzzed(st.sampled_from(sorted(BRODEN)).flatmap(lambda name: st.tuples(st.just(name), damaged([BRODEN[name]]))),
        examples=[("index.csv", MANY_MAPS), ("index.csv", MANY_MAPS.replace(b"o.png", b"2")),
                  ("index.csv", BRODEN["index.csv"].replace(b"a.jpg", b"a" * 5000))])
def test_broden_tables(value: tuple[str, bytes], folder: Path) -> None:
    for name, data in {**BRODEN, value[0]: value[1]}.items():
        (folder / name).write_bytes(data)
    (folder / "images").symlink_to(_IMAGES[0])
    each(lambda: check_broden(folder), lambda: _all_of_broden(folder))


def _all_of_broden(folder: Path) -> None:
    broden = load_broden(folder)
    broden.fingerprint()
    for index in range(len(broden)):
        broden.read_image(index)
        broden.read_planes(index)
