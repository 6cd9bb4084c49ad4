"""``prepare cifar10``: torchvision's download, the official archive, or a zip with train/<class>/ and test/<class>/.

The 32 px images are kept at their size (the loader enlarges them): JPEGs byte for byte, the pixels
of the official archive as PNG, without loss.
"""

from __future__ import annotations

import io
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from ibc.datasets.prepare.archive import list_members, read_files
from ibc.datasets.prepare.download import torchvision_archive
from ibc.datasets.prepare.folder import plan_folder
from ibc.datasets.prepare.plan import Plan, describe_sources
from ibc.errors import InputError, input_error
from ibc.files import atomic_write

_BATCHES = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}


def plan_cifar10(source: str | None, destination: Path) -> Plan:
    """The plan for a given archive (or folder), or for the one torchvision downloads."""
    if source is None:
        from torchvision.datasets import CIFAR10

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
    """The batches as a tar of PNGs, train/<class>/<number>.png."""
    from PIL import Image

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
            import codecs

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
