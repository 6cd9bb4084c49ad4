"""``ibc explore``: the folder it writes, and what it says to bad input."""

import contextlib
import dataclasses
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ibc.codes import load_codes, save_codes
from ibc.report.explorer.snippets import sql_snippet
from ibc.retrieval import expert_bits, search
from tests.report.explorer.small_page import (
    ATTRIBUTES,
    CLASSES,
    make_set,
    numbers,
    paths_of,
    read_data,
    signs_of,
    small_codes,
    write_dissection,
)
from tests.small_run import error_of, run

COMMAND = "ibc/commands/explore"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("set"))


@pytest.fixture(scope="module")
def page(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page") / "page"
    result = run(COMMAND, *small.flags, "-o", folder)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0] == "30 images, 30 of them with a thumbnail in 1 sheets (1 new)"
    assert result.stdout.splitlines()[1] == f"open {(folder / 'index.html').as_uri()}"
    return folder


def test_the_pages_data_is_the_codes_file(small, page):
    data, codes = read_data(page), load_codes(small.codes)
    assert (data["version"], data["count"], data["code_length"], data["words"]) == (1, 30, 40, 2)
    assert np.array_equal(signs_of(data), codes.bits) and data["undecided"] is not None
    assert paths_of(data) == codes.paths
    labels = codes.categories
    labels[-1] = -1
    assert numbers(data["labels"], "<i4").tolist() == labels.tolist() and data["label_sets"] is None
    assert data["classes"] == CLASSES
    assert [item["name"] for item in data["attributes"]] == ATTRIBUTES
    for column, item in enumerate(data["attributes"], 1):
        has = np.unpackbits(numbers(item["has"], "u1"), bitorder="little")[:30]
        assert np.array_equal(has, codes.labels[:, column] == 1)
    assert np.abs(numbers(data["grm"], "u1").reshape(3, 40) / 255 - codes.grm).max() <= 0.5 / 255 + 1e-6
    assert data["expert_bits"] == expert_bits(codes.grm, 13).tolist()
    assert data["sampled"] is None and numbers(data["thumbs"]["places"], "<i4").tolist() == list(range(30))
    assert all((page / name).is_file() for name in data["thumbs"]["sheets"])
    assert data["provenance"]["codes"] == str(small.codes) and len(data["provenance"]["sha256"]) == 64


def test_bit_cards(page):
    bits = read_data(page)["bits"]
    assert [bit["number"] for bit in bits] == list(range(1, 41))
    sources = {name["source"]: name for name in bits[0]["names"]}
    assert sources["dissection"]["concept"] == "red"  # the last of its two
    assert bits[0]["names"][0] == {"concept": "thing 1", "category": "object", "iou": 0.1, "chance": 0.02,
                                   "beats_chance": True, "source": "dissection", "nats": None}
    assert sources["class"]["concept"] == "sea" and sources["class"]["beats_chance"]
    assert {name["source"]: name for name in bits[1]["names"]}["attribute"]["concept"] == "blue"
    assert bits[1]["information"] == {"name": "blue", "kind": "attribute", "nats": 0.6931}
    assert bits[4]["alignment"] == 0.505


def test_strips_with_masks_are_copied(small, page):
    bits = read_data(page)["bits"]
    assert [bit["masks"] for bit in bits[:4]] == [*(f"masks/bit-{number:04d}.jpg" for number in (1, 2, 3)), None]
    assert (page / "masks/bit-0002.jpg").read_bytes() == (small.dissection / "html/image/conv-0001.jpg").read_bytes()


def test_the_python_call_gives_the_views_result(page, capsys):
    data = read_data(page)
    signs = signs_of(data)
    text = data["python"]
    for name, value in (("query", ", ".join(map(str, signs[5]))), ("bits", "0, 3, 9"), ("top", "4")):
        text = text.replace(f"{{{name}}}", value)
    exec(compile(text, "snippet", "exec"), {})
    rows, distances = search(signs, signs[5:6], bits=[0, 3, 9], top=4)
    paths = paths_of(data)
    assert capsys.readouterr().out.splitlines() == [
        f"{distance:g}  {paths[row]}" for row, distance in zip(rows[0], distances[0], strict=True)]


