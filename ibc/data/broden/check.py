"""Is a folder in Broden format whole? Its tables and columns, every file that the index names, and their sizes."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from pathlib import Path
from typing import Any

from ibc.data.broden.tables import (
    CATEGORY_TABLE,
    INDEX_TABLE,
    LABEL_TABLE,
    code_table,
    is_label,
    path_below,
    read_table,
    split_cell,
    table_header,
    whole_number,
)
from ibc.data.image_reader import UnreadableImage, open_image, upright_size
from ibc.errors import InputError, input_error
from ibc.progress import track

_INDEX_COLUMNS = ("image", "split", "ih", "iw", "sh", "sw")  # the first ones; the categories follow
_COLUMNS = {CATEGORY_TABLE: ("name", "first", "last"), LABEL_TABLE: ("number", "name", "category")}
_CODE_COLUMNS = ("code", "number", "name", "frequency", "coverage")


def check_broden(folder: Path) -> dict[str, Any]:
    """Facts of a folder in Broden format, for its manifest. Raises InputError that names the first fault.

    Of images and label maps only the headers are read, so that the whole of Broden takes seconds.
    """
    index = folder / INDEX_TABLE
    rows = _rows(index, _INDEX_COLUMNS)
    header = table_header(index)
    categories = header[len(_INDEX_COLUMNS) :]
    if header[: len(_INDEX_COLUMNS)] != list(_INDEX_COLUMNS) or not categories:
        raise input_error(index, f"columns {', '.join(header)}", f"{', '.join(_INDEX_COLUMNS)}, then categories",
                          line=1)
    labels = _check_tables(folder, categories)
    files: dict[str, int] = {}  # name -> bytes
    labelled: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    map_sizes: Counter[str] = Counter()
    for line, row in track(rows, "checking", unit="images"):
        height, width, map_height, map_width = (whole_number(index, line, column, row[column], 1)
                                                for column in ("ih", "iw", "sh", "sw"))
        _check_image(folder, row["image"], (width, height), index, line, files)
        for category in categories:
            entries = split_cell(row[category])
            labelled[category] += bool(entries)
            for entry in entries:
                if not is_label(entry):
                    _check_image(folder, entry, (map_width, map_height), index, line, files)
        sizes[f"{width}x{height}"] += 1
        map_sizes[f"{map_width}x{map_height}"] += 1
    listing = "".join(f"{name} {size}\n" for name, size in sorted(files.items()))
    return {"data_set": "broden", "images": len(rows), "labels": labels, "categories": categories,
            "labelled_images": {name: labelled[name] for name in categories}, "files": len(files),
            "image_sizes": ", ".join(sizes), "label_map_sizes": ", ".join(map_sizes),
            "structure_sha256": hashlib.sha256(listing.encode()).hexdigest()}


def _check_tables(folder: Path, categories: list[str]) -> int:
    """Check the tables beside the index; returns the number of labels."""
    rows = {name: _rows(folder / name, columns) for name, columns in _COLUMNS.items()}
    known = {row["name"].strip() for _, row in rows[CATEGORY_TABLE]}
    for category in categories:
        if category not in known:
            raise input_error(folder / CATEGORY_TABLE, f"no row '{category}'", "one for each category of index.csv")
        _rows(folder / code_table(category), _CODE_COLUMNS)
    return len(rows[LABEL_TABLE])


def _rows(path: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """All rows of a table, which has at least one."""
    rows = list(read_table(path, columns))
    if not rows:
        raise input_error(path, "no row", "at least one", "fetch the archive again")
    return rows


def _check_image(folder: Path, name: str, size: tuple[int, int], index: Path, line: int, files: dict[str, int]) -> None:
    """Check that the file is there and has the (width, height) that the index says; enters its size in ``files``."""
    name = path_below(index, line, name)
    path = folder / "images" / name
    if not os.path.isfile(path):  # False, too, for a name longer than any file has
        raise input_error(index, f"no file images/{name}", "every file the index names", "unpack the archive again",
                          line=line)
    try:
        with open_image(path) as image:
            found = upright_size(image)
        files[name] = path.stat().st_size
    except (UnreadableImage, OSError) as error:
        raise InputError(f"{path}: found no readable image ({error}), expected one; unpack the archive again") from None
    if found != size:
        raise input_error(index, f"images/{name} of {found[0]}x{found[1]} px", f"{size[0]}x{size[1]}", line=line)
