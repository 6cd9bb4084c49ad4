"""Broden-format data: photographs with label maps, and the tables that say what the labels mean.

A folder goes in (``index.csv``, ``category.csv``, ``label.csv``, ``c_<category>.csv``, ``images/``). Pixels and label
planes of one image at a time come out, and for every label its name and primary category. Only the tables are held in
memory.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from ibc.data.broden.tables import (
    CATEGORIES,
    CATEGORY_TABLE,
    INDEX_TABLE,
    LABEL_TABLE,
    MAX_LABEL,
    category_order,
    code_table,
    is_label,
    label_names,
    listed_coverage,
    path_below,
    primary_categories,
    read_table,
    split_cell,
    whole_number,
)
from ibc.data.decode import decode_image, read_image_file
from ibc.data.image_reader import UnreadableImage, open_image
from ibc.data.limits import RAISE, most_image_bytes, most_pixels
from ibc.data.zip_folder import read_bytes
from ibc.errors import InputError, input_error

INDEX_COLUMNS = ("image", "ih", "iw", "sh", "sw")
LONGEST_SIDE = 2**14  # of a label map, pixels: a longer one is a typing error


class BrodenImage(NamedTuple):
    """One row of the index.

    image: path below ``images/``. line: line in the index. size: (height, width) of the stored image in pixels (ih,
    iw). map_size: (height, width) of its label maps (sh, sw). planes: each the path of a PNG, or the number of a label
    that fills the whole plane. scalars: labels of the whole image.
    """

    image: str
    line: int
    size: tuple[int, int]
    map_size: tuple[int, int]
    planes: tuple[str | int, ...]
    scalars: tuple[int, ...]


@dataclass
class Broden:
    """The images with at least one label in the chosen categories, in the order of the index.

    categories: the chosen ones, in the order of ``category.csv``. names: L label names by number; 0 and unused numbers
    have the name "". primary: (L,) int64, the place in ``categories`` of each label's primary category. absent: chosen
    categories that this data set does not have. dropped: how many images of the index have no label in the chosen
    categories.
    """

    folder: Path
    index_file: str
    records: list[BrodenImage]
    categories: list[str]
    names: list[str]
    primary: np.ndarray
    absent: list[str]
    dropped: int = 0
    known: str = field(default="", repr=False, compare=False)  # the last ``fingerprint``

    def __len__(self) -> int:
        return len(self.records)

    @property
    def image_sizes(self) -> list[tuple[int, int]]:
        """The different (height, width) of the stored images."""
        return list(dict.fromkeys(record.size for record in self.records))

    @property
    def label_count(self) -> int:
        """L, the highest label number + 1."""
        return len(self.names)

    def path(self, name: str) -> Path:
        """The file of an image or a label map."""
        return self.folder / "images" / name

    def read_image(self, index: int, decoder: str = "pillow") -> Tensor:
        """(3, H, W) uint8 RGB, upright. Raises InputError where it is missing, broken or of another size.

        decoder: ``pillow``, or ``turbo``, which gives the same pixels in half the time but has to load torchvision.
        """
        record = self.records[index]
        path = f"{self.folder}/images/{record.image}"
        try:
            image = decode_image(read_image_file(path), decoder, path)
        except InputError as error:
            reason = str(error).partition("; ")[0]  # the decoder's own advice is for other commands
            raise InputError(f"{self.folder / self.index_file}:{record.line}: {reason}; unpack the data set again"
                             ) from None
        if tuple(image.shape[-2:]) != record.size:
            raise input_error(self._where(record, record.image), _pixels(image.shape[-2:]), _pixels(record.size),
                              "mend ih and iw, or the picture")
        return image

    def read_planes(self, index: int) -> np.ndarray:
        """(P, sh, sw) uint16 label planes, 0 for none; P may be 0. Labels of the whole image are not among them.

        Raises InputError where a label map is missing, broken, of another size, or holds a label that is not listed.
        """
        record = self.records[index]
        planes = [np.full(record.map_size, source, np.uint16) if isinstance(source, int) else
                  self._read_plane(record, source) for source in record.planes]
        return np.stack(planes) if planes else np.zeros((0, *record.map_size), np.uint16)

    def _read_plane(self, record: BrodenImage, name: str) -> np.ndarray:
        """One label plane, (sh, sw) uint16, from a PNG: label = R + 256 G."""
        try:
            with open_image(read_bytes(f"{self.folder}/images/{name}", regular=True, most=most_image_bytes())) as image:
                mode = image.mode
                pixels = np.asarray(image if mode == "RGB" else image.convert("RGB"))
        except FileNotFoundError:
            raise input_error(self._where(record, name), "no such file", "a label map",
                              "unpack the data set again") from None
        except (UnreadableImage, OSError, InputError) as error:
            raise input_error(self._where(record, name), f"a broken picture ({error})", "a PNG label map",
                              "unpack the data set again") from None
        if mode not in ("RGB", "RGBA", "P"):
            raise input_error(self._where(record, name), f"a picture of mode {mode}", "RGB, label = R + 256 G")
        if pixels.shape[:2] != record.map_size:
            raise input_error(self._where(record, name), _pixels(pixels.shape[:2]),
                              f"{_pixels(record.map_size)}, sh and sw of its row")
        plane = pixels[..., 1].astype(np.uint16)
        plane <<= 8
        plane |= pixels[..., 0]
        highest = int(plane.max(initial=0))
        if highest >= self.label_count:
            raise input_error(self._where(record, name), f"label {highest}",
                              f"labels up to {self.label_count - 1}, the last of label.csv")
        return plane

    def _where(self, record: BrodenImage, name: str) -> str:
        return f"{self.folder / self.index_file}:{record.line}: {self.path(name)}"

    def fingerprint(self) -> str:
        """A hash of the tables and of the name, size and time of change of every file that is used.

        Raises InputError that names the first file that is missing, and says how many are.
        """
        digest = hashlib.sha256()
        tables = [self.index_file, CATEGORY_TABLE, LABEL_TABLE, *(code_table(name) for name in self.categories)]
        for name in tables:
            digest.update(f"{name}\0".encode())
            digest.update((self.folder / name).read_bytes())
        missing: list[tuple[BrodenImage, str]] = []
        root = os.fspath(self.folder / "images")
        for record in self.records:
            for name in (record.image, *(item for item in record.planes if isinstance(item, str))):
                try:
                    state = os.stat(f"{root}/{name}")
                except OSError:
                    missing.append((record, name))
                else:
                    digest.update(f"{name}\0{state.st_size}\0{state.st_mtime_ns}\0".encode("utf-8", "surrogateescape"))
        if missing:
            others = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise input_error(self._where(*missing[0]), f"no such file{others}",
                              "every file that the index names", "unpack the data set again")
        self.known = digest.hexdigest()
        return self.known

    def check_unchanged(self) -> None:
        """Raise InputError where a file changed since ``fingerprint`` was asked for."""
        before = self.known
        if before and self.fingerprint() != before:
            raise input_error(self.folder, "files that changed during the dissection", "the same ones throughout",
                              "nothing of it was kept; the same command starts anew")


def load_broden(folder: str | os.PathLike, categories: Sequence[str] = CATEGORIES,
                index_file: str = INDEX_TABLE) -> Broden:
    """Read the tables of a folder in Broden format.

    ``categories`` that ``category.csv`` does not list go to ``absent``; one that it lists and that is not a column of
    the index is an error. Images without a label in the chosen categories are left out. Raises InputError with file and
    line for anything that cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise input_error(folder, "no such folder", "a folder with index.csv, category.csv, label.csv and images/",
                          "see: ibc prepare broden --help")
    chosen = category_order(folder / CATEGORY_TABLE, categories)
    names = label_names(folder / LABEL_TABLE)
    coverage = [listed_coverage(folder / code_table(name), len(names)) for name in chosen]
    records, dropped = _read_index(folder / index_file, chosen, names)
    return Broden(folder, index_file, records, chosen, names, primary_categories(coverage, len(names)),
                  [name for name in categories if name not in chosen], dropped)


