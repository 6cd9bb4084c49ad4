"""Members of zips by their position: the content that zipfile gives, and a reason for each kind of damage."""

from __future__ import annotations

import io
import pickle
import stat
import zipfile
import zlib

import pytest

from ibc.data.zip_reader import DamagedMember, ZipMember, list_zip, read_zip_member

CONTENT = {"plain.txt": b"stored as it is", "packed.txt": b"deflated " * 500, "empty.txt": b""}


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "some.zip"
    with zipfile.ZipFile(path, "w") as target:
        for name, content in CONTENT.items():
            target.writestr(name, content, zipfile.ZIP_DEFLATED if name == "packed.txt" else zipfile.ZIP_STORED)
        target.mkdir("folder")
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        target.writestr(link, "plain.txt")
    return path


def read(path, member: ZipMember) -> bytes:
    with open(path, "rb") as handle:
        return read_zip_member(handle.fileno(), member.offset, member.stored_size, member.size,
                               deflated=member.deflated, crc=member.crc)


def changed(path, place: int, content: bytes):
    data = bytearray(path.read_bytes())
    data[place : place + len(content)] = content
    path.write_bytes(data)


def test_members_and_their_content(archive):
    members = {member.name: member for member in list_zip(archive)}
    assert list(members) == [*CONTENT, "folder/", "link"]
    for name, content in CONTENT.items():
        member = members[name]
        assert read(archive, member) == content and member.size == len(content) and member.crc == zlib.crc32(content)
        assert member.readable and not member.folder and not member.link
    assert members["packed.txt"].deflated and members["packed.txt"].stored_size < 500
    assert members["folder/"].folder and members["link"].link
    with open(archive, "rb") as handle:
        assert list_zip(handle) == list(members.values())


def test_what_is_no_whole_zip_is_refused(archive, tmp_path):
    for content in (b"", b"no zip" * 99, archive.read_bytes()[:-30]):
        with pytest.raises(zipfile.BadZipFile):
            list_zip(io.BytesIO(content))


def test_encrypted_and_unusual_members_are_listed_as_not_readable(archive, tmp_path):
    with zipfile.ZipFile(tmp_path / "odd.zip", "w", zipfile.ZIP_LZMA) as target:
        target.writestr("a.txt", b"a")
    assert not list_zip(tmp_path / "odd.zip")[0].readable
    changed(archive, archive.read_bytes().index(b"PK\1\2") + 8, b"\1")
    first = list_zip(archive)[0]
    assert first.encrypted and not first.readable


def test_each_kind_of_damage_has_its_reason(archive):
    plain, packed = list_zip(archive)[:2]
    whole = archive.read_bytes()
    for member, place, content, reason, found in (
            (plain, plain.offset, b"????", "damaged zip entry", "no header where the archive's directory says"),
            (plain, plain.offset + 40, b"?", "damaged zip entry (checksum)", "content with another checksum"),
            (packed, packed.offset + 45, b"\xff" * 9, "damaged zip entry (Error", "broken data (Error")):
        archive.write_bytes(whole)
        changed(archive, place, content)
        with pytest.raises(DamagedMember) as raised:
            read(archive, member)
        assert str(raised.value).startswith(reason) and raised.value.found.startswith(found)
        assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
    for length, found in ((packed.offset + 50, " bytes instead of "), (packed.offset + 20, "no header")):
        archive.write_bytes(whole[:length])
        with pytest.raises(DamagedMember, match="archive ends in the middle of the file") as raised:
            read(archive, packed)
        assert found in raised.value.found
    archive.write_bytes(whole)
    with open(archive, "rb") as handle, pytest.raises(DamagedMember) as raised:
        read_zip_member(handle.fileno(), packed.offset, packed.stored_size, packed.size - 1, deflated=True)
    assert raised.value.found == f"{packed.size} bytes instead of {packed.size - 1}"
