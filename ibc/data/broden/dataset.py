"""Broden-format data: photographs with label maps, and the tables that say what the labels mean.

A folder goes in (``index.csv``, ``category.csv``, ``label.csv``, ``c_<category>.csv``, ``images/``);
out come pixels and label planes of one image at a time, and for every label its name and primary
category. Nothing but the tables is held in memory.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ibc.data.broden.tables import (
    CATEGORIES,
    MAX_LABEL,
    category_order,
    label_names,
    listed_coverage,
    primary_categories,
    read_table,
    whole_number,
)
from ibc.data.zip_folder import read_bytes
from ibc.errors import InputError, input_error

if TYPE_CHECKING:
    from torch import Tensor

INDEX_COLUMNS = ("image", "ih", "iw", "sh", "sw")
LONGEST_SIDE = 2**14  # of a label map, pixels: what is longer is a slip of the pen


class Record(NamedTuple):
    """One row of the index.

    image: path under ``images/``. line: line in the index. size: (ih, iw) stored image, pixels.
    map_size: (sh, sw) label maps. planes: PNG paths or label numbers (constant planes).
    scalars: labels of the whole image.
    """

    image: str
    line: int
    size: tuple[int, int]
    map_size: tuple[int, int]
    planes: tuple[str | int, ...]
    scalars: tuple[int, ...]


@dataclass
class Broden:
    """Images with at least one label in the chosen categories, in index order.

    categories: chosen ones, in the order of ``category.csv``. names: (L,) label names by number;
    0 and unused numbers are "". primary: (L,) int64, place in ``categories`` of each label's
    primary category. absent: chosen categories that this data set does not have.
    dropped: images of the index without a label in the chosen categories.
    """

    folder: Path
    index_file: str
    records: list[Record]
    categories: list[str]
    names: list[str]
    primary: np.ndarray
    absent: list[str]
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.records)

    @property
    def image_sizes(self) -> list[tuple[int, int]]:
        """The different (height, width) of the stored images."""
        return list(dict.fromkeys(record.size for record in self.records))

    @property
    def label_count(self) -> int:
        """L: the highest label number + 1."""
        return len(self.names)

    def path(self, name: str) -> Path:
        return self.folder / "images" / name

    def read_image(self, index: int, decoder: str = "pillow") -> Tensor:
        """(3, H, W) uint8 RGB as stored. Raises InputError where it is missing, broken or of another size.

        decoder: ``turbo`` gives the same pixels in half the time, at the price of loading torchvision.
        """
        from ibc.data.decode import decode_image

        record = self.records[index]
        path = f"{self.folder}/images/{record.image}"
        try:
            image = decode_image(read_bytes(path), decoder, path)
        except (InputError, OSError) as error:
            reason = f"{path}: {error.strerror}" if isinstance(error, OSError) else str(error).partition("; ")[0]
            raise InputError(f"{self.folder / self.index_file}:{record.line}: {reason}; unpack the data set again"
                             ) from None  # the decoder's own advice is for other commands
        if tuple(image.shape[-2:]) != record.size:
            raise input_error(self._where(record, record.image), _pixels(image.shape[-2:]), _pixels(record.size),
                              "mend ih and iw, or the picture")
        return image

    def read_planes(self, index: int) -> np.ndarray:
        """(P, sh, sw) uint16 label planes, 0 = none; P may be 0. Labels of the whole image are not among them."""
        record = self.records[index]
        planes = [np.full(record.map_size, source, np.uint16) if isinstance(source, int) else
                  self._read_plane(record, source) for source in record.planes]
        return np.stack(planes) if planes else np.zeros((0, *record.map_size), np.uint16)

    def _read_plane(self, record: Record, name: str) -> np.ndarray:
        """Label = R + 256 G of a PNG."""
        from PIL import Image, UnidentifiedImageError

        try:
            picture = Image.open(io.BytesIO(read_bytes(f"{self.folder}/images/{name}")))
            mode = picture.mode
            pixels = np.asarray(picture if mode == "RGB" else picture.convert("RGB"))
        except FileNotFoundError:
            raise input_error(self._where(record, name), "no such file", "a label map",
                              "unpack the data set again") from None
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            reason = "of no known kind" if isinstance(error, UnidentifiedImageError) else error
            raise input_error(self._where(record, name), f"a broken picture ({reason})", "a PNG label map",
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

    def _where(self, record: Record, name: str) -> str:
        return f"{self.folder / self.index_file}:{record.line}: {self.path(name)}"

    def fingerprint(self) -> str:
        """A hash of the tables and of the name, size and time of change of every file used.

        Raises InputError naming the first file that is missing, and how many are.
        """
        digest = hashlib.sha256()
        tables = [self.index_file, "category.csv", "label.csv", *(f"c_{name}.csv" for name in self.categories)]
        for name in tables:
            digest.update(f"{name}\0".encode())
            digest.update((self.folder / name).read_bytes())
        missing: list[tuple[Record, str]] = []
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
        return digest.hexdigest()


def load_broden(folder: str | os.PathLike, categories: Sequence[str] = CATEGORIES,
                index_file: str = "index.csv") -> Broden:
    """Read the tables of a Broden-format folder.

    ``categories`` that ``category.csv`` lacks are reported in ``absent``; one that it has and the
    index lacks is an error. Images without a label in the chosen categories are dropped.
    Raises InputError with file and line on anything that cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise input_error(folder, "no such folder", "a folder with index.csv, category.csv, label.csv and images/",
                          "see: python -m ibc.data.prepare broden --help")
    chosen = category_order(folder / "category.csv", categories)
    names = label_names(folder / "label.csv")
    coverage = [listed_coverage(folder / f"c_{name}.csv", len(names)) for name in chosen]
    records, dropped = _read_index(folder / index_file, chosen, names)
    return Broden(folder, index_file, records, chosen, names, primary_categories(coverage, len(names)),
                  [name for name in categories if name not in chosen], dropped)


