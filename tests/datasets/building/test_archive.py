"""Archives that are hostile or cut off are refused; a damaged member is listed."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from ibc.commands.prepare import COMMAND as main
from ibc.datasets.building import convert
from ibc.datasets.building.archive import list_members
from ibc.errors import InputError
from tests.datasets.preparing import class_tree, prepare, skipped
from tests.datasets.replicas import jpeg, write_tar, write_zip
from tests.fuzz.harness import limits


def linked_tar(path: Path, kind: bytes) -> None:
    with tarfile.open(path, "w") as tar:
        entry = tarfile.TarInfo("a/x.jpg")
        entry.type, entry.linkname = kind, "/etc/passwd"
        tar.addfile(entry)
        data = jpeg(1)
        plain = tarfile.TarInfo("a/y.jpg")
        plain.size = len(data)
        tar.addfile(plain, io.BytesIO(data))


@pytest.mark.parametrize("name", ["../x.jpg", "a/../../x.jpg", "/tmp/x.jpg", "C:/x.jpg"])
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_paths_that_leave_an_archive_are_refused(tmp_path, capsys, kind, name):
    source = tmp_path / f"src.{kind}"
    files = {"a/1.jpg": jpeg(1), name: jpeg(2)}
    write_zip(source, files) if kind == "zip" else write_tar(source, files, "w:gz" if kind == "tar.gz" else "w")
    assert main(["folder", str(source), str(tmp_path / "deep" / "out"), "--workers", "1"]) == 2
    assert f"'{name}'" in capsys.readouterr().err
    assert not list(tmp_path.rglob("x.jpg"))


def test_links_in_archives_are_refused(tmp_path, capsys):
    linked_tar(tmp_path / "soft.tar", tarfile.SYMTYPE)
    linked_tar(tmp_path / "hard.tar", tarfile.LNKTYPE)
    with zipfile.ZipFile(tmp_path / "soft.zip", "w") as archive:
        entry = zipfile.ZipInfo("a/x.jpg")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    for source in ("soft.tar", "hard.tar", "soft.zip"):
        assert main(["folder", str(tmp_path / source), str(tmp_path / "out"), "--workers", "1"]) == 2
        assert "a link: 'a/x.jpg'" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_a_cut_archive_is_an_error(tmp_path, capsys, kind):
    source = tmp_path / f"src.{kind}"
    files = class_tree()
    write_zip(source, files) if kind == "zip" else write_tar(source, files, "w:gz" if kind == "tar.gz" else "w")
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    assert main(["folder", str(source), str(tmp_path / "out"), "--workers", "1"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_huge_files_are_not_read_into_memory(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(convert, "most_image_bytes", lambda: 100_000)
    files = class_tree(1) | {"bee/film.mp4": bytes(200_000)}
    source = tmp_path / f"src.{kind}"
    write_zip(source, files) if kind == "zip" else write_tar(source, files, "w:gz" if kind == "tar.gz" else "w")
    prepare("folder", source, tmp_path / "out", "--test_share", 0)
    assert skipped(tmp_path / "out") == {"bee/film.mp4": "a file of 0 MB, more than IBC_IMAGE_MEGAPIXELS allows"}


def test_a_zip_entry_that_unpacks_to_more_than_it_says_is_refused(tmp_path):
    write_zip(tmp_path / "src.zip", class_tree(1) | {"bee/bomb.jpg": bytes(3_000_000)})
    data = (tmp_path / "src.zip").read_bytes()
    (tmp_path / "src.zip").write_bytes(data.replace((3_000_000).to_bytes(4, "little"), (5000).to_bytes(4, "little")))
    prepare("folder", tmp_path / "src.zip", tmp_path / "out", "--test_share", 0)
    assert "checksum" in skipped(tmp_path / "out")["bee/bomb.jpg"]


def test_a_flipped_byte_in_a_zip_is_found(tmp_path):
    write_zip(tmp_path / "src.zip", class_tree(2), 0)
    data = bytearray((tmp_path / "src.zip").read_bytes())
    place = data.index(class_tree(2)["ant/0.jpg"][600:640])
    data[place] ^= 255
    (tmp_path / "src.zip").write_bytes(data)
    prepare("folder", tmp_path / "src.zip", tmp_path / "out", "--test_share", 0)
    assert list(skipped(tmp_path / "out")) == ["ant/0.jpg"]
    assert "checksum" in skipped(tmp_path / "out")["ant/0.jpg"]


@pytest.mark.parametrize("size", [-512, -1024, -1536, -99999])
def test_an_entry_that_leads_back_ends_the_reading(tmp_path, size):
    with tarfile.open(tmp_path / "src.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for number in range(3):
            entry = tarfile.TarInfo(f"bee/{number}.jpg")
            entry.pax_headers = {"size": str(size)}
            tar.addfile(entry)
    with limits(5, 100), pytest.raises(InputError, match="damaged archive"):
        list_members(tmp_path / "src.tar")
