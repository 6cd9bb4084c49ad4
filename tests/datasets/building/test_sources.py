"""Sources as the world has them: other archives, names of other systems, folders that may not be read."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from ibc.commands.prepare import COMMAND as main
from tests.datasets.preparing import class_tree, prepare
from tests.datasets.replicas import encode, jpeg, picture, write_tar, write_tree, write_zip


class Unmarked(zipfile.ZipInfo):
    """An entry whose name is written in ``encoding``, without the mark of UTF-8."""

    encoding = "gbk"

    def _encodeFilenameFlags(self):
        return self.filename.encode(self.encoding), self.flag_bits & ~0x800


def write_unmarked(path: Path, names: list[str], encoding: str, unicode_path: bool = False) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(names):
            entry = Unmarked(name)
            entry.encoding = encoding
            if unicode_path:
                field = struct.pack("<BL", 1, zlib.crc32(name.encode(encoding))) + name.encode()
                entry.extra = struct.pack("<HH", 0x7075, len(field)) + field
            archive.writestr(entry, jpeg(number))


NAMES = ["\u732b/0.jpg", "\u732b/1.jpg", "\u72d7/0.jpg"]


@pytest.mark.parametrize("encoding, flags, classes", [
    ("gbk", ["--encoding", "gbk"], ["\u72d7", "\u732b"]), ("cp932", ["--encoding", "shift_jis"], ["\u72d7", "\u732b"]),
    ("utf-8", [], ["\u72d7", "\u732b"])])
def test_names_of_a_zip_without_a_mark(tmp_path, encoding, flags, classes):
    write_unmarked(tmp_path / "s.zip", NAMES, encoding)
    manifest = prepare("folder", tmp_path / "s.zip", tmp_path / "out", *flags)
    assert manifest["classes"] == classes and not manifest["notes"]


def test_names_that_are_guessed_are_said(tmp_path, capsys):
    write_unmarked(tmp_path / "s.zip", NAMES, "gbk")
    prepare("folder", tmp_path / "s.zip", tmp_path / "out")
    assert "s.zip does not say how 3 names are encoded" in capsys.readouterr().out
    write_unmarked(tmp_path / "s.zip", NAMES, "gbk", unicode_path=True)  # as Info-ZIP and WinRAR add it
    assert prepare("folder", tmp_path / "s.zip", tmp_path / "two")["classes"] == ["\u72d7", "\u732b"]
    for name, complaint in (("nonsense", "found 'nonsense'"), ("utf-8", "are not written")):
        write_unmarked(tmp_path / "s.zip", NAMES, "gbk")
        assert main(["folder", str(tmp_path / "s.zip"), str(tmp_path / "no"), "--encoding", name]) == 2
        assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("head, what", [
    (b"Rar!\x1a\x07\x01\x00", "a rar archive"), (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd"), (b"\n<!DOCTYPE html><html>", "a web page"), (b"<html>", "a web page"),
    (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"), (b"PAR1", "a Parquet file"),
    (b"\xff\xd8\xff\xe0", "a single image"), (b"", "an empty file"), (b"PK\x07\x08PK\x03\x04", "a split zip"),
    (b"aaaa", "a damaged archive")])
def test_other_files_are_called_what_they_are(tmp_path, capsys, head, what):
    (tmp_path / "photos.zip").write_bytes(head + bytes(40 if head else 0))
    assert main(["folder", str(tmp_path / "photos.zip"), str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert what in error and error.count("\n") == 1


def test_a_folder_that_may_not_be_read_is_an_error(tmp_path, capsys, monkeypatch):
    write_tree(tmp_path / "src", class_tree(2, ("ant", "bee", "cat")))
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("bee"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert main(["folder", str(tmp_path / "src"), str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.endswith("src/bee: Permission denied\n")


def plain(colour: str) -> bytes:
    """A picture whose number of bytes does not tell its colour."""
    return encode(picture(1, 40, 30).point(lambda value: 0).convert("RGB") if colour == "black" else
                  picture(1, 40, 30).point(lambda value: 255).convert("RGB"), "BMP")


@pytest.mark.parametrize("kind", ["folder", "zip", "stored", "tar", "tar.gz"])
def test_a_source_image_of_the_same_size_is_noticed(tmp_path, kind, capsys):
    source = tmp_path / f"src.{kind}"

    def write(colour):
        files = {f"{label}/{n}.bmp": plain("black") for label in "ab" for n in range(3)} | {"a/0.bmp": plain(colour)}
        {"folder": lambda: write_tree(source, files), "zip": lambda: write_zip(source, files),
         "stored": lambda: write_zip(source, files, 0), "tar": lambda: write_tar(source, files),
         "tar.gz": lambda: write_tar(source, files, "w:gz")}[kind]()

    def stored():
        return (tmp_path / "out" / "images" / "a" / "0.png").read_bytes()

    write("black")
    prepare("folder", source, tmp_path / "out")
    black = stored()
    prepare("folder", source, tmp_path / "out")
    assert "in the source since" not in capsys.readouterr().out
    write("white")
    prepare("folder", source, tmp_path / "out")
    assert stored() != black and "in the source since the last run" in capsys.readouterr().out
    write("black")
    prepare("folder", source, tmp_path / "out")
    assert stored() == black


def test_a_journal_of_an_earlier_version_still_counts(tmp_path):
    write_tree(tmp_path / "src", class_tree(2))
    prepare("folder", tmp_path / "src", tmp_path / "out")
    journal = tmp_path / "out" / ".prepare" / "done.csv"
    rows = [row.split(",") for row in journal.read_text().splitlines()]
    journal.write_text("\r\n".join(",".join([row[0], row[1].split(":")[0], *row[2:]]) for row in rows) + "\r\n")
    before = (tmp_path / "out" / "images" / "ant" / "0.jpg").stat().st_mtime_ns
    prepare("folder", tmp_path / "src", tmp_path / "out")
    assert (tmp_path / "out" / "images" / "ant" / "0.jpg").stat().st_mtime_ns == before
