"""Images of a codes file, as people refer to them: by number from 1, by path, or by the end of a path."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from ibc.codes import CodeSet
from ibc.errors import input_error
from ibc.retrieval.bits import near_names
from ibc.text_files import whole_number


def find_item(text: str, codes: CodeSet, where: str | os.PathLike) -> int:
    """The row (from 0) of the image that ``text`` means: its number from 1, its path, or the last parts of its path.

    where: the codes file, for messages. Raises InputError where no image or several are meant.
    """
    if (number := whole_number(text)) is not None and text.strip().isdigit():
        if not 1 <= number <= len(codes):
            raise input_error(where, f"item {number}", f"1 to {len(codes)}, as the codes file has images")
        return number - 1
    paths = _paths(codes, where)
    wanted = PurePosixPath(text.replace(os.sep, "/")).as_posix()
    if wanted in paths:
        return paths.index(wanted)
    ends = [row for row, path in enumerate(paths) if f"/{path}".endswith(f"/{wanted}") or f"/{wanted}".endswith(
        f"/{path}")]
    if len(ends) == 1:
        return ends[0]
    if ends:
        shown = ", ".join(paths[row] for row in ends[:3])
        raise input_error(where, f"{len(ends)} images called '{text}' ({shown}, …)", "one", "give more of its path")
    hint = near_names(wanted, paths[:20000], 3) or f"paths look like {paths[0]}"
    raise input_error(where, f"no image '{text}'", "a number from 1 or a path of the codes file", hint)


def find_items(text: str, codes: CodeSet, where: str | os.PathLike) -> np.ndarray | None:
    """Rows of a list such as ``3,7,10-14`` or ``a.jpg,b.jpg``, or of all images below a folder; None for neither.

    A folder is one of the codes file's paths, such as ``images/test``. Rows are (n,) int64, each once, ascending.
    """
    if re.fullmatch(r"[0-9\s,-]+", text):
        rows: list[int] = []
        for part in text.split(","):
            first, dash, last = part.partition("-")
            begin = find_item(first, codes, where)
            rows += range(begin, (find_item(last, codes, where) if dash else begin) + 1)
        return np.unique(np.array(rows, np.int64))
    if codes.paths:
        folder = text.replace(os.sep, "/").rstrip("/") + "/"
        below = [row for row, path in enumerate(codes.paths) if path.startswith(folder)]
        if below:
            return np.array(below, np.int64)
        if all(any(f"/{path}".endswith(f"/{part.strip()}") for path in codes.paths) for part in text.split(",")):
            return np.unique(np.array([find_item(part.strip(), codes, where) for part in text.split(",")], np.int64))
    return None


def _paths(codes: CodeSet, where: str | os.PathLike) -> Sequence[str]:
    if not codes.paths:
        raise input_error(where, "no paths in the codes file", "an item by its number from 1",
                          "codes that ibc extract wrote hold paths")
    return codes.paths
