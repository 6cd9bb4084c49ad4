"""ibc search: every kind of query and of bits, its outputs, and bad input as one line."""

import io
import json
import re
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ibc.codes import CodeSet, load_codes, save_codes
from ibc.retrieval.index import search
from tests.retrieval.test_bit_names import write_dissection
from tests.small_run import error_of, make_images, make_run, run

LENGTH, CLASSES, COUNT = 16, 4, 48
NAMES = ("sea-s", "dog", "night_sky-s", "red-c")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """codes.npz with images below data/, and a dissection: bit k is named by NAMES[k % 4], IoU falling with k."""
    folder = tmp_path_factory.mktemp("search")
    names = make_images(folder / "data" / "images", COUNT, size=48)
    save_codes(folder / "codes.npz", small_codes([f"images/{name}" for name in names]))
    (folder / "data" / "classes.txt").write_text("boat\nbeach\n<b>bold</b>\ncity\n")
    units = [(NAMES[bit % 4], "scene", 0.3 - 0.01 * bit, "blue-c", "color", 0.05 if bit < 2 else 0.001)
             for bit in range(LENGTH)]
    write_dissection(folder / "dissection", units, [0.04] * LENGTH)
    return folder


def small_codes(paths):
    random = np.random.default_rng(0)
    labels = np.arange(COUNT) % CLASSES
    centres = np.random.default_rng(1).random((CLASSES, LENGTH))
    values = np.clip(centres[labels] + random.normal(0, 0.3, (COUNT, LENGTH)), 0.01, 0.99)
    columns = np.column_stack([labels, values[:, 3] > 0.5, random.random(COUNT) < 0.3])
    return CodeSet(values.astype(np.float32), columns.astype(np.float32), centres.astype(np.float32), paths, "aaa")


def found(folder, *words, codes="codes.npz"):
    """The metrics of a search."""
    result = run("ibc.commands.search", folder / codes, *words, "--json", folder / "out.json")
    assert result.returncode == 0, result.stderr
    report = json.loads((folder / "out.json").read_text())
    assert (report["command"], report["protocol"]["ties"]) == ("search", "database order")
    return report["metrics"] | {"text": result.stdout}


def rows(ranking):
    return [hit["row_index"] for hit in ranking["results"]]


def test_an_item_by_all_bits(folder):
    metrics = found(folder, "--item", "6", "--top", "7")
    (ranking,) = metrics["rankings"]
    signs = load_codes(folder / "codes.npz").bits
    expected = search(signs, signs[5:6], top=COUNT)
    keep = expected.rows[0] != 5
    assert rows(ranking) == expected.rows[0][keep][:7].tolist()
    assert [hit["distance"] for hit in ranking["results"]] == expected.distances[0][keep][:7].tolist()
    for hit in ranking["results"]:
        assert hit["distance"] == len(hit["differ_index"]) == LENGTH - len(hit["agree_index"])
    assert metrics["query"]["examples"] == [{"path": "images/005.jpg", "number": 6, "wanted": True}]
    assert "images at equal distance are in the order of the codes file" in metrics["text"]
    assert found(folder, "--item", "005.jpg", "--top", "7")["rankings"] == metrics["rankings"]


def test_bits_of_concepts(folder):
    metrics = found(folder, "--item", 6, "--dissection", folder / "dissection", "--concepts", "sea,Night sky")
    (ranking,) = metrics["rankings"]
    assert [bit["bit_index"] for bit in ranking["chosen"]] == [0, 4, 8, 12, 2, 6, 10, 14]
    assert ranking["title"] == "8 bits of sea, night sky"
    assert ranking["chosen"][1] == {"bit_index": 4, "concept": "sea", "category": "scene", "iou": pytest.approx(0.26),
                                    "chance": 0.04, "asked_for": ranking["chosen"][1]["asked_for"], "weight": 1.0}
    line = next(line for line in metrics["text"].splitlines() if line.startswith("5 "))
    assert line.split()[2:] == ["sea", "scene", "0.260", "0.040"]
    signs = load_codes(folder / "codes.npz").bits
    expected = search(signs, signs[5:6], bits=[0, 2, 4, 6, 8, 10, 12, 14], top=COUNT).rows[0]
    assert rows(ranking) == [row for row in expected.tolist() if row != 5][:20]
    blue = found(folder, "--item", 6, "--dissection", folder / "dissection", "--concepts", "blue")["rankings"][0]
    assert [bit["bit_index"] for bit in blue["chosen"]] == [0, 1]
    assert {bit["concept"] for bit in blue["chosen"]} == {"blue"}