@pytest.mark.parametrize("length", [40, 200])
def test_the_sql_gives_the_views_result(tmp_path, length):
    """On what ibc export writes, with few and with all bits chosen."""
    duckdb = pytest.importorskip("duckdb")
    pytest.importorskip("pyarrow")
    codes = small_codes([f"{number}.jpg" for number in range(50)], length)
    codes.binary_codes[0, 2] = 0.9
    save_codes(tmp_path / "codes.npz", codes)
    assert run("ibc/commands/export", tmp_path / "codes.npz", "-o", tmp_path / "e").returncode == 0
    for bits in ([0, 3, 39], list(range(length))):
        text = sql_snippet(length).replace("{top}", "50")
        for word in range(-(-length // 64)):
            places = range(64 * word, min(64 * word + 64, length))
            wanted = sum(1 << place % 64 for place in places if codes.bits[5, place] > 0)
            chosen = sum(1 << place % 64 for place in places if place in bits)
            text = text.replace(f"{{q{word}}}", str(wanted)).replace(f"{{m{word}}}", str(chosen))
        with contextlib.chdir(tmp_path / "e"), duckdb.connect(config={"threads": 1}) as base:
            rows = base.execute(text).fetchall()
        expected = search(codes.bits, codes.bits[5:6], bits=bits, top=50)
        assert [row[0] for row in rows] == expected.rows[0].tolist()
        assert [row[2] for row in rows] == expected.distances[0].tolist()
    assert max(row[2] for row in rows) > length // 2


def test_a_second_run_reuses_the_sheets_and_takes_new_codes(small, page, tmp_path):
    codes = load_codes(small.codes)
    codes.binary_codes[3] = 1 - codes.binary_codes[3]
    save_codes(tmp_path / "other.npz", codes)
    folder = tmp_path / "page"
    shutil.copytree(page, folder)
    result = run(COMMAND, *small.flags[:-2], "-o", folder)
    assert "(0 new)" in result.stdout
    result = run(COMMAND, tmp_path / "other.npz", *small.flags[1:], "-o", folder, "--title", "<b>other</b>")
    assert "(0 new)" in result.stdout
    data = read_data(folder)
    assert np.array_equal(signs_of(data), codes.bits) and data["title"] == "<b>other</b>"
    assert "<b>other" not in (folder / "index.html").read_text()


def test_a_sample_of_thumbnails_is_stated(small, tmp_path):
    result = run(COMMAND, *small.flags, "-o", tmp_path / "page", "--max_thumbs", 10)
    assert result.stdout.startswith("30 images, 10 of them with a thumbnail")
    data = read_data(tmp_path / "page")
    assert data["sampled"] == {"shown": 10, "of": 30}
    assert (numbers(data["thumbs"]["places"], "<i4") >= 0).sum() == 10


def test_moved_images_are_counted_and_named(small, tmp_path):
    images = tmp_path / "images"
    shutil.copytree(small.images, images)
    for number in range(5):
        (images / f"{number:03d}.jpg").unlink()
    flags = [str(images) if flag == str(small.images) else flag for flag in small.flags]
    result = run(COMMAND, *flags, "-o", tmp_path / "page")
    assert result.returncode == 0 and result.stdout.startswith("30 images, 25 of them with a thumbnail")
    lines = result.stderr.splitlines()
    assert [line for line in lines if "000.jpg: No such file" in line]
    assert "no thumbnail: 2 other images" in lines
    data = read_data(tmp_path / "page")
    assert numbers(data["thumbs"]["places"], "<i4").tolist()[:6] == [-1, -1, -1, -1, -1, 5]
    assert data["thumbs"]["unreadable"] == 5 and data["sampled"] is None


def test_images_in_a_zip(small, tmp_path):
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as archive:
        for file in sorted(small.images.iterdir()):
            archive.write(file, file.name)
        archive.writestr("classes.txt", "\n".join(CLASSES))
    flags = [str(small.codes), "--images", str(tmp_path / "pack.zip"), "--workers", "1"]
    result = run(COMMAND, *flags, "-o", tmp_path / "page")
    assert result.stdout.startswith("30 images, 30 of them with a thumbnail"), result.stderr
    assert read_data(tmp_path / "page")["classes"] == CLASSES
    assert "gone.zip" in error_of(run(COMMAND, flags[0], "--images", tmp_path / "gone.zip", "-o", tmp_path / "page"))


def test_names_of_any_kind_survive(tmp_path):
    names = ["<img src=x onerror=alert(1)>.jpg", "a\u2028b.jpg", "<script>.jpg", "日本 😀.jpg",
             os.fsdecode(b"caf\xe9.jpg"), "tab\there.jpg"]
    source = make_set(tmp_path / "source", count=6)
    folder = tmp_path / "images"
    folder.mkdir()
    for name, image in zip(names, sorted(source.images.iterdir()), strict=True):
        shutil.copy(image, folder / name)
    save_codes(tmp_path / "codes.npz", dataclasses.replace(load_codes(source.codes), paths=names))
    result = run(COMMAND, tmp_path / "codes.npz", "--images", folder, "-o", tmp_path / "page", "--workers", 1)
    assert result.returncode == 0 and not result.stderr.count("no thumbnail"), result.stderr
    data = read_data(tmp_path / "page")
    assert paths_of(data) == [*names[:4], "caf\\xe9.jpg", "tab\\x09here.jpg"]
    assert data["classes"] == ["class 0", "class 1", "class 2"]
    assert [item["name"] for item in data["attributes"]] == ["column 1", "column 2"]


def test_label_sets_and_codes_without_labels_or_rules(small, tmp_path):
    codes = load_codes(small.codes)
    sets = (np.random.default_rng(0).random((30, 3)) < 0.4).astype(np.float32)
    save_codes(tmp_path / "sets.npz", dataclasses.replace(codes, labels=sets))
    images = ["--images", small.images, "--workers", 1]
    note = run(COMMAND, tmp_path / "sets.npz", *images, "-o", tmp_path / "a")
    assert note.returncode == 0 and "note: lab looks like one 0/1 column for each class" in note.stderr
    assert run(COMMAND, tmp_path / "sets.npz", *images, "--multi_label", "-o", tmp_path / "a").returncode == 0
    data = read_data(tmp_path / "a")
    assert data["labels"] is None and data["attributes"] == []
    assert data["label_sets"] == [np.flatnonzero(row).tolist() for row in sets]
    plain = dataclasses.replace(codes, labels=np.full((30, 1), 99999, np.float32), grm=None)
    save_codes(tmp_path / "plain.mat", plain)
    assert run(COMMAND, tmp_path / "plain.mat", *images, "-o", tmp_path / "b").returncode == 0
    data = read_data(tmp_path / "b")
    assert [data[key] for key in ("labels", "label_sets", "classes", "grm", "expert_bits")] == [None, None, [], None,
                                                                                               None]
    assert data["bits"][0]["information"] is None and data["bits"][0]["names"] == []


def test_names_beside_the_images_are_taken_where_they_fit(small, tmp_path):
    images = tmp_path / "images"
    shutil.copytree(small.images, images)
    (images / "classes.txt").write_text("".join(f"{name}\r\n" for name in CLASSES), encoding="utf-16")
    (images / "attributes.txt").write_text("only one\n")
    flags = [str(small.codes), "--images", str(images), "--workers", "1", "-o", str(tmp_path / "page")]
    assert run(COMMAND, *flags).returncode == 0
    data = read_data(tmp_path / "page")
    assert data["classes"] == CLASSES and [item["name"] for item in data["attributes"]] == ["column 1", "column 2"]


def test_a_dissection_of_the_same_model(small, tmp_path):
    result = run(COMMAND, *of_models(small, tmp_path, "a" * 64, "a" * 64), "-o", tmp_path / "page")
    assert result.returncode == 0 and read_data(tmp_path / "page")["provenance"]["fingerprint"] == "a" * 64


def test_information_of_training_codes(small, tmp_path):
    train = small_codes([f"{number}.jpg" for number in range(60)], seed=3)
    train.binary_codes[:, 0] = 1 - train.binary_codes[:, 0]  # there the bit speaks against class 0
    save_codes(tmp_path / "train.npz", train)
    assert run(COMMAND, *small.flags, "--train", tmp_path / "train.npz", "-o", tmp_path / "page").returncode == 0
    data = read_data(tmp_path / "page")
    name = next(name for name in data["bits"][0]["names"] if name["source"] == "class")
    assert name["concept"] != "sea" and data["provenance"]["train"].endswith("train.npz")


def test_help_has_an_example():
    result = run(COMMAND, "--help")
    assert result.returncode == 0 and "--dissection demo/dissection" in result.stdout


def changed(small, tmp_path, **fields):
    save_codes(tmp_path / "changed.npz", dataclasses.replace(load_codes(small.codes), **fields))
    return [str(tmp_path / "changed.npz"), *small.flags[1:]]


def with_file(small, tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    return path


def of_models(small, tmp_path, codes_model, dissected):
    dissection = write_dissection(tmp_path / "d", 40)
    table = dissection / "tally.json"
    table.write_text(table.read_text().replace('{"layer"', f'{{"model": "{dissected}", "layer"', 1))
    return [*changed(small, tmp_path, model=codes_model), "--dissection", str(dissection)]


BAD = {
    "another model": (lambda small, tmp: of_models(small, tmp, "a" * 64, "b" * 64),
                      "found the dissection of another model (bbbbbbbbbbbb…), expected that of the model that made"),
    "no paths": (lambda small, tmp: changed(small, tmp, paths=None), "no array 'paths'"),
    "images elsewhere": (lambda small, tmp: changed(small, tmp, paths=[f"x{n}" for n in range(30)]),
                         "none of 30 images that can be read"),
    "no images folder": (lambda small, tmp: [*small.flags, "--images", "nowhere"], "no such folder"),
    "no codes": (lambda small, tmp: ["missing.npz", *small.flags[1:]], "missing.npz: No such file or directory"),
    "another dissection": (lambda small, tmp: [*small.flags, "--dissection", str(write_dissection(tmp / "other", 48))],
                           "found units 1 to 48, expected 1 to 40"),
    "a shorter dissection": (lambda small, tmp: [*small.flags, "--dissection", str(write_dissection(tmp / "less", 32))],
                             "found units 1 to 32, expected 1 to 40"),
    "no dissection": (lambda small, tmp: [*small.flags, "--dissection", "none"], "none: found no such file"),
    "few class names": (lambda small, tmp: [*small.flags, "--class_names", str(with_file(small, tmp, "c", "a\nb\n"))],
                        "found 2 class names, expected 3"),
    "few attribute names": (lambda small, tmp: [*small.flags, "--attribute_names",
                                                str(with_file(small, tmp, "a", "a\n"))], "found 1 names, expected 2"),
    "a category beyond classes": (
        lambda small, tmp: changed(small, tmp, labels=np.full((30, 3), 70000, np.float32)), "the category 70000"),
    "size": (lambda small, tmp: [*small.flags, "--thumb", "4"], "--thumb: found 4, expected 16 to 512 pixels"),
    "thumbs": (lambda small, tmp: [*small.flags, "--max_thumbs", "0"], "--max_thumbs: found 0, expected at least 1"),
    "training codes": (lambda small, tmp: [*small.flags, "--train", str(_train(tmp))], "found 8 bits, expected 40"),
}


def _train(folder: Path) -> Path:
    save_codes(folder / "train.npz", small_codes(["a.jpg"] * 5, 8))
    return folder / "train.npz"


@pytest.mark.parametrize("case", BAD)
def test_bad_input(small, tmp_path, case):
    make, message = BAD[case]
    assert message in error_of(run(COMMAND, *make(small, tmp_path), "-o", tmp_path / "page"))
    assert not (tmp_path / "page" / "index.html").exists()


def test_only_a_folder_of_ours_is_written_to(small, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    assert "a folder with other files" in error_of(run(COMMAND, *small.flags, "-o", tmp_path / "full"))
    assert [file.name for file in (tmp_path / "full").iterdir()] == ["thesis.tex"]
    (tmp_path / "file").write_text("")
    assert "found a file" in error_of(run(COMMAND, *small.flags, "-o", tmp_path / "file"))
    (tmp_path / "empty").mkdir()
    assert run(COMMAND, *small.flags, "-o", tmp_path / "empty").returncode == 0
