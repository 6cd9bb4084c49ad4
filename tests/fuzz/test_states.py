"""What commands find in folders and may read again: manifests, journals, tables of a dissection, TensorBoard's logs."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from ibc.codes import CodeSet
from ibc.config import load_config
from ibc.datasets.concept_scenes.dataset import _finished, _read_journal
from ibc.datasets.concept_scenes.settings import SceneSettings
from ibc.datasets.doctor.examination import _check_manifest
from ibc.datasets.doctor.findings import Findings
from ibc.export.folder import claim_folder
from ibc.report.explorer.dissection import read_dissection
from ibc.report.explorer.folder import _is_ours
from ibc.report.explorer.thumbnails import _read_state
from ibc.report.locate import read_scalars
from tests.conftest import ROOT
from tests.fuzz.damage import damaged, damaged_value
from tests.fuzz.harness import fuzzed

MANIFEST = {"lists": {"train.txt": {"images": 2, "sha256": "ab"}, "a\0b": {}, "\ud800": {}}, "class_num": 3,
            "images": {"files": 1}, "settings": {"seed": 0}}
TALLY = {"layer": "conv", "units": [{"unit": 1, "chance": [0.1], "best": {"object": {"label": "sky", "iou": 0.4}},
                                     "bit": {"correlation": 0.5}}]}
CODES = CodeSet(np.zeros((2, 3), np.float32), np.zeros((2, 1), np.float32), None, None)


def _text(value: Any) -> bytes:
    return json.dumps(value).encode(errors="surrogatepass")


def changed(value: object, **options: int):
    """JSON of the value with other parts in it, and with other bytes."""
    return damaged_value([value]).map(_text) | damaged([_text(value)], **options)


@fuzzed(changed(MANIFEST))
def test_manifest_for_doctor(data: bytes, folder: Path) -> None:
    (folder / "manifest.json").write_bytes(data)
    (folder / "train.txt").write_bytes(b"a.jpg 0\n")
    _check_manifest(load_config(ROOT / "configs" / "demo.yaml", [f"data_folder={folder}"]), Findings())


@fuzzed(changed(MANIFEST), errors=(OSError,))
def test_manifest_of_scenes(data: bytes, folder: Path) -> None:
    (folder / "manifest.json").write_bytes(data)
    _finished(folder, SceneSettings())


@fuzzed(damaged([b'["train", 1, ["a"], {"1": 2}]\n["test", 2, [], {}]\n']), errors=(OSError,))
def test_journal_of_scenes(data: bytes, folder: Path) -> None:
    (folder / ".unfinished").mkdir()
    (folder / ".unfinished" / "done.jsonl").write_bytes(data)
    list(_read_journal(folder))


@fuzzed(changed(TALLY))
def test_dissection_for_page(data: bytes, folder: Path) -> None:
    (folder / "tally.json").write_bytes(data)
    read_dissection(folder, CODES, "codes.npz")


@fuzzed(changed({"files": {"codes.parquet": "ab"}, "images": 3}))
def test_manifest_of_export(data: bytes, folder: Path) -> None:
    (folder / "export.json").write_bytes(data)
    claim_folder(folder, ["codes.parquet"], "ab")


@fuzzed(changed({"sheet-1.jpg": [[3, "not an image"]], "made_by": "ibc explore"}))
def test_state_of_page(data: bytes, folder: Path) -> None:
    for name in ("sheets.json", "explorer.json"):
        (folder / name).write_bytes(data)
    for file in folder.iterdir():
        _is_ours(file)
    _read_state(folder)


def _events() -> bytes:
    """A log of TensorBoard with two scalars, without its checksums' library."""
    import tempfile

    from torch.utils.tensorboard import SummaryWriter

    with tempfile.TemporaryDirectory() as folder:
        with SummaryWriter(folder) as writer:
            for step in range(3):
                writer.add_scalar("loss", 0.5 / (step + 1), step)
        return next(Path(folder).iterdir()).read_bytes()


EVENTS = _events()


@fuzzed(damaged([EVENTS, EVENTS + struct.pack("<Q", 2**40)]), tries=20)
def test_scalars(data: bytes, folder: Path) -> None:
    (folder / "events.out.tfevents.1.host").write_bytes(data)
    read_scalars(folder)
