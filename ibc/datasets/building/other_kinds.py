"""Files that are no zip and no tar, named by their first bytes: what they are, and what to do with them."""

from __future__ import annotations

import os

from ibc.errors import input_error

_UNPACK = "unpack it and give the folder"
_DOWNLOAD = "open it in a browser, and download the data set itself"
_CONVERT = "write its images into class folders"
_KINDS = (  # first bytes, what that is, what to do
    (b"Rar!\x1a\x07", "a rar archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a file compressed by zstd", _UNPACK),
    (b"\x04\x22\x4d\x18", "a file compressed by lz4", _UNPACK),
    (b"LZIP", "a file compressed by lzip", _UNPACK),
    (b"\x1f\x9d", "a file compressed by compress (.Z)", _UNPACK),
    (b"PK\x07\x08", "the first part of a split zip", "join the parts (zip -s 0), and give the whole"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", _CONVERT),
    (b"MATLAB 5.0 MAT-file", "a MATLAB file", _CONVERT),
    (b"PAR1", "a Parquet file", _CONVERT),
    (b"SQLite format 3\0", "an SQLite database", _CONVERT),
    (b"\x93NUMPY", "a NumPy array", _CONVERT),
    (b"\xff\xd8\xff", "a single image", "give the folder of the images"),
    (b"\x89PNG\r\n\x1a\n", "a single image", "give the folder of the images"),
    (b"%PDF-", "a PDF", "give a folder of images"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "run: git lfs pull"),
    (b"<!doctype html", "a web page", _DOWNLOAD),
    (b"<html", "a web page", _DOWNLOAD),
    (b"<?xml", "an XML text", _DOWNLOAD),
    (b"{", "a JSON text", _DOWNLOAD),
)
_HEAD = 64


def refuse_other_kinds(path: str | os.PathLike) -> None:
    """Raise InputError for an empty file, and for one whose first bytes are those of no zip and no tar."""
    with open(path, "rb") as handle:
        head = handle.read(_HEAD)
    if not head:
        raise input_error(path, "an empty file", "a folder, a zip or a tar", "fetch it again")
    text = head.lstrip().lower()
    for mark, what, do in _KINDS:
        if head.startswith(mark) or (mark.isascii() and mark[:1] in b"<{" and text.startswith(mark)):
            raise input_error(path, what, "a folder, a zip or a tar", do)
