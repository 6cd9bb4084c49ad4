"""``ibc prepare cifar10``: torchvision's download, the official archive, or a zip of train/<class>/ and test/<class>/.

The 32 px images are kept at their size (the loader enlarges them): JPEGs byte for byte, the pixels
of the official archive as PNG, without loss.
"""

from __future__ import annotations

import argparse
import codecs
import io
import os
import pickle
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ibc.datasets.building.archive import list_members, read_files
from ibc.datasets.building.download import torchvision_archive
from ibc.datasets.building.options import BuildOptions
from ibc.datasets.building.plan import PreparationPlan, describe_sources
from ibc.datasets.data_set import image_set
from ibc.datasets.prepare.folder import plan_folder
from ibc.errors import InputError, input_error
from ibc.files import atomic_write

_NAME = re.compile(rb"\w[\w -]*")  # of a class, which becomes a folder's
_FETCH = "fetch it again from its official address"
_BATCHES = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}


@dataclass(frozen=True, kw_only=True)
class Cifar10Options(BuildOptions):
    """source: the archive, or a folder of it; None: download it."""

    source: str | None = None


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", metavar="PATH", help="the archive, or a folder of it (default: download)")


def plan_cifar10(options: Cifar10Options) -> PreparationPlan:
    """The official split. The official archive's pixels go into a temporary tar of PNGs in the destination first.

    Raises InputError for a damaged archive, and where it cannot be downloaded.
    """
    source = options.source
    destination = Path(options.destination)
    if source is None:
        from torchvision.datasets import CIFAR10  # noqa: PLC0415 - torch, 2 s; only the download needs it

        source = torchvision_archive(CIFAR10.url, CIFAR10.filename, CIFAR10.tgz_md5, destination / "download")
    official = _official_batches(source)
    if not official:
        return plan_folder(source, "cifar10", seed=0, test_share=1 / 6)
    pixels = destination / ".prepare" / "pixels.tar"
    _write_pixels(source, official, pixels)
    plan = plan_folder(pixels, "cifar10", seed=0, test_share=0)
    plan.facts["source"] = describe_sources(source)
    plan.temporary.append(pixels)
    return plan


def _official_batches(source: str) -> dict[str, bytes]:
    """The pickled files of cifar-10-python.tar.gz by their base name; empty for any other source."""
    wanted = {name for names in _BATCHES.values() for name in names} | {"batches.meta"}
    members = list_members(source, wanted=lambda name: os.path.basename(name) in wanted)
    found = {os.path.basename(name): data for name, data in read_files(members).items()}
    if found and (missing := sorted(wanted - set(found))):
        raise input_error(source, f"no {missing[0]}", "the whole CIFAR-10 archive for Python", "fetch it again")
    return found


def _write_pixels(source: str, batches: dict[str, bytes], target: Path) -> None:
    """Write the images of the batches as a tar of PNGs, train/<class>/<number>.png."""
    from PIL import Image  # noqa: PLC0415 - --help needs no Pillow

    classes = _class_names(source, batches["batches.meta"])
    with atomic_write(target) as handle, tarfile.open(fileobj=handle, mode="w") as tar:
        for split, files in _BATCHES.items():
            number = 0
            for file in files:
                images, labels = _images(source, file, batches[file], len(classes))
                for pixels, label in zip(images, labels, strict=True):
                    buffer = io.BytesIO()
                    Image.fromarray(pixels).save(buffer, "PNG")
                    entry = tarfile.TarInfo(f"{split}/{classes[label]}/{number:05d}.png")
                    entry.size = buffer.tell()
                    buffer.seek(0)
                    tar.addfile(entry, buffer)
                    number += 1


def _class_names(source: str, data: bytes) -> list[str]:
    """The names of the classes, from ``batches.meta``. Raises InputError."""
    content = _load(source, data)
    names = content.get(b"label_names") if isinstance(content, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, bytes) and _NAME.fullmatch(name)
                                                           for name in names):
        raise input_error(source, "batches.meta without the names of the classes", "the CIFAR-10 archive for Python",
                          _FETCH)
    return [name.decode() for name in names]


def _images(source: str, file: str, data: bytes, class_num: int) -> tuple[np.ndarray, list[int]]:
    """(n, 32, 32, 3) uint8 and n class ids of a batch. Raises InputError."""
    content = _load(source, data)
    images, labels = (content.get(key) for key in (b"data", b"labels")) if isinstance(content, dict) else (None, None)
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != (3 * 32 * 32,):
        raise input_error(source, f"{file} without pixels", "rows of 3072 bytes under 'data'", _FETCH)
    if not isinstance(labels, list) or len(labels) != len(images) or not all(
            type(label) is int and 0 <= label < class_num for label in labels):
        raise input_error(source, f"{file} without a class for each image", f"numbers from 0 to {class_num - 1}",
                          _FETCH)
    return images.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels


class _ArraysOnly(pickle.Unpickler):
    """A pickle may run any code; this one may only build NumPy arrays and plain types."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return _empty_array
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):
            return codecs.encode
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _empty_array(kind: Any, shape: Any, code: Any) -> np.ndarray:
    """What NumPy's pickles begin an array with. Its content and shape come afterwards, and NumPy compares them."""
    if kind is not np.ndarray or shape != (0,):
        raise pickle.UnpicklingError("it asks for an array without content")
    return np.zeros(0, np.int8)


def _load(source: str, data: bytes) -> dict[bytes, Any]:
    try:
        return _ArraysOnly(io.BytesIO(data), encoding="bytes").load()
    except InputError:
        raise
    except Exception as error:  # a pickle of anything can fail in any way
        raise input_error(source, f"a batch that cannot be read ({error})", "the CIFAR-10 archive for Python",
                          _FETCH) from None


DATA_SET = image_set(summary="CIFAR-10, downloaded through torchvision or from a given archive",
                     example="datasets/cifar10 --source cifar-10-python.tar.gz", options=Cifar10Options,
                     add_flags=_add_flags, plan=plan_cifar10)
