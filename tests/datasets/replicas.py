"""Miniature copies of published data sets, in the exact formats they come in."""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

SYNSETS = [f"n{number:08d}" for number in (1440764, 1443537, 2123045, 3042490, 4251144, 7714571)]


def picture(seed: int, width: int = 300, height: int = 280, mode: str = "RGB") -> Image.Image:
    """Smooth colours with some texture, different for every seed."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 7, 3), dtype=np.uint8)).resize((width, height), Image.BICUBIC)
    noise = rng.integers(-12, 13, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(coarse, np.int16) + noise, 0, 255).astype(np.uint8)).convert(mode)


def encode(image: Image.Image, format: str = "JPEG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[0x0112] = orientation
    return block


def jpeg(seed: int, width: int = 300, height: int = 280) -> bytes:
    return encode(picture(seed, width, height), quality=85)


def write_tar(path: Path | io.BytesIO, files: dict[str, bytes], mode: str = "w") -> None:
    target = {"fileobj": path} if isinstance(path, io.BytesIO) else {"name": path}
    with tarfile.open(mode=mode, **target) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def tar_bytes(files: dict[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    write_tar(buffer, files, mode)
    return buffer.getvalue()


def write_zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def write_tree(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def cells(texts: list[str]) -> np.ndarray:
    """A MATLAB cell array, N x 1."""
    array = np.empty((len(texts), 1), dtype=object)
    array[:, 0] = texts
    return array


# --- ILSVRC2012 -----------------------------------------------------------------------------------


def ilsvrc_train_files(per_class: int = 3) -> dict[str, bytes]:
    """"n01440764/n01440764_1.JPEG" -> bytes."""
    return {f"{synset}/{synset}_{number}.JPEG": jpeg(100 * place + number)
            for place, synset in enumerate(SYNSETS) for number in range(1, per_class + 1)}


def ilsvrc_val_files(count: int = 18) -> dict[str, bytes]:
    return {f"ILSVRC2012_val_{number:08d}.JPEG": jpeg(5000 + number) for number in range(1, count + 1)}


def val_class(number: int) -> int:
    """Class id (place in SYNSETS) of validation image ``number``; every class in turn, backwards."""
    return (len(SYNSETS) - number) % len(SYNSETS)


def write_ilsvrc(folder: Path, per_class: int = 3, val: int = 18) -> None:
    """ILSVRC2012_img_train.tar (a tar of tars), ILSVRC2012_img_val.tar and the devkit."""
    folder.mkdir(parents=True, exist_ok=True)
    files = ilsvrc_train_files(per_class)
    inner = {f"{synset}.tar": tar_bytes({name.split("/")[1]: data for name, data in files.items()
                                         if name.startswith(synset)}) for synset in SYNSETS}
    write_tar(folder / "ILSVRC2012_img_train.tar", inner)
    write_tar(folder / "ILSVRC2012_img_val.tar", ilsvrc_val_files(val))
    write_devkit(folder / "ILSVRC2012_devkit_t12.tar.gz", val)


def write_devkit(path: Path, val: int = 18) -> None:
    """meta.mat as published: a struct array whose IDs are not in the order of the synsets; inner nodes at its end."""
    kind = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("gloss", "O"), ("num_children", "O"),
            ("children", "O"), ("wordnet_height", "O"), ("num_train_images", "O")]
    rows = [(len(SYNSETS) - place, synset, f"thing {place}, stuff", "a thing", 0, np.zeros((1, 0)), 0, 1300)
            for place, synset in enumerate(SYNSETS)]
    rows.append((len(SYNSETS) + 1, "n00001740", "entity", "all", 2, np.array([[1, 2]]), 3, 0))
    buffer = io.BytesIO()
    savemat(buffer, {"synsets": np.array([rows], dtype=kind).reshape(-1, 1)})
    truth = "".join(f"{len(SYNSETS) - val_class(number)}\n" for number in range(1, val + 1))
    write_tar(path, {"ILSVRC2012_devkit_t12/data/meta.mat": buffer.getvalue(),
                     "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt": truth.encode(),
                     "ILSVRC2012_devkit_t12/readme.txt": b"devkit"}, "w:gz")


def write_dataset_info(path: Path, attributes: int = 4) -> None:
    """dataset_info.mat as published: class and attributes, attributes only (2000), class only (2); 12 test images.

    Training image 1 of each class is of the first part, 2 of the second, 3 of the third.
    """
    rng = np.random.default_rng(0)
    names, labels, marks = [], [], []
    for part in (1, 2, 3):
        for place, synset in enumerate(SYNSETS):
            names.append(f"{synset}/{synset}_{part}.JPEG")
            labels.append(2000 if part == 2 else place)
            marks.append(np.full(attributes, 2) if part == 3 else rng.integers(-1, 2, attributes))
    test = list(range(1, 13))
    savemat(path, {
        "name_train": cells(names), "label_train": np.array(labels, np.uint16)[:, None],
        "attribute_train": np.array(marks, np.int16),
        "name_test": cells([f"ILSVRC2012_val_{number:08d}.JPEG" for number in test]),
        "label_test": np.array([val_class(number) for number in test], np.uint16)[:, None],
        "attribute_test": rng.integers(-1, 2, (len(test), attributes)).astype(np.int16),
        "info": cells([f"attribute {number}" for number in range(attributes)]),
    })


# --- SUN ------------------------------------------------------------------------------------------

SCENES = ["a/abbey", "a/apse/indoor", "b/beach"]
OUTSIDE = "z/zen_garden"  # a category of the attribute database that is not among the scenes


def sun_id(number: int) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return "sun_a" + "".join(letters[number // 26**power % 26] for power in range(4))


def write_sun(folder: Path, per_scene: int = 14, shared: int = 2, own: int = 3) -> dict[str, np.ndarray]:
    """The three archives; returns attribute image ("a/abbey/sun_...jpg") -> its published shares of votes.

    Each scene has ``per_scene`` images, ``shared`` of them also in the attribute database, which has
    ``own`` more of the scene, and as many outside of the scenes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scenes, extra, votes = {}, {}, {}
    number = 0
    for scene in SCENES:
        for place in range(per_scene + own):
            name, data = f"{scene}/{sun_id(number)}.jpg", jpeg(number)
            if place < per_scene:
                scenes[name] = data
            if place < shared or place >= per_scene:
                extra[name] = data
            number += 1
    for _ in range(own):
        extra[f"{OUTSIDE}/{sun_id(number)}.jpg"] = jpeg(number)
        number += 1
    rng = np.random.default_rng(1)
    for name in extra:
        votes[name] = rng.integers(0, 4, 5) / 3
    write_tar(folder / "SUN397.tar.gz", {
        "SUN397/ClassName.txt": "".join(f"/{scene}\n" for scene in SCENES).encode(),
        **{f"SUN397/{name}": data for name, data in scenes.items()}}, "w:gz")
    write_tar(folder / "SUNAttributeDB_Images.tar.gz", {f"images/{name}": data for name, data in extra.items()}, "w:gz")
    tables = {"images.mat": {"images": cells(list(votes))},
              "attributes.mat": {"attributes": cells(["sailing/ boating", "ocean", "trees", "man-made", "open area"])},
              "attributeLabels_continuous.mat": {"labels_cv": np.array(list(votes.values()))}}
    mats = {}
    for name, table in tables.items():
        buffer = io.BytesIO()
        savemat(buffer, table)
        mats[f"SUNAttributeDB/{name}"] = buffer.getvalue()
    write_tar(folder / "SUNAttributeDB.tar.gz", mats, "w:gz")
    return votes


