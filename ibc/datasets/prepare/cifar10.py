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

    classes = [name.decode() for name in _load(source, batches["batches.meta"])[b"label_names"]]
    with atomic_write(target) as handle, tarfile.open(fileobj=handle, mode="w") as tar:
        for split, files in _BATCHES.items():
            number = 0
            for file in files:
                batch = _load(source, batches[file])
                images = np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
                for pixels, label in zip(images, batch[b"labels"], strict=True):
                    buffer = io.BytesIO()
                    Image.fromarray(pixels).save(buffer, "PNG")
                    entry = tarfile.TarInfo(f"{split}/{classes[label]}/{number:05d}.png")
                    entry.size = buffer.tell()
                    buffer.seek(0)
                    tar.addfile(entry, buffer)
                    number += 1


class _ArraysOnly(pickle.Unpickler):
    """A pickle may run any code; this one may only build NumPy arrays and plain types."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return np.zeros(0).__reduce__()[0]
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):
            return codecs.encode
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _load(source: str, data: bytes) -> dict[bytes, Any]:
    try:
        return _ArraysOnly(io.BytesIO(data), encoding="bytes").load()
    except InputError:
        raise
    except Exception as error:  # a pickle of anything can fail in any way
        raise input_error(source, f"a batch that cannot be read ({error})", "the CIFAR-10 archive for Python",
                          "fetch it again from its official address") from None


DATA_SET = image_set(summary="CIFAR-10, downloaded through torchvision or from a given archive",
                     example="datasets/cifar10 --source cifar-10-python.tar.gz", options=Cifar10Options,
                     add_flags=_add_flags, plan=plan_cifar10)
