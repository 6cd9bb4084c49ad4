"""Zips and tars: as a data folder, and as the source of a data set."""

import gzip
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


_SIZES = [b"00000000144\0", b"\xff" * 12, b"\xff" * 11 + b"\x9c", b"\x80\0\0\0\x7f" + b"\xff" * 7, b"77777777777\0",
          b"-0000000100\0", b"\0" * 12, b"\x80" + bytes(8) + b"\x01\0\0", b"zzzz" + bytes(8)]
_RECORDS = [b"20 size=99999999999\n", b"12 size=-99\n", b"11 path=../x\n", b"9 path=\n", b"30 GNU.sparse.major=1\n",
            b"0 x=y\n", b"99999999999 a=b\n", b"22 GNU.sparse.map=1,2\n", b"25 GNU.sparse.realsize=9\n",
            b"13 mtime=nan\n", b"16 hdrcharset=x\n", b"14 linkpath=\xff\n", b"\xb2 a=b\n",
            b"24 GNU.sparse.name=../y\n", b"19 GNU.sparse.size=-5\n", b"12 uid=1e999\n"]
_KINDS = [b"0", b"0", b"\0", b"5", b"x", b"x", b"g", b"L", b"K", b"S", b"1", b"2", b"7", b"X", b"\xff"]
_NAMES = [b"a/b.jpg", b"c/d.jpg", b"", b"/", b"../x", b"\xff\n", b"n01440764.tar", b"b.tar.gz", b"x" * 100]


@st.composite
def odd_tars(draw: st.DrawFn) -> bytes:
    """A tar whose headers say odd things under the right checksum."""
    found = b""
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(_KINDS))
        data = b"".join(draw(st.lists(st.sampled_from(_RECORDS), max_size=3))) if kind in b"xgX" else draw(
            st.sampled_from((b"a/b.jpg\0", b"\xff\xd8\xff", bytes(512), b"../x\0", b"x" * 700)))
        name = draw(st.sampled_from(_NAMES))
        size = draw(st.just(b"%011o\0" % len(data)) | st.sampled_from(_SIZES))
        sparse = draw(st.just(bytes(126)) | st.binary(min_size=126, max_size=126)) if kind == b"S" else bytes(126)
        header = bytearray(name.ljust(100, b"\0") + b"0000644\0" * 3 + size + b"00000000000\0" + b" " * 8 + kind
                           + bytes(100) + draw(st.sampled_from((b"ustar\x0000", b"ustar  \0", bytes(8)))) + bytes(80))
        header += (sparse + bytes(512))[: 512 - len(header)]
        header[148:156] = b"%06o\0 " % sum(header)
        found += bytes(header) + data + bytes(-len(data) % 512)
    return found + bytes(draw(st.sampled_from((0, 512, 1024, 10240))))


@fuzzed(odd_tars(), errors=(OSError,), tries=100)
def test_odd_tar(data: bytes, folder: Path) -> None:
    (folder / "src.tar").write_bytes(data)
    (folder / "src.tar.gz").write_bytes(gzip.compress(data, 1))
    each(*(lambda name=name: _read_all(folder / name) for name in ("src.tar", "src.tar.gz")), own=(OSError,))


@fuzzed(st.tuples(st.sampled_from((".zip", ".tar", ".tar.gz", "")), damaged(ZIPS) | damaged(TARS, header=1024)),
        errors=(OSError,))
def test_source_archive(value: tuple[str, bytes], folder: Path) -> None:
    ending, data = value
    source = folder / f"src{ending}"
    source.write_bytes(data)
    each(lambda: plan_folder(source, "x", seed=0, test_share=0.5), lambda: _read_all(source), own=(OSError,))


def _read_all(source: Path) -> None:
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