def _read_index(path: Path, categories: list[str], names: list[str]) -> tuple[list[Record], int]:
    records, dropped = [], 0
    for line, row in read_table(path, (*INDEX_COLUMNS, *categories)):
        planes: list[str | int] = []
        scalars: list[int] = []
        for category in categories:
            entries = [_entry(path, line, text, names) for text in row[category].split(";") if text.strip()]
            if any(isinstance(entry, str) for entry in entries):
                planes += [entry for entry in entries if entry != 0]
            else:
                scalars += [entry for entry in entries if isinstance(entry, int) and entry != 0]
        if not planes and not scalars:
            dropped += 1
            continue
        size = tuple(whole_number(path, line, key, row[key], 1) for key in ("ih", "iw"))
        map_size = tuple(whole_number(path, line, key, row[key], 1, LONGEST_SIDE) for key in ("sh", "sw"))
        image = _inside(path, line, row["image"])
        records.append(Record(image, line, size, map_size, tuple(planes), tuple(scalars)))  # type: ignore[arg-type]
    if not records:
        raise input_error(path, "no image with a label in the chosen categories", f"labels in {', '.join(categories)}")
    return records, dropped


def _entry(path: Path, line: int, text: str, names: list[str]) -> str | int:
    """A label number, or the path of a label map."""
    text = text.strip()
    if not (text.isascii() and text.isdigit()):
        return _inside(path, line, text)
    number = whole_number(path, line, "label", text, 0, MAX_LABEL)
    if number >= len(names) or (number and not names[number]):
        raise input_error(path, f"label {number}", "a number listed in label.csv", line=line)
    return number


def _inside(path: Path, line: int, name: str) -> str:
    name = name.strip()
    if not name or os.path.isabs(name) or os.path.normpath(name).split(os.sep)[0] == os.pardir:
        raise input_error(path, f"path '{name}'", "a path below images/", line=line)
    return name


def _pixels(size: Sequence[int]) -> str:
    return f"{size[0]} x {size[1]} pixels"
