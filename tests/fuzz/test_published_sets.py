"""What data sets are published as: folders' names, CIFAR's pickles, the devkit, Kaggle's table, SUN's matrices."""

import io
import json
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy.io import savemat

from ibc.datasets.building.build import _check_settings, _read_done
from ibc.datasets.building.ilsvrc import find_ilsvrc
from ibc.datasets.building.layout import read_layout
from ibc.datasets.building.plan import PreparationPlan, name_stems
from ibc.datasets.prepare.caltech101 import Caltech101Options, plan_caltech101
from ibc.datasets.prepare.cifar10 import Cifar10Options, plan_cifar10
from ibc.datasets.prepare.folder import FolderOptions, plan_folder
from ibc.datasets.prepare.imagenet100 import ImageNet100Options, plan_imagenet100
from ibc.datasets.prepare.imagenet150k import read_definition
from ibc.datasets.prepare.pack import pack_folder
from ibc.datasets.prepare.sun import SunOptions, plan_sun
from tests.fuzz.damage import damaged, damaged_value, odd_texts
from tests.fuzz.harness import each, fuzzed

NAMES = ["train", "test", "val", "images", "cats", "dogs", "a.jpg", "b.png", "annotations", "class", "1", "x.txt",
         "seg_train"]
odd_names = odd_texts().map(lambda text: text.replace("/", "_").replace("\0", "_")[:200]).filter(
    lambda text: text not in ("", ".", ".."))


@fuzzed(st.lists(st.lists(st.sampled_from(NAMES) | odd_names, min_size=1, max_size=5).map("/".join), max_size=8,
                 unique=True), tries=100)
def test_folder_names(paths: list[str], folder: Path) -> None:
    for by_class in (True, False):
        layout = read_layout(paths, by_class)
        assert set(layout.places) | set(layout.left_out) <= set(paths)
    assert len(set(name_stems(paths))) == len(paths)


@fuzzed(st.lists(st.lists(st.sampled_from(NAMES) | odd_names, min_size=1, max_size=5).map("/".join), max_size=6))
def test_folder_on_disk(paths: list[str], folder: Path) -> None:
    source = folder / "src"
    source.mkdir()
    for path in paths:
        target = source / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(b"\xff\xd8\xff")
        except (OSError, ValueError):
            continue  # a name that no file can have
    each(*(lambda share=share: plan_folder(source, "x", seed=0, test_share=share) for share in (0.1, 0.0, 1.0)))


@fuzzed(st.floats() | st.sampled_from((1.5, -0.1, float("inf"))))
def test_test_share(share: float, folder: Path) -> None:
    for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg"):
        (folder / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "src" / name).write_bytes(b"\xff\xd8\xff")
    FolderOptions(source="src", destination="x", test_share=share)
    plan_folder(folder / "src", "x", seed=0, test_share=share)


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


META = {b"label_names": [b"bird", b"cat"]}
BATCH = {b"data": np.arange(2 * 3072, dtype=np.uint8).reshape(2, 3072), b"labels": [0, 1]}
PICKLES = [pickle.dumps(value, protocol) for value in (META, BATCH) for protocol in (0, 2, 4)]
CIFAR = {f"c/{name}": pickle.dumps(META if name == "batches.meta" else BATCH, 2)
         for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")}


@fuzzed(st.tuples(st.sampled_from(("c/data_batch_1", "c/batches.meta")),
                  damaged(PICKLES, header=200)
                  | damaged_value([META, BATCH]).map(lambda value: pickle.dumps(value, 2))))
def test_cifar10(value: tuple[str, bytes], folder: Path) -> None:
    (folder / "cifar.tar").write_bytes(_tar({**CIFAR, value[0]: value[1]}))
    plan_cifar10(Cifar10Options(source=str(folder / "cifar.tar"), destination=str(folder / "out")))


def _mat(**variables: Any) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, variables)
    return buffer.getvalue()


def _cells(*texts: str) -> np.ndarray:
    return np.array(texts, dtype=object).reshape(-1, 1)


SYNSETS = np.zeros(2, dtype=[(name, object) for name in ("ILSVRC2012_ID", "WNID", "words", "num_children")])
for place, synset in enumerate(("n01440764", "n01443537")):
    SYNSETS[place] = (place + 1, synset, "tench", 0)
DEVKIT = {"meta.mat": _mat(synsets=SYNSETS), "ILSVRC2012_validation_ground_truth.txt": b"1\n2\n1\n",
          "LOC_val_solution.csv": b"ImageId,PredictionString\nILSVRC2012_val_00000001,n01440764 1 2 3 4\n"}
IMAGES = {f"{name}.JPEG": b"\xff\xd8\xff" for name in ("n01440764_1", "n01443537_2", "ILSVRC2012_val_00000001",
                                                       "ILSVRC2012_val_00000002")}


@fuzzed(st.booleans().flatmap(lambda kaggle: st.sampled_from(sorted(DEVKIT)).flatmap(lambda name: st.tuples(
    st.just(kaggle), st.just(name), damaged([DEVKIT[name], *([] if name.endswith("mat") else [b"1\n\xb2\n"])])))),
    examples=[(True, "LOC_val_solution.csv", b"a,b\n1,2\n"),
              (False, "ILSVRC2012_validation_ground_truth.txt", b"\xb2\n")])
def test_ilsvrc(value: tuple[bool, str, bytes], folder: Path) -> None:
    kaggle, damaged_name, data = value
    for name, content in {**IMAGES, **DEVKIT, damaged_name: data}.items():
        if not (kaggle and name == "meta.mat"):
            (folder / name).write_bytes(content)
    each(lambda: find_ilsvrc([folder]), lambda: plan_imagenet100(ImageNet100Options(
        source=[str(folder)], destination="x")))


