"""Zips and tars: as a data folder, and as the source of a data set."""

import io
import tarfile
import zipfile
from pathlib import Path

from hypothesis import strategies as st

from ibc.data.zip_folder import open_zip_folder, read_bytes
from ibc.datasets.building.archive import list_members, member_parts, read_files, read_member, stream_members
from ibc.datasets.prepare.folder import plan_folder
from tests.fuzz.damage import damaged
from tests.fuzz.harness import each, fuzzed

FILES = {"train/cats/a.jpg": b"\xff\xd8\xff" + bytes(300), "train/dogs/\u00e9.png": b"\x89PNG" * 40,
         "train.txt": b"a 1\n", "long/" + "n" * 120 + "/x.jpg": b"x"}


def _zip(method: int, **options: bool) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method, **options) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _tar(mode: str, files: dict[str, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=format) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


ZIPS = [_zip(zipfile.ZIP_STORED), _zip(zipfile.ZIP_DEFLATED), _zip(zipfile.ZIP_LZMA)]
TARS = [_tar("w", FILES), _tar("w", FILES, tarfile.GNU_FORMAT), _tar("w:gz", FILES), _tar("w:bz2", FILES),
        _tar("w:xz", FILES), _tar("w", {"n01440764.tar": _tar("w", FILES), "b.tar.gz": _tar("w:gz", FILES)})]


@fuzzed(damaged(ZIPS), errors=(OSError,))
def test_zip_folder(data: bytes, folder: Path) -> None:
    (folder / "pack.zip").write_bytes(data)
    archive = open_zip_folder(folder / "pack.zip")
    each(*(lambda name=name: archive.read(name) for name in list(archive.members)[:10]),
         lambda: read_bytes(f"{folder}/pack.zip:train.txt", most=1000))


@fuzzed(st.tuples(st.sampled_from((".zip", ".tar", ".tar.gz", "")), damaged(ZIPS) | damaged(TARS, header=1024)),
        errors=(OSError,))
def test_source_archive(value: tuple[str, bytes], folder: Path) -> None:
    ending, data = value
    source = folder / f"src{ending}"
    source.write_bytes(data)
    plan_folder(source, "x", seed=0, test_share=0.5)
    members = list_members(source, nested=True)[:10]
    read_files(members)
    for member in members:
        if member.kind == "stream":
            list(stream_members(member.container, member.inner, {member.entry}))
        else:
            assert b"".join(member_parts(member)) == read_member(member)


@fuzzed(st.tuples(st.sampled_from(("gbk", "cp932", "x", "utf-16", "idna", "\0", "")), damaged(ZIPS[:1])))
def test_names_in_zip(value: tuple[str, bytes], folder: Path) -> None:
    (folder / "src.zip").write_bytes(value[1])
    list_members(folder / "src.zip", encoding=value[0])