# --- CIFAR-10, Caltech-101 ------------------------------------------------------------------------


def write_cifar10(path: Path, per_batch: int = 4) -> dict[str, np.ndarray]:
    """cifar-10-python.tar.gz; returns "train"/"test" -> (N, 3, 32, 32) pixels in file order."""
    rng = np.random.default_rng(3)
    names = [b"airplane", b"automobile", b"bird"]
    files = {"batches.meta": {b"label_names": names, b"num_vis": 3072}}
    pixels = {}
    for batch in [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]:
        data = rng.integers(0, 256, (per_batch, 3072), dtype=np.uint8)
        pixels.setdefault("test" if batch == "test_batch" else "train", []).append(data.reshape(-1, 3, 32, 32))
        files[batch] = {b"batch_label": batch.encode(), b"labels": [place % 3 for place in range(per_batch)],
                        b"data": data, b"filenames": [b"x.png"] * per_batch}
    write_tar(path, {f"cifar-10-batches-py/{name}": pickle.dumps(value, protocol=2)
                     for name, value in files.items()}, "w:gz")
    return {split: np.concatenate(parts) for split, parts in pixels.items()}


def write_caltech101(path: Path, per_class: int = 33) -> None:
    """caltech-101.zip as published: a tar.gz of the images inside."""
    files = {f"101_ObjectCategories/{label}/image_{number:04d}.jpg": jpeg(1000 * place + number, 80, 60)
             for place, label in enumerate(("BACKGROUND_Google", "Faces", "accordion"))
             for number in range(1, per_class + 1)}
    write_zip(path, {"caltech-101/101_ObjectCategories.tar.gz": tar_bytes(files, "w:gz"),
                     "caltech-101/Annotations.tar": tar_bytes({"Annotations/x/annotation_0001.mat": b"x"}),
                     "caltech-101/show_annotation.m": b"% m"})