@fuzzed(damaged([b"n01440764 tench\n# two\nn01443537\n"]))
def test_class_list(data: bytes, folder: Path) -> None:
    (folder / "classes").write_bytes(data)
    for name, content in {**IMAGES, **DEVKIT}.items():
        (folder / name).write_bytes(content)
    plan_imagenet100(ImageNet100Options(source=[str(folder)], destination="x", classes=str(folder / "classes")))


SUN = {"images.mat": _mat(images=_cells("a/abbey/sun_aaaa.jpg", "b/bar/sun_bbbb.jpg")),
       "attributes.mat": _mat(attributes=_cells("sea", "sand", "sun")),
       "attributeLabels_continuous.mat": _mat(labels_cv=np.array([[0, 1 / 3, 1], [np.nan, 2 / 3, 0]])),
       "ClassName.txt": b"/a/abbey\n/b/bar\n"}


@fuzzed(st.sampled_from(sorted(SUN)).flatmap(lambda name: st.tuples(st.just(name), damaged([SUN[name]]))), examples=[
    ("attributeLabels_continuous.mat", _mat(labels_cv=np.full((2, 3), value))) for value in (np.inf, 1.5, -1.0)] + [
    ("ClassName.txt", b"abbey\n"), ("images.mat", _mat(images=np.zeros((2, 1)))),
    ("attributes.mat", _mat(attributes=_cells("a", "b"))),
    ("attributeLabels_continuous.mat", _mat(labels_cv=_cells("a", "b")))])
def test_sun(value: tuple[str, bytes], folder: Path) -> None:
    for name in ("a/abbey/sun_aaaa.jpg", "b/bar/sun_bbbb.jpg"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(b"\xff\xd8\xff")
    for name, content in {**SUN, value[0]: value[1]}.items():
        (folder / name).write_bytes(content)
    plan_sun(SunOptions(source=[str(folder)], destination="x"))


DEFINITION = {"name_train": _cells("n01440764/n01440764_1.JPEG", "n01443537/n01443537_2.JPEG"),
              "name_test": _cells("ILSVRC2012_val_00000001.JPEG"), "label_train": np.array([[0, 1]]),
              "label_test": np.array([[1]]), "attribute_train": np.array([[0, 1], [2, -1]]),
              "attribute_test": np.array([[1, 0]]), "info": _cells("red", "round")}


@fuzzed(damaged([_mat(**DEFINITION)], header=3000), examples=[
    _mat(**{**DEFINITION, **change}) for change in (
        {"label_test": np.array([[np.inf]])}, {"label_train": np.array([[0, 99]])},
        {"attribute_test": np.array([[9, 0]])},
        {"name_test": _cells("../x.JPEG")}, {"name_train": np.array([[1.0, 2.0]])}, {"label_test": _cells("a")},
        {"label_test": np.array([[7]])})])
def test_definition(data: bytes, folder: Path) -> None:
    (folder / "dataset_info.mat").write_bytes(data)
    read_definition(folder / "dataset_info.mat")


@fuzzed(st.lists(st.lists(st.sampled_from(("101_ObjectCategories", "bee", "ant", "image_0001.jpg", "BACKGROUND_Google"))
                          | odd_texts(), min_size=1, max_size=4).map("/".join), max_size=6))
def test_caltech101(names: list[str], folder: Path) -> None:
    (folder / "caltech.tar").write_bytes(_tar({name: b"\xff\xd8\xff" for name in names if len(name) < 200
                                               and name.isprintable()}))
    plan_caltech101(Caltech101Options(source=str(folder / "caltech.tar"), destination=str(folder / "out")))


SETTINGS = {"data set": "mine", "--size": 256, "--quality": 95, "--link": False}


@fuzzed(st.tuples(damaged([b"a,1:2,.jpg,kept,4\r\n\"b,c\",1,.png,converted,5,CMYK to RGB\r\n"]),
                  damaged_value([SETTINGS]).map(lambda value: json.dumps(value).encode(errors="surrogatepass"))
                  | damaged([json.dumps(SETTINGS).encode()])),
        examples=[(b"a,1:2,.jpg,kept,4\r\n" + bytes(200_000), b"[]"), (b"a," + b"x" * 200_000, b"{}")])
def test_state_of_preparation(value: tuple[bytes, bytes], folder: Path) -> None:
    (folder / ".prepare").mkdir()
    (folder / ".prepare" / "done.csv").write_bytes(value[0])
    (folder / ".prepare" / "settings.json").write_bytes(value[1])
    plan = PreparationPlan("mine", "")
    options = FolderOptions(source="x", destination=str(folder))
    each(lambda: _read_done(folder, plan, True), lambda: _read_done(folder, plan, False),
         lambda: _check_settings(folder, plan, options))


@fuzzed(damaged_value([{"lists": {"train.txt": {"images": 2}}, "class_num": 2}]).map(json.dumps) | odd_texts(),
        errors=(OSError,))
def test_manifest_of_pack(text: str, folder: Path) -> None:
    source = folder / "src"
    source.mkdir()
    (source / "manifest.json").write_bytes(text.encode(errors="surrogatepass"))
    (source / "train.txt").write_text("a.jpg 0\n")
    (source / "a.jpg").write_bytes(b"\xff\xd8\xff")
    pack_folder(source, folder / "out.zip")