def test_expert_bits_of_a_given_and_of_the_predicted_class(folder):
    codes = load_codes(folder / "codes.npz")
    for words, how in ((["--class", "beach"], "given"), ([], "predicted")):
        (ranking,) = found(folder, "--item", 6, "--expert", "--images", folder / "data", "--top_k_bits", 5,
                           *words)["rankings"]
        assert ranking["class_found_by"].startswith(how)
        assert ranking["class"] == 1  # the class of most neighbours is the image's own here
        bits = [bit["bit_index"] for bit in ranking["chosen"]]
        assert bits == np.argsort(-codes.grm[1], kind="stable")[:5].tolist()
        assert ranking["title"] == "5 expert bits of class 1 (beach)"


def test_bits_of_an_attribute(folder):
    metrics = found(folder, "--item", 6, "--attribute", "1")
    (ranking,) = metrics["rankings"]
    assert ranking["chosen"][0]["bit_index"] == 3  # the attribute is this bit
    assert ranking["oracle"] is True
    assert "oracle" in metrics["text"]
    again = found(folder, "--item", 6, "--attribute", "1", "--train", folder / "codes.npz")["rankings"][0]
    assert (again["oracle"], again["chosen"]) == (False, ranking["chosen"])


def test_listed_bits_and_several_rankings(folder):
    (listed,) = found(folder, "--item", 6, "--bits", "3,1-2")["rankings"]
    assert [bit["bit_index"] for bit in listed["chosen"]] == [2, 0, 1]
    rankings = found(folder, "--item", 6, "--dissection", folder / "dissection", "--rows",
                     "all,expert,concept:sea+dog,bits:1+2-3,random,attribute:1")["rankings"]
    assert [len(ranking["chosen"]) for ranking in rankings[:5]] == [16, 13, 8, 3, 3]
    assert rankings[4]["title"] == "3 random bits"
    item = int(load_codes(folder / "codes.npz").bits.sum(axis=1).argmax()) + 1
    (own,) = found(folder, "--item", item, "--dissection", folder / "dissection", "--rows", "concept")["rankings"]
    assert sum(bit["asked_for"] * bit["iou"] for bit in own["chosen"]) > 0
    assert rankings[3]["results"] == found(folder, "--item", 6, "--dissection", folder / "dissection", "--bits",
                                           "1,2-3")["rankings"][0]["results"]


def test_several_examples(folder):
    metrics = found(folder, "--item", 6, 10, "--not_item", 3, "--top", 60)
    (ranking,) = metrics["rankings"]
    assert not {5, 9, 2} & set(rows(ranking))
    assert len(ranking["results"]) == COUNT - 3
    assert "--top 60 is more than the 45 images" in metrics["text"]
    signs = load_codes(folder / "codes.npz").bits.astype(float)
    graded = (signs[[5, 9]].mean(axis=0) - signs[2]) / 2
    assert [bit["weight"] for bit in ranking["chosen"]] == np.abs(graded).tolist()


def test_a_wish_without_an_image(folder):
    metrics = found(folder, "--dissection", folder / "dissection", "--want", "sea", "--without", "dog")
    (ranking,) = metrics["rankings"]
    asked = {bit["bit_index"]: bit["asked_for"] for bit in ranking["chosen"]}
    assert asked == {0: 1, 4: 1, 8: 1, 12: 1, 1: -1, 5: -1, 9: -1, 13: -1}
    assert metrics["query"] == {"title": "sea, without dog", "examples": []}
    signs = load_codes(folder / "codes.npz").bits
    for hit in ranking["results"]:
        assert hit["distance"] == sum(signs[hit["row_index"], bit] != value for bit, value in asked.items())
    with_item = found(folder, "--dissection", folder / "dissection", "--item", 6, "--want", "sea")["rankings"][0]
    assert len(with_item["chosen"]) == LENGTH
    assert [with_item["chosen"][bit]["asked_for"] for bit in (0, 4, 8, 12)] == [1, 1, 1, 1]