def _read_index(path: Path, categories: list[str], names: list[str]) -> tuple[list[BrodenImage], int]:
    records, dropped = [], 0
    for line, row in read_table(path, (*INDEX_COLUMNS, *categories)):
        planes: list[str | int] = []
        scalars: list[int] = []
        for category in categories:
            entries = [_entry(path, line, text, names) for text in split_cell(row[category])]
            if any(isinstance(entry, str) for entry in entries):
                planes += [entry for entry in entries if entry != 0]
            else:
                scalars += [entry for entry in entries if isinstance(entry, int) and entry != 0]
        if not planes and not scalars:
            dropped += 1
            continue
        size = tuple(whole_number(path, line, key, row[key], 1) for key in ("ih", "iw"))
        map_size = tuple(whole_number(path, line, key, row[key], 1, LONGEST_SIDE) for key in ("sh", "sw"))
        if len(planes) * math.prod(map_size) > most_pixels():
            raise input_error(path, f"{len(planes)} label maps of {map_size[0]} x {map_size[1]} pixels",
                              f"at most {most_pixels()} pixels in all", RAISE, line=line)
        image = path_below(path, line, row["image"])
        records.append(BrodenImage(image, line, size, map_size, tuple(planes), tuple(scalars)))  # type: ignore[arg-type]
    if not records:
        raise input_error(path, "no image with a label in the chosen categories", f"labels in {', '.join(categories)}")
    return records, dropped


def _entry(path: Path, line: int, text: str, names: list[str]) -> str | int:
    """A label number, or the path of a label map."""
    if not is_label(text):
        return path_below(path, line, text)
    number = whole_number(path, line, "label", text, 0, MAX_LABEL)
    if number >= len(names) or (number and not names[number]):
        raise input_error(path, f"label {number}", "a number listed in label.csv", line=line)
    return number


def _pixels(size: Sequence[int]) -> str:
    return f"{size[0]} x {size[1]} pixels"
