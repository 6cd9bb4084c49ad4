"""List files: which images, with which labels.

One image a line: ``path label [attribute ...]``, separated by any white space. A path with spaces is quoted; a line
break in it is written ``\\u000a`` or ``\\u000d``; ``\\`` and the quote stand after a ``\\``. Blank lines and lines that
begin with ``#`` are skipped. Column 0 of the labels is the category id (99999: none); in multi-label sets the row is a
0/1 vector over the classes. The file is UTF-8, or UTF-16 with its byte order mark.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ibc.data.accents import find_alike
from ibc.data.image_kinds import HEAD, IMAGE_ENDINGS, RAW_ENDINGS, looks_like_image
from ibc.data.walk import LeftOut, walk_files
from ibc.data.zip_folder import file_of, is_zip_folder, member_name, open_zip_folder, path_in_zip, read_bytes
from ibc.errors import input_error
from ibc.files import atomic_write
from ibc.foreign_names import leads_out
from ibc.labels import NEGATIVE, NO_CATEGORY
from ibc.text_files import decode_text, has_undecoded

LARGEST_LABEL = 2**24  # float32, in which labels are kept, holds no larger odd number
_LINE_END = re.compile("\r\n|\n|\r")  # and no other character that Python calls a line separator: names may hold it
_ESCAPED = {"\n": "\\u000a", "\r": "\\u000d"}
_UNESCAPED = {text: character for character, text in _ESCAPED.items()}
ListDigest = dict[str, int | str]


@dataclass
class ImageList:
    """N images with L label columns.

    names: N paths as the list writes them. files: N paths to open. labels: (N, L) float32.
    """

    names: list[str]
    files: list[str]
    labels: np.ndarray

    def __len__(self) -> int:
        """Number of images."""
        return len(self.names)

    def subset(self, indices: np.ndarray) -> ImageList:
        """The images at ``indices``, in that order."""
        return ImageList([self.names[i] for i in indices], [self.files[i] for i in indices], self.labels[indices])

    def digest(self) -> ListDigest:
        """What tells the list from another: its length, and SHA-256 of its names and of its labels."""
        names = hashlib.sha256("\0".join(self.names).encode(errors="surrogateescape")).hexdigest()
        labels = np.ascontiguousarray(self.labels, dtype="<f4")
        return {"images": len(self), "names": names, "columns": labels.shape[1],
                "labels": hashlib.sha256(labels.tobytes()).hexdigest()}


def list_change(before: ListDigest, now: ListDigest) -> str:
    """How a list differs from an earlier one, for people; empty where it does not."""
    for key, words in (("images", "{} images, {} before"), ("names", "other images, or in another order"),
                       ("columns", "{} label columns, {} before"), ("labels", "other labels of the same images")):
        if key in before and before[key] != now[key]:
            return words.format(now[key], before[key])
    return ""


def read_list(
    list_file: str | os.PathLike,
    data_folder: str | os.PathLike = "",
    *,
    class_num: int | None = None,
    multi_label: bool = False,
    filter_labels: Sequence[int] = (),
) -> ImageList:
    """Read a list file. Its own path and the paths in it are relative to ``data_folder``.

    ``data_folder`` may be a zip that holds them (see ``ibc.data.zip_folder``). Labels are integers; -1 becomes 0. Label
    columns whose index is in ``filter_labels`` are dropped. With ``class_num`` the category ids (or, with
    ``multi_label``, the width of the rows) are checked. Raises InputError with file and line for an unreadable row,
    rows of unequal length, a path that leaves the data folder, an id out of range, or a list without images.
    """
    if in_zip := is_zip_folder(data_folder):
        open_zip_folder(data_folder)
    source = file_of(data_folder, list_file)
    names, rows, numbers = _parse(source, decode_text(read_bytes(source, regular=True), source, keep_bytes=True))
    labels = _label_columns(source, rows, filter_labels)
    if class_num is not None:
        _check_labels(source, labels, numbers, class_num, multi_label)
    folder = os.fspath(data_folder)
    files = [_locate(source, number, folder, in_zip, name) for name, number in zip(names, numbers, strict=True)]
    return ImageList(names, files, labels.astype(np.float32))


def extend_with_attributes(images: ImageList, attributes: ImageList) -> ImageList:
    """The list, followed by the attribute list floor(n / m) times: the intent of the official ``train_attr_list_file``.

    n, m: images in the two lists. Raises InputError where their numbers of label columns differ.
    """
    if images.labels.shape[1] != attributes.labels.shape[1]:
        raise input_error("train_attr_list_file", f"{attributes.labels.shape[1]} label columns",
                          f"{images.labels.shape[1]}, as in train_list_file")
    times = len(images) // len(attributes)
    return ImageList(images.names + attributes.names * times, images.files + attributes.files * times,
                     np.concatenate([images.labels] + [attributes.labels] * times))


def write_list(path: str | os.PathLike, names: Iterable[str], labels: Iterable[Sequence[int]]) -> None:
    """Write a list file, with quotes around the paths that need them. The file appears complete or not at all."""
    with atomic_write(path, "w", errors="surrogateescape") as handle:
        for name, row in zip(names, labels, strict=True):
            handle.write(f"{_quote(name)} {' '.join(str(int(value)) for value in row)}\n")


def _quote(name: str) -> str:
    """The path as ``_split`` reads it."""
    if not name or name[0] in "\"'#\ufeff" or any(character.isspace() for character in name):
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        for character, text in _ESCAPED.items():
            escaped = escaped.replace(character, text)
        return f'"{escaped}"'
    return name


def _parse(source: str, content: str) -> tuple[list[str], list[list[int]], list[int]]:
    """The path, the labels and the line number of each image of a list."""
    names: list[str] = []
    rows: list[list[int]] = []
    numbers: list[int] = []
    for number, text in enumerate(_LINE_END.split(content), start=1):
        text = text.strip()
        if not text or text.startswith("#"):
            continue
        name, fields = _split(source, number, text)
        try:
            row = [int(field) for field in fields]
        except ValueError:
            bad = next(field for field in fields if not _is_integer(field))
            raise input_error(source, f"label '{bad}'", "an integer",
                              "quote a path that contains spaces", line=number) from None
        if max(map(abs, row), default=0) > LARGEST_LABEL:
            raise input_error(source, f"label {max(row, key=abs)}", f"at most {LARGEST_LABEL}", line=number)
        if "\0" in name:
            raise input_error(source, "a path with a zero byte", "a path", line=number)
        if rows and len(row) != len(rows[0]):
            raise input_error(source, f"{len(row)} labels", f"{len(rows[0])}, as in line {numbers[0]}", line=number)
        if not row:
            raise input_error(source, f"no label after '{name}'", "a category id or labels",
                              f"write {NO_CATEGORY} where there is no category", line=number)
        names.append(name)
        rows.append(row)
        numbers.append(number)
    if not rows:
        raise input_error(source, "no image", "at least one line 'path label ...'")
    return names, rows, numbers


def _label_columns(source: str, rows: list[list[int]], filter_labels: Sequence[int]) -> np.ndarray:
    """(N, L) int64, without the columns in ``filter_labels``."""
    labels = np.array(rows, dtype=np.int64)
    labels[labels == NEGATIVE] = 0
    outside = [column for column in filter_labels if not 0 <= column < labels.shape[1]]
    if outside:
        raise input_error(source, f"filter_labels {outside[0]}", f"a label column from 0 to {labels.shape[1] - 1}")
    labels = np.delete(labels, sorted(set(filter_labels)), axis=1)
    if labels.shape[1] == 0:
        raise input_error(source, "no label column left after filter_labels", "at least one")
    return labels


def _split(source: str, number: int, text: str) -> tuple[str, list[str]]:
    """The path and the label fields of one line. A path is quoted where the line begins with a quote."""
    if text[0] not in "\"'":
        name, *fields = text.split()
        return name, fields
    quote, characters, position = text[0], [], 1
    while position < len(text) and text[position] != quote:
        if (escaped := text[position : position + 6]) in _UNESCAPED:
            characters.append(_UNESCAPED[escaped])
            position += len(escaped)
            continue
        if text[position] == "\\" and text[position + 1 : position + 2] in ("\\", quote):
            position += 1
        characters.append(text[position])
        position += 1
    if position >= len(text):
        raise input_error(source, f"a path that opens with {quote} and does not close", f"a closing {quote}",
                          line=number)
    return "".join(characters), text[position + 1 :].split()


def _is_integer(field: str) -> bool:
    try:
        int(field)
    except ValueError:
        return False
    return True


def _check_labels(source: str, labels: np.ndarray, numbers: list[int], class_num: int, multi_label: bool) -> None:
    """Raises InputError, with the line, for a category id out of range or a label set that is not of 0 and 1."""
    if multi_label:
        if labels.shape[1] != class_num:
            raise input_error(source, f"{labels.shape[1]} labels", f"{class_num}, one for each class (multi_label)",
                              "check class_num and filter_labels", line=numbers[0])
        bad = ((labels != 0) & (labels != 1)).any(axis=1)
        bad &= labels[:, 0] != NO_CATEGORY
        what = "0 or 1 for each class (multi_label)"
        value = np.where((labels != 0) & (labels != 1), labels, 0).max(axis=1)
    else:
        value = labels[:, 0]
        bad = ((value < 0) | (value >= class_num)) & (value != NO_CATEGORY)
        what = f"a class from 0 to {class_num - 1}, or {NO_CATEGORY} for none"
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise input_error(source, f"label {int(value[row])}", what, "check class_num", line=numbers[row])


def _locate(source: str, number: int, folder: str, in_zip: bool, name: str) -> str:
    """The path to open for the path ``name`` of line ``number``."""
    if os.path.isabs(name):
        # The official loader joins folder and field as texts, so "/a.jpg" may also mean "<folder>/a.jpg".
        joined = path_in_zip(folder, name) if in_zip else folder.rstrip("/") + name
        if not name.isascii() and not in_zip and not os.path.exists(name) and not os.path.exists(joined):
            return find_alike("/", name[1:]) or find_alike(folder, name.lstrip("/")) or name
        return joined if folder and not os.path.exists(name) and (in_zip or os.path.exists(joined)) else name
    if leads_out(os.path.normpath(name)):
        raise input_error(source, f"path '{name}'", f"a path inside the data folder '{folder}'",
                          "write an absolute path if it is meant", line=number)
    path = path_in_zip(folder, name) if in_zip else os.path.join(folder, name)
    if name.isascii() or (member_name(name) in open_zip_folder(folder).members if in_zip else os.path.exists(path)):
        return path
    if alike := find_alike(folder, name):
        return alike
    if has_undecoded(name):
        raise input_error(source, f"the path {name!a}, which is not UTF-8 and of no file", "text in UTF-8",
                          "save the list as UTF-8", line=number)
    return path


def images_below(folder: str | os.PathLike, say: Callable[[str], None] | None = None) -> ImageList:
    """Every image file below a folder, sorted by path, without a category (label 99999).

    A file is an image by its ending or, with another ending or none, by its first bytes. Folders are walked as
    ``ibc.data.walk`` says. say: takes one line that counts what is left out, if anything is. Raises InputError where
    there is no such folder, or no image in it; OSError for a folder that may not be read.
    """
    if not os.path.isdir(folder):
        raise input_error(folder, "no such folder", "a folder of images")
    left_out = LeftOut()
    found = []
    for file in walk_files(folder, left_out):
        if file.fault:
            left_out.add(file.fault, file.name)
        elif _is_image(file.name, file.path):
            found.append(file)
        else:
            left_out.add("no image that is read", file.name)
    if not found:
        seen = str(left_out)
        raise input_error(folder, f"no image, but {seen}" if seen else "no image",
                          f"files ending in {' '.join(sorted(IMAGE_ENDINGS))}")
    if say is not None and left_out.names:
        say(f"left out below {os.fspath(folder)}: {left_out}")
    found.sort(key=lambda file: file.name.split("/"))
    labels = np.full((len(found), 1), NO_CATEGORY, np.float32)
    return ImageList([file.name for file in found], [file.path for file in found], labels)


def _is_image(name: str, path: str) -> bool:
    ending = os.path.splitext(name)[1].lower()
    if ending in IMAGE_ENDINGS or ending in RAW_ENDINGS:
        return ending in IMAGE_ENDINGS
    try:
        with open(path, "rb", buffering=0) as handle:
            return looks_like_image(handle.read(HEAD))
    except OSError:
        return False