def test_weights(folder):
    codes = load_codes(folder / "codes.npz")
    (ranking,) = found(folder, "--item", 6, "--weight", "margin")["rankings"]
    assert np.allclose([bit["weight"] for bit in ranking["chosen"]], np.abs(2 * codes.binary_codes[5] - 1))
    (ranking,) = found(folder, "--item", 6, "--weight", "iou", "--dissection", folder / "dissection")["rankings"]
    assert np.allclose([bit["weight"] for bit in ranking["chosen"]], 0.3 - 0.01 * np.arange(LENGTH))
    (folder / "weights.txt").write_text(" ".join(map(str, range(LENGTH))))
    (ranking,) = found(folder, "--item", 6, "--weight", folder / "weights.txt", "--bits", "1-4")["rankings"]
    assert [bit["weight"] for bit in ranking["chosen"]] == [0, 1, 2, 3]
    assert ranking["largest_distance"] == 6


def test_what_images_have_in_common(folder):
    metrics = found(folder, "--item", 6, "--common", "--dissection", folder / "dissection")
    assert metrics["common"]["bits"] == metrics["rankings"][0]["shared"]
    assert metrics["common"]["bits"][0]["concept"] in ("sea", "dog", "night sky", "red")
    for words in (["1-4"], ["images/000.jpg,images/001.jpg,002.jpg,images/003.jpg"]):
        listed = found(folder, "--common", *words)
        assert (listed["rankings"], listed["common"]["images"]) == ([], 4)
    signs = load_codes(folder / "codes.npz").bits
    for bit in listed["common"]["bits"]:
        assert bit["inside"] == (signs[:4, bit["bit_index"]] > 0).mean() > bit["outside"]


def test_sheet_and_page(folder):
    result = run("ibc.commands.search", folder / "codes.npz", "--item", 7, "--not_item", 6, "--images", folder / "data",
                 "--dissection", folder / "dissection", "--rows", "all,concept:sea", "--top", 5, "--columns", 3,
                 "--common", "--sheet", folder / "sheet.png", "--page", folder / "page.html")
    assert result.returncode == 0, result.stderr
    sheet = Image.open(folder / "sheet.png")
    assert sheet.format == "PNG"
    assert np.asarray(sheet).std() > 20
    page = (folder / "page.html").read_text()
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "<b>bold" not in page
    assert page.count("data:image/jpeg;base64,") >= 12
    assert "http" not in page
    assert "<script" not in page


def test_images_that_moved(folder, tmp_path):
    codes = load_codes(folder / "codes.npz")
    paths = [path if row % 2 else f"gone/{row}.jpg" for row, path in enumerate(codes.paths)]
    save_codes(tmp_path / "codes.npz", replace(codes, paths=paths))
    words = ["--item", 6, "--images", folder / "data", "--page", tmp_path / "page.html", "--sheet", tmp_path / "s.png"]
    result = run("ibc.commands.search", tmp_path / "codes.npz", *words)
    assert re.search(r"note: \d+ images are missing or no images, the first is .*data/gone/\d+\.jpg", result.stdout)
    assert "not found: moved since extraction" in (tmp_path / "page.html").read_text()
    error = error_of(run("ibc.commands.search", tmp_path / "codes.npz", "--item", 6, "--images", tmp_path, "--sheet",
                         tmp_path / "none.png"))
    assert "have they moved?" in error
    assert not (tmp_path / "none.png").exists()


