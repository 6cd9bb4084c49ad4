"""Results of a dissection, manifests and other notes that a command left, whatever is damaged in them."""

import copy
import io
import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ibc.codes import CodeSet
from ibc.commands.dissect_compare import _metrics, _say
from ibc.config import load_config
from ibc.data.broden.dataset import load_broden
from ibc.datasets.doctor.examination import _check_manifest
from ibc.datasets.doctor.findings import Findings
from ibc.datasets.prepare.pack import pack_folder
from ibc.dissection.outputs import finished, load_tally, read_thresholds, summary, write_results
from ibc.dissection.page.compare import compare, render
from ibc.dissection.page.layer_page import bars, unit_order
from ibc.dissection.pipeline import dissect
from ibc.dissection.resume import STATE_FILE, Interruptible, unfinished_key
from ibc.dissection.settings import DissectionSettings
from ibc.export.folder import claim_folder
from ibc.report.explorer.dissection import read_dissection
from ibc.report.explorer.thumbnails import write_sheets
from ibc.retrieval.bit_names import load_bit_names
from tests.dissection.data import Filters, write_broden
from tests.fuzz.damage import damaged, damaged_value, odd_values
from tests.fuzz.harness import each, fuzzed
from tests.small_run import make_run


@cache
def results() -> dict[str, bytes]:
    """Name -> content of the files of a small dissection."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_broden(folder / "broden", count=6)
        tally = dissect(Filters(), load_broden(folder / "broden"), DissectionSettings(
            null=2, quantile=0.1, top_n=2, workers=0, device="cpu"))
        write_results(folder, tally, 0.01)
        return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def npz(content: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **content)
    return buffer.getvalue()


def use_tally(folder: Path) -> None:
    tally = load_tally(folder)
    summary(tally, 0.01)
    bars(tally, 0.01)
    unit_order(tally, 0.01)
    render(compare(["a", "b"], [tally, tally], 0.01))
    (folder / "other").mkdir()
    (folder / "other" / "tally.npz").write_bytes(results()["tally.npz"])
    for tallies in ([tally, load_tally(folder / "other")], [load_tally(folder / "other"), tally]):
        result = compare(["a", "b"], tallies, 0.01)
        render(result)
        _say(lambda text="": None, result)
        _metrics(result)


@fuzzed(st.deferred(lambda: damaged([results()["tally.npz"], npz(dict(np.load(io.BytesIO(results()["tally.npz"]))))])))
def test_tally(data: bytes, folder: Path) -> None:
    (folder / "tally.npz").write_bytes(data)
    each(lambda: use_tally(folder), lambda: finished(folder, "x"))


def odd_arrays() -> st.SearchStrategy[Any]:
    return st.sampled_from([
        np.ones(3), np.array(1), np.ones((0, 2), np.int64), np.full((7, 3), 99), np.full((7, 3), -1), np.array("x"),
        np.array(["a", "b"]), np.ones((7, 2, 2)), np.full(7, np.nan), np.full(7, np.inf), np.full(7, 2**62),
        np.ones(7, np.complex64), np.ones(7, bool), np.ones(7, "M8[s]"), np.ones((7, 10**5), np.int8)])


@st.composite
def changed_tally(draw: st.DrawFn) -> bytes:
    with np.load(io.BytesIO(results()["tally.npz"])) as archive:
        content = dict(archive)
    text = draw(damaged_value([json.loads(str(content["text"]))]))
    content["text"] = np.array(draw(st.just(json.dumps(text).encode("ascii").decode()) | st.just("[" * 5000)))
    for _ in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from(sorted(set(content) - {"text"})))
        change = draw(st.sampled_from(("odd", "drop", "shape", "numbers")))
        if change == "odd":
            content[name] = draw(odd_arrays())
        elif change == "drop":
            del content[name]
        elif change == "shape" and content[name].ndim:
            content[name] = content[name][..., :-1]
        else:
            flat = content[name].copy().reshape(-1)
            if flat.size and flat.dtype.kind in "if" and flat.itemsize > 1:
                flat[draw(st.integers(0, flat.size - 1))] = draw(st.sampled_from((-1, 99, 2**31, -2**31)))
            content[name] = flat.reshape(content[name].shape)
    return npz(content)


@fuzzed(st.deferred(changed_tally))
def test_tally_content(data: bytes, folder: Path) -> None:
    (folder / "tally.npz").write_bytes(data)
    use_tally(folder)


@fuzzed(st.deferred(lambda: damaged_value([json.loads(results()["tally.json"])])))
def test_tally_json(value: Any, folder: Path) -> None:
    (folder / "tally.json").write_text(json.dumps(value))
    units = len(json.loads(results()["tally.json"])["units"])
    codes = CodeSet(np.full((2, units), 0.2, np.float32), np.zeros((2, 1), np.float32), None, ["a", "b"])
    each(lambda: load_bit_names(folder, units), lambda: read_dissection(folder, codes, "codes.npz"))


@fuzzed(st.deferred(lambda: damaged([results()["quantile.npy"]])),
        examples=[b"\x93NUMPY\x01\0v\0{'descr': '<f8', 'fortran_order': False, 'shape': (7,(, }" + b" " * 60 + b"\n"])
def test_thresholds(data: bytes, folder: Path) -> None:
    (folder / "q.npy").write_bytes(data)
    read_thresholds(folder / "q.npy")


@fuzzed(st.deferred(lambda: damaged([npz({"key": np.array("k"), "done": np.arange(9)})])))
def test_state_of_a_dissection(data: bytes, folder: Path) -> None:
    (folder / STATE_FILE).write_bytes(data)
    unfinished_key(folder)
    Interruptible(folder / STATE_FILE, "k").load()


@cache
def prepared() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="ibc-fuzz-"))
    make_run(folder, images=4)
    return folder


MANIFEST = {"data_set": "own", "class_num": 4, "lists": {"train.txt": {"images": 4, "sha256": "ab"},
                                                         "test.txt": {"images": 4, "sha256": "cd"}},
            "classes": ["a", "b", "c", "d"], "images": {"count": 4, "bytes": 9, "skipped": 0}, "notes": []}


@fuzzed(damaged_value([MANIFEST]).map(json.dumps).map(str.encode) | damaged([json.dumps(MANIFEST).encode()]),
        errors=(OSError,))
def test_manifest(data: bytes, folder: Path) -> None:
    shutil.copytree(prepared(), folder, dirs_exist_ok=True)
    (folder / "manifest.json").write_bytes(data)
    config = load_config(prepared() / "config.yaml", [f"data_folder={folder}"])
    each(lambda: pack_folder(folder, folder / "a.zip"), lambda: _check_manifest(config, Findings()), own=(OSError,))


EXPORT = {"files": {"codes.parquet": "ab", "bits.json": None}, "ibc": "1", "codes_sha256": "ab"}


@fuzzed(damaged_value([EXPORT]).map(json.dumps).map(str.encode) | damaged([json.dumps(EXPORT).encode()]))
def test_export_manifest(data: bytes, folder: Path) -> None:
    (folder / "export.json").write_bytes(data)
    claim_folder(folder, ["codes.parquet"], "ab")


SHEETS = {"sheet-0000-abcdefabcdef.jpg": [[1, "unreadable"]], "sheet-0001-abcdefabcdef.jpg": []}


@fuzzed(damaged_value([SHEETS]).map(json.dumps).map(str.encode) | odd_values().map(repr).map(
    lambda text: text.encode(errors="replace")), examples=[json.dumps({"s" * 300: []}).encode()])
def test_sheets(data: bytes, folder: Path) -> None:
    (folder / "sheets.json").write_bytes(data)
    files = [str(file) for file in sorted((prepared() / "images").iterdir())]
    made = write_sheets(folder, files, 32, np.arange(len(files)), 1)
    content = copy.copy(SHEETS)
    content[made.files[0]] = [[0, "x"]]
    (folder / "sheets.json").write_text(json.dumps(content))
    each(lambda: write_sheets(folder, files, 32, np.arange(len(files)), 1))
