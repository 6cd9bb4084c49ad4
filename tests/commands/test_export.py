"""``ibc export``: files, printed SQL, notes, and one line for bad input."""

import contextlib
import csv
import json
import sys

import numpy as np
import pytest
import torch

from ibc.checkpoint import save_checkpoint
from ibc.codes import save_codes
from ibc.config import ModelConfig
from ibc.network import IBC
from ibc.retrieval import search
from tests.export.small_codes import make_codes
from tests.export.test_sql import section
from tests.small_run import error_of, run

pq = pytest.importorskip("pyarrow.parquet")
duckdb = pytest.importorskip("duckdb")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """codes.npz of 64 bits, a dissection, names, and a checkpoint."""
    folder = tmp_path_factory.mktemp("material")
    (folder / "classes.txt").write_text("tree\nsea\nhouse\nroad\n")
    with open(folder / "units.csv", "w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["unit", "category", "concept", "iou", "chance", "beats_chance"])
        writer.writerows([[3, "scene", "sea-s", 0.3, 0.1, 1], [9, "scene", "sea-s", 0.2, 0.1, 1],
                          [5, "object", "<img onerror=x>", 0.1, 0.2, 0]])
    torch.manual_seed(0)
    model = IBC(ModelConfig(64, 4, 0.0, pretrained="none", fc_dim=16))
    codes = make_codes(64)
    codes.grm = model.grm.detach().numpy()
    save_codes(folder / "codes.npz", codes)
    save_checkpoint(folder, model, 1, {"crop_image_height": 72, "crop_image_width": 80})
    save_checkpoint(folder / "other", IBC(ModelConfig(16, 4, 0.0, pretrained="none", fc_dim=16)), 1, {})
    return folder


def export(*arguments):
    return run("ibc/commands/export.py", *arguments)


def test_files_and_sql_of_concepts(folder, tmp_path):
    result = export(folder / "codes.npz", "-o", tmp_path / "e", "--item", "8", "--concepts", "sea", "--dissection",
                    folder / "units.csv", "--class_names", folder / "classes.txt", "--top", 20)
    assert result.returncode == 0, result.stderr
    assert sorted(entry.name for entry in (tmp_path / "e").iterdir()) == [
        "bits.parquet", "codes.parquet", "export.json", "search.sql"]
    text = (tmp_path / "e" / "search.sql").read_text()
    assert text in result.stdout + "\n" and "-- 2 of 64 bits: 3, 9" in text and "a b/ü'7\".jpg" in text
    with contextlib.chdir(tmp_path / "e"), duckdb.connect(config={"threads": 1}) as connection:
        load, select = section(text, "DuckDB")
        connection.execute(load)
        found = connection.execute(select).fetchall()
    bits = make_codes(64).bits
    wanted = search(bits, bits[7:8], bits=[2, 8], top=20)
    assert [row[0] for row in found] == wanted.rows[0].tolist()
    assert [row[2] for row in found] == wanted.distances[0].tolist()
    concepts = pq.read_table(tmp_path / "e" / "bits.parquet").to_pydict()["concept"]
    assert concepts[2] == concepts[8] == "sea" and concepts[4] == "<img onerror=x>" and len(concepts) == 64


def test_everything_once(folder, tmp_path):
    for name in ("faiss", "onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(name)
    result = export(folder / "codes.npz", "-o", tmp_path, "--parquet", "--sql", "--csv", "--faiss", "--onnx",
                    "--checkpoint", folder, "--dissection", folder / "units.csv", "--json", tmp_path.parent / "e.json")
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path.parent / "e.json").read_text())
    assert [entry["path"].split("/")[-1] for entry in report["inputs"]] == ["codes.npz", "units.csv",
                                                                            "checkpoint_00000001.pt"]
    metrics = report["metrics"]
    assert list(metrics["bytes"]) == ["codes.parquet", "bits.parquet", "codes.csv", "codes.faiss", "encoder.onnx",
                                      "search.sql"]
    assert metrics["images"] == 300 and metrics["onnx_largest_difference"] <= 1e-5
    assert set(json.loads((tmp_path / "export.json").read_text())["files"]) == set(metrics["bytes"])
    import onnxruntime
    session = onnxruntime.InferenceSession(tmp_path / "encoder.onnx", providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", 3, 72, 80]
    assert json.loads(session.get_modelmeta().custom_metadata_map["bit_names"])[0]["concept"] == "sea"


def test_odd_file_names(tmp_path):
    codes = make_codes(16)
    codes.paths[0] = "a\n'\udcff.jpg"
    save_codes(tmp_path / "codes.npz", codes)
    result = export(tmp_path / "codes.npz", "-o", tmp_path / "e", "--parquet", "--sql", "--csv")
    assert result.returncode == 0, result.stderr
    assert "item 1 (a '\\xff.jpg), all bits" in (tmp_path / "e" / "search.sql").read_text()


def test_parts_of_one_table(folder, tmp_path):
    for part in range(2):
        flags = ["--item", "8", "--first_id", 300 * part, "--top", 10]
        assert export(folder / "codes.npz", "-o", tmp_path / f"part{part}", *flags).returncode == 0
    text = (tmp_path / "part0" / "search.sql").read_text()
    with contextlib.chdir(tmp_path), duckdb.connect(config={"threads": 1}) as connection:
        search_parts = section(text, "DuckDB")[1].replace("FROM codes", "FROM 'part*/codes.parquet'")
        found = [row[0] for row in connection.execute(search_parts).fetchall()]
    bits = np.concatenate([make_codes(64).bits] * 2)
    assert found == search(bits, bits[7:8], top=10).rows[0].tolist()


def test_undecided_bits_are_counted(tmp_path):
    codes = make_codes(16)
    codes.binary_codes[0, :2] = codes.binary_codes[9, 4] = 0.5
    save_codes(tmp_path / "codes.mat", codes)
    result = export(tmp_path / "codes.mat", "-o", tmp_path / "e")
    assert "note: 3 bits of exactly 0.5 are undecided; they are written as 0" in result.stdout
    assert "-- 14 of 16 bits: 3, 4," in result.stdout
    assert json.loads((tmp_path / "e" / "export.json").read_text())["undecided_bits"] == 3


@pytest.mark.parametrize(("flags", "message"), [
    (["--item", "301"], "found item 301, expected 1 to 300"),
    (["--item", "no.jpg"], "found no image 'no.jpg'"),
    (["--item", "0"], "found item 0"),
    (["--bits", "65"], "bits from 1 to 64"),
    (["--bits", ""], "bit list"),
    (["--top", "0"], "--top: found 0"),
    (["--min_iou", "2"], "--min_iou: found 2"),
    (["--first_id", "-1"], "--first_id: found -1"),
    (["--concepts", "sea"], "--concepts: found no --dissection"),
    (["--concepts", "sae", "--dissection", "{folder}/units.csv"], "near names: sea"),
    (["--concepts", ",", "--dissection", "{folder}/units.csv"], "--concepts: found ','"),
    (["--bits", "1", "--concepts", "sea"], "not allowed with"),
    (["--dissection", "{folder}/none"], "no such file"),
    (["--onnx"], "--onnx: found no --checkpoint"),
    (["--checkpoint", "{folder}"], "--checkpoint: found no --onnx"),
    (["--onnx", "--checkpoint", "{folder}/other"], "found a model of 16 bits, expected 64"),
    (["--onnx", "--checkpoint", "{folder}/other/none.pt"], "no such file"),
    (["--onnx", "--checkpoint", "{folder}", "--crop", "0", "9"], "--crop"),
    (["--class_names", "{folder}/none.txt"], "No such file"),
    (["--class_names", "{folder}/codes.npz"], "bytes that are not UTF-8"),
    (["--attribute_names", "{folder}/classes.txt"], "found 4 names, expected 2"),
    (["--multi_label", "--class_names", "{folder}/classes.txt"], "found 4 names, expected 3"),
])
def test_bad_flags_leave_no_folder(folder, tmp_path, flags, message):
    flags = [flag.replace("{folder}", str(folder)) for flag in flags]
    assert message in error_of(export(folder / "codes.npz", "-o", tmp_path / "e", *flags))
    assert not (tmp_path / "e").exists()


def test_another_models_dissection_or_checkpoint(folder, tmp_path):
    codes = make_codes(64)
    codes.model = "a" * 64
    save_codes(tmp_path / "codes.npz", codes)
    unit = {"unit": 1, "chance": [], "best": {"scene": {"label": "sea", "iou": 0.2}}}
    (tmp_path / "tally.json").write_text(json.dumps({"model": "b" * 64, "units": [unit]}))
    assert "the dissection of another model" in error_of(export(
        tmp_path / "codes.npz", "-o", tmp_path / "e", "--dissection", tmp_path / "tally.json"))
    assert "another model than that of" in error_of(export(
        tmp_path / "codes.npz", "-o", tmp_path / "e", "--onnx", "--checkpoint", folder))
    assert not (tmp_path / "e").exists()


def test_bad_codes(tmp_path):
    assert "none.npz" in error_of(export(tmp_path / "none.npz", "-o", tmp_path / "e"))
    (tmp_path / "codes.npz").write_text("no archive")
    assert "unreadable" in error_of(export(tmp_path / "codes.npz", "-o", tmp_path / "e"))
    save_codes(tmp_path / "codes.npz", make_codes(16))
    (tmp_path / "units.csv").write_text("unit,category,concept,iou\n17,scene,sea,0.3\n")
    assert "code length" in error_of(export(tmp_path / "codes.npz", "-o", tmp_path / "e", "--dissection",
                                            tmp_path / "units.csv"))


def test_a_query_without_a_decided_bit(tmp_path):
    codes = make_codes(16)
    codes.binary_codes[0] = np.float32(0.5)
    save_codes(tmp_path / "codes.npz", codes)
    assert "a mask of no bits" in error_of(export(tmp_path / "codes.npz", "-o", tmp_path / "e"))


def test_foreign_files_stay(folder, tmp_path):
    (tmp_path / "codes.parquet").write_text("mine")
    assert "which no export wrote" in error_of(export(folder / "codes.npz", "-o", tmp_path))
    assert (tmp_path / "codes.parquet").read_text() == "mine"


@pytest.mark.parametrize(("flag", "library"), [("--parquet", "pyarrow"), ("--faiss", "faiss"),
                                               ("--onnx", "onnxscript")])
def test_a_library_that_is_not_installed(folder, tmp_path, monkeypatch, flag, library):
    monkeypatch.setitem(sys.modules, library, None)
    flags = [flag, "--checkpoint", folder] if flag == "--onnx" else [flag]
    error = error_of(export(folder / "codes.npz", "-o", tmp_path / "e", *flags))
    assert f"no usable library '{library}'" in error and "pip install 'ibc[export]'" in error
    assert not (tmp_path / "e").exists()