def test_a_new_image_has_the_codes_of_extraction(tmp_path):
    import torch

    from ibc.checkpoint import find_checkpoint, load_model
    from ibc.dissection.encoders import IBCEncoder
    from ibc.retrieval.query_images import QueryEncoder

    config = make_run(tmp_path, images=24, max_iter=1, snapshot_save_iter=1, crop_image_height=72, new_size=80)
    assert run("train.py", "--config", config, "--output_path", tmp_path, "--device", "cpu").returncode == 0
    checkpoint = tmp_path / "outputs" / "small"
    for words in ([], ["--images", tmp_path / "images"]):
        name = "folder" if words else "listed"
        assert run("fea_extraction.py", "--config", config, "--checkpoint", checkpoint, "--save_name", name, *words,
                   "--output_path", tmp_path, "--device", "cpu").returncode == 0
        codes = tmp_path / "results" / "small" / f"{name}.npz"
        encoder = QueryEncoder(checkpoint, None, torch.device("cpu"))
        stored = load_codes(codes)
        encoder.check(stored, codes)
        files = [tmp_path / "images" / f"{number:03d}.jpg" for number in range(6)]
        made = encoder.encode(files, "always" if words else "config")
        assert np.abs(made - stored.binary_codes[:6]).max() < 1e-6
    result = run("ibc.commands.search", codes, "--image", files[2], files[3], "--checkpoint", checkpoint, "--device",
                 "cpu", "--json", tmp_path / "out.json", "--top", 5)
    assert result.returncode == 0, result.stderr
    assert "images/002.jpg, " in result.stdout.splitlines()[0]
    other = load_codes(codes)
    assert other.model == IBCEncoder(load_model(find_checkpoint(checkpoint))).model()  # what a dissection writes
    assert load_codes(codes.with_suffix(".mat")).model == other.model
    save_codes(tmp_path / "other.npz", replace(other, model="another"))
    error = error_of(run("ibc.commands.search", tmp_path / "other.npz", "--image", files[2], "--checkpoint", checkpoint,
                         "--device", "cpu"))
    assert "expected the checkpoint that made the codes" in error
    assert "another model than that of" in error
    old = replace(other, model=None, grm=1 - other.grm)
    save_codes(tmp_path / "old.npz", old)
    words = ["--image", files[2], "--checkpoint", checkpoint, "--device", "cpu"]
    assert "another model than that of" in error_of(run("ibc.commands.search", tmp_path / "old.npz", *words))
    common = run("ibc.commands.search", codes, "--common", tmp_path / "images", "--checkpoint", checkpoint, "--device",
                 "cpu")
    assert "24 images" in common.stdout
    no_image = error_of(run("ibc.commands.search", codes, "--image", config, "--checkpoint", checkpoint, "--device",
                            "cpu"))
    assert "data that is not an image" in no_image


WITH_NAMES = ["--dissection", "dissection"]


@pytest.mark.parametrize(("words", "message"), [
    ([], "query: found none"),
    (["--item", "99"], "item 99, expected 1 to 48"),
    (["--item", "nowhere.jpg"], "no image 'nowhere.jpg'"),
    (["--not_item", "1"], "negative examples alone"),
    (["--item", "1", "--not_item", "1"], "the examples cancel out"),
    (["--item", "1", "--concepts", "sea"], "found no --dissection"),
    (["--want", "sea"], "found no --dissection"),
    (["--item", "1", "--concepts", "se", *WITH_NAMES], "no bit named 'se', expected a concept .* near names: sea"),
    (["--item", "1", "--concepts", "blue", "--min_iou", "0.2", *WITH_NAMES], "IoU 0.050 at best, by bit 1, "),
    (["--item", "1", "--concepts", "blue", "--best_only", *WITH_NAMES], "bit 1 comes nearest, IoU 0.050"),
    (["--item", "1", "--concepts", " , ", *WITH_NAMES], "names with commas"),
    (["--item", "1", "--dissection", "data"], "data: found no dissection"),
    (["--item", "1", "--bits", ""], "bit list: found ''"),
    (["--item", "1", "--bits", "17"], "expected bits from 1 to 16"),
    (["--item", "1", "--top", "0"], "--top: found 0, expected at least 1"),
    (["--item", "1", "--expert", "--class", "9"], "--class: found 9, expected a class from 0 to 3"),
    (["--item", "1", "--expert", "--class", "boot", "--images", "data"], "near names: boat"),
    (["--item", "1", "--class", "1"], "--class: found 1"),
    (["--item", "1", "--expert", "--top_k_bits", "17"], "--top_k_bits: found 17"),
    (["--item", "1", "--attribute", "9"], "--attribute: found 9, expected an attribute column from 1 to 2"),
    (["--item", "1", "--rows", "all,some"], "--rows: found 'some'"),
    (["--item", "1", "--weight", "none.txt"], "none.txt: No such file"),
    (["--item", "1", "--common", "somewhere"], "--common: found 'somewhere'"),
    (["--item", "1", "--sheet", "x.png"], "have they moved"),
    (["--image", "data/images/000.jpg"], "without --checkpoint"),
    (["--item", "1", "--min_iou", "2"], "--min_iou"),
])
def test_bad_input_is_one_line(folder, monkeypatch, words, message):
    monkeypatch.chdir(folder)
    result = run("ibc.commands.search", "codes.npz", *words, cwd=folder)
    assert re.search(message, error_of(result))


def test_other_codes_and_other_models(folder, tmp_path):
    codes = load_codes(folder / "codes.npz")
    short = replace(codes, binary_codes=codes.binary_codes[:, :12], grm=codes.grm[:, :12])
    save_codes(tmp_path / "short.npz", short)
    words = ["--item", 6, "--dissection", folder / "dissection"]
    assert "units 1 to 16, expected 1 to 12, the code length; take the dissection of the model" in error_of(
        run("ibc.commands.search", tmp_path / "short.npz", *words))
    for flags in (["--item", 6, "--queries", tmp_path / "short.npz"],
                  ["--item", 6, "--attribute", 1, "--train", tmp_path / "short.npz"]):
        assert "codes of 12 bits, expected 16" in error_of(run("ibc.commands.search", folder / "codes.npz", *flags))
    tally = json.loads((folder / "dissection" / "tally.json").read_text())
    (tmp_path / "tally.json").write_text(json.dumps(tally | {"model": "bbb"}))
    assert "the dissection of another model (bbb…), expected that of the model that made" in error_of(
        run("ibc.commands.search", folder / "codes.npz", "--item", 6, "--dissection", tmp_path / "tally.json"))
    (tmp_path / "tally.json").write_text(json.dumps(tally | {"model": "aaa"}))
    assert run("ibc.commands.search", folder / "codes.npz", "--item", 6, "--dissection",
               tmp_path / "tally.json").returncode == 0


def test_queries_of_another_file(folder, tmp_path):
    codes = load_codes(folder / "codes.npz")
    save_codes(tmp_path / "queries.npz", replace(codes, binary_codes=codes.binary_codes[::-1].copy()))
    metrics = found(folder, "--item", 1, "--queries", tmp_path / "queries.npz", "--top", 3)
    assert rows(metrics["rankings"][0])[0] == COUNT - 1  # not left out: it is no item of this file
    assert metrics["rankings"][0]["results"][0]["distance"] == 0


def test_label_sets(folder, tmp_path):
    codes = load_codes(folder / "codes.npz")
    sets = np.zeros((COUNT, CLASSES), np.float32)
    sets[np.arange(COUNT), codes.categories] = 1
    sets[::3, 3] = 1
    save_codes(tmp_path / "codes.npz", replace(codes, labels=sets))
    words = ["--item", 6, "--multi_label", "--class_names", folder / "data" / "classes.txt"]
    (ranking,) = found(tmp_path, *words, "--expert")["rankings"]
    assert ranking["class"] == 1
    assert "beach; city" in {hit["class"] for hit in ranking["results"]}
    (ranking,) = found(tmp_path, *words, "--attribute", 2, "--train", tmp_path / "codes.npz")["rankings"]
    assert ranking["column"] == 2


def test_a_zip_of_images_and_the_other_name_of_the_command(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for name in ("classes.txt", *(f"images/{path.name}" for path in (folder / "data" / "images").iterdir())):
            archive.write(folder / "data" / name, name)
    result = run("eval.search", folder / "codes.npz", "--item", 6, "--images", tmp_path / "data.zip", "--sheet",
                 tmp_path / "sheet.jpg")
    assert result.returncode == 0, result.stderr
    assert "missing" not in result.stdout
    assert " beach " in result.stdout
    assert Image.open(tmp_path / "sheet.jpg").format == "JPEG"


def test_undecided_bits_and_json_on_stdout(folder, tmp_path):
    codes = load_codes(folder / "codes.npz")
    values = codes.binary_codes.copy()
    values[7, :3] = 0.5
    save_codes(tmp_path / "codes.npz", replace(codes, binary_codes=values, paths=None))
    result = run("ibc.commands.search", tmp_path / "codes.npz", "--item", 1, "--top", 60, "--json", "-")
    hits = json.load(io.StringIO(result.stdout))["metrics"]["rankings"][0]["results"]
    (hit,) = [hit for hit in hits if hit["row_index"] == 7]
    assert hit["distance"] == len(hit["differ_index"]) + 1.5
    assert hit["path"] == "item 8"
    assert "rank" in result.stderr
