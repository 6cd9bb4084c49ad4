"""Packed data sets: the same pixels, codes and weights as from the folder, and clear words on damaged archives."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import struct
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ibc.commands.doctor import COMMAND as doctor
from ibc.commands.prepare import COMMAND as prepare
from ibc.commands.report import _class_names
from ibc.config import load_config
from ibc.data.gpu.file_batch import FileBatchReader
from ibc.data.list_file import read_list
from ibc.data.zip_folder import ZipFolder, file_of, is_zip_folder, read_bytes
from ibc.errors import InputError
from tests.small_run import ROOT, error_of, make_run, run

SCRIPT_WITH_WORKERS = """
import os, runpy, sys
os.sched_getaffinity = lambda _: range(64)  # as many loader workers as the config asks for
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def pack(folder: Path, *more: str) -> Path:
    """The archive of a folder, made by the command."""
    target = folder.with_name(f"{folder.name}.zip")
    assert prepare(["pack", str(folder), str(target), *more]) == 0
    return target


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> tuple[Path, Path, Path]:
    """(config, folder, archive) of the same 40 images."""
    folder = tmp_path_factory.mktemp("packed") / "data"
    config = make_run(folder, max_iter=4)
    (folder / "classes.txt").write_text("ant\nbee\ncat\ndog\n")
    return config, folder, pack(folder)


def changed(archive: Path, target: Path, change) -> Path:
    """A copy of the archive with ``change(bytearray)`` done to its bytes."""
    content = bytearray(archive.read_bytes())
    result = change(content)
    target.write_bytes(content if result is None else result)
    return target


def test_an_archive_holds_lists_names_and_images_in_their_order(sources):
    _, folder, archive = sources
    images = [f"images/{index:03d}.jpg" for index in range(40)]
    with zipfile.ZipFile(archive) as content:
        assert content.namelist() == ["test.txt", "train.txt", "classes.txt", *images]
        assert {entry.compress_type for entry in content.infolist()} == {zipfile.ZIP_STORED}
        assert content.testzip() is None
        assert all(content.read(name) == (folder / name).read_bytes() for name in content.namelist())
    first = archive.read_bytes()
    assert pack(folder).read_bytes() == first  # of no date


def test_lists_and_files_are_those_of_the_folder(sources):
    _, folder, archive = sources
    plain, packed = read_list("train.txt", folder), read_list("train.txt", archive)
    assert packed.names == plain.names and np.array_equal(packed.labels, plain.labels)
    assert packed.files[3] == f"{archive}:images/003.jpg"
    for one, other in zip(plain.files, packed.files, strict=True):
        assert read_bytes(other) == Path(one).read_bytes()
    assert _class_names(None, {"data_folder": str(archive)}) == dict(enumerate(("ant", "bee", "cat", "dog")))


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_training_and_extraction_are_bit_identical(sources, tmp_path, workers):
    config, folder, archive = sources
    for name, source in (("folder", f"{folder}/"), ("packed", archive)):
        common = ("--config", config, "--output_path", tmp_path / name, "--device", "cpu",
                  "--set", f"data_folder={source}", "--set", f"num_workers={workers}")
        for script, more in (("train", ()), ("fea_extraction", ("--checkpoint", tmp_path / name / "outputs/small",
                                                                "--save_name", "test"))):
            if workers:
                command = [sys.executable, "-c", SCRIPT_WITH_WORKERS, f"{script}.py", *map(str, common + more)]
                done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
            else:
                done = run(f"{script}.py", *common, *more)
            assert done.returncode == 0, done.stderr
    weights = [torch.load(tmp_path / name / "outputs/small/checkpoints/checkpoint_00000004.pt",
                          weights_only=True)["state_dict"] for name in ("folder", "packed")]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    codes = [np.load(tmp_path / name / "results/small/test.npz") for name in ("folder", "packed")]
    assert set(codes[0].files) == set(codes[1].files) >= {"binary_codes", "paths"}
    assert all(np.array_equal(codes[0][key], codes[1][key]) for key in codes[0].files)


def test_the_readers_of_the_gpu_loader_take_both(sources):
    _, folder, archive = sources
    contents = {}
    for source in (folder, archive):
        reader = FileBatchReader(read_list("train.txt", source).files)
        eighths = [list(range(first, 40, 8)) for first in range(8)]
        with ThreadPoolExecutor(8) as readers:  # threads share one open archive
            parts = list(readers.map(reader.read, eighths, [1 << 30] * 8))
        assert not any(part.errors for part in parts)
        contents[source] = {index: part.file(place) for part in parts for place, index in enumerate(part.indices)}
    assert len(contents[folder]) == 40 and contents[folder] == contents[archive]
    files = read_list("train.txt", folder).files
    assert all(Path(files[index]).read_bytes() == content for index, content in contents[folder].items())


def test_the_doctor_reads_an_archive(sources, tmp_path):
    config, _, archive = sources
    report = tmp_path / "report.json"
    assert doctor([str(config), "--set", f"data_folder={archive}", "--skip_timing", "--workers", "2",
                   "--json", str(report)]) == 0
    assert f'"path": "{archive}"' in report.read_text() and '"examined": 40' in report.read_text()


def test_a_missing_member_is_treated_as_a_missing_file(sources, tmp_path):
    config, folder, _ = sources
    short = tmp_path / "short.zip"
    with zipfile.ZipFile(short, "w") as archive:
        for path in (folder / "test.txt", *sorted(folder.glob("images/*.jpg"))[:-1]):
            archive.write(path, path.relative_to(folder))
    checkpoints = tmp_path / "out"
    assert run("train.py", "--config", config, "--output_path", checkpoints).returncode == 0
    command = ("fea_extraction.py", "--config", config, "--checkpoint", checkpoints / "outputs/small", "--save_name",
               "x", "--output_path", tmp_path, "--set", f"data_folder={short}")
    assert error_of(run(*command)) == f"error: {short}:images/039.jpg: No such file or directory"
    skipping = run(*command, "--skip_bad_images")
    assert skipping.returncode == 0 and "1 unreadable" in skipping.stdout
    assert len(np.load(tmp_path / "results/small/x.npz")["binary_codes"]) == 39
    contents = FileBatchReader([f"{short}:images/038.jpg", f"{short}:images/039.jpg"]).read([1, 0], 1 << 30)
    assert contents.indices == [0]
    assert contents.errors[1].message == f"{short}:images/039.jpg: No such file or directory"
    with pytest.raises(FileNotFoundError, match=r"short\.zip:train\.txt"):
        read_list("train.txt", short)


def test_a_deflated_archive_is_read_too(sources, tmp_path):
    _, folder, archive = sources
    deflated = tmp_path / "deflated.zip"
    with zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as target, zipfile.ZipFile(archive) as source:
        for name in source.namelist():
            target.writestr(name, source.read(name))
        target.writestr("empty.jpg", b"")
    for one in read_list("train.txt", deflated).names:
        assert read_bytes(f"{deflated}:{one}") == (folder / one).read_bytes()
    assert read_bytes(f"{deflated}:empty.jpg") == b""
    empty = FileBatchReader([f"{deflated}:empty.jpg"]).read([0], 1 << 30)
    assert "empty.jpg: an empty file" in empty.errors[0].message

    start = zipfile.ZipFile(deflated).getinfo("images/005.jpg").header_offset

    def spoil(content):
        content[start + 60 : start + 90] = b"\xff" * 30

    spoilt = changed(deflated, tmp_path / "spoilt.zip", spoil)
    with pytest.raises(InputError, match=r"spoilt\.zip:images/005\.jpg: found .*expected a whole member"):
        read_bytes(f"{spoilt}:images/005.jpg")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression_is_refused_on_opening(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "odd.zip", "w", method) as archive:
        archive.writestr("train.txt", b"a.jpg 0\n")
    with pytest.raises(InputError, match=r"odd\.zip:train\.txt: found an encrypted or unusually compressed member"):
        read_list("train.txt", tmp_path / "odd.zip")


def test_an_encrypted_member_is_refused(sources, tmp_path):
    def encrypt(content):
        place = content.rindex(b"PK\1\2")
        content[place + 8] |= 1

    with pytest.raises(InputError, match=r"039\.jpg: found an encrypted"):
        read_list("train.txt", changed(sources[2], tmp_path / "locked.zip", encrypt))


@pytest.mark.parametrize("change", [lambda content: content[: len(content) // 2], lambda content: content[:-30],
                                    lambda content: b"", lambda content: b"no zip" * 100])
def test_a_torn_archive_is_refused_on_opening(sources, tmp_path, change):
    torn = changed(sources[2], tmp_path / "torn.zip", change)
    message = error_of(run("train.py", "--config", sources[0], "--output_path", tmp_path / "out",
                           "--set", f"data_folder={torn}"))
    assert message.startswith(f"error: {torn}: found an archive that cannot be read")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").rglob("*.pt"))


def test_a_hole_in_an_archive_names_the_member(sources, tmp_path):
    start = zipfile.ZipFile(sources[2]).getinfo("images/007.jpg").header_offset

    def hole(content):
        content[start : start + 200] = bytes(200)

    holed = changed(sources[2], tmp_path / "holed.zip", hole)
    with pytest.raises(InputError, match=r"holed\.zip:images/007\.jpg: found no header"):
        read_bytes(f"{holed}:images/007.jpg")
    assert "007.jpg" in FileBatchReader([f"{holed}:images/007.jpg"]).read([0], 1 << 30).errors[0].message
    assert read_bytes(f"{holed}:images/006.jpg") == read_bytes(f"{sources[2]}:images/006.jpg")


def test_members_beyond_four_gigabytes_are_found(tmp_path):
    huge = tmp_path / "huge.zip"
    with open(huge, "wb") as handle:
        handle.truncate(2**32 + 2**28)  # a hole: takes no disk
    with zipfile.ZipFile(huge, "a") as archive:
        archive.writestr("train.txt", "a.jpg 0\nb.jpg 1\n")
        archive.writestr("a.jpg", b"first")
        with archive.open("b.jpg", "w", force_zip64=True) as member:  # sizes in the extra field of its local header
            member.write(b"second")
    assert zipfile.ZipFile(huge).getinfo("a.jpg").header_offset > 2**32
    assert struct.pack("<L", 2**32 - 1) in _tail(huge)  # ZIP64 marks in the directory
    assert [read_bytes(file) for file in read_list("train.txt", huge).files] == [b"first", b"second"]


def _tail(path: Path) -> bytes:
    with open(path, "rb") as handle:
        handle.seek(-1000, os.SEEK_END)
        return handle.read()


def test_odd_paths(tmp_path):
    source = tmp_path / "src"
    (source / "a b").mkdir(parents=True)
    for name in ("1.jpg", "a b/2.jpg", "é.jpg"):
        (source / name).write_bytes(name.encode())
    (source / "train.txt").write_text('./1.jpg 0\n"a b/../a b//2.jpg" 1\n/1.jpg 2\n\u00e9.jpg 0\n')
    archive = pack(source)
    packed = read_list("train.txt", f"{archive}/")
    assert packed.names == read_list("train.txt", source).names
    assert [read_bytes(file).decode() for file in packed.files] == ["1.jpg", "a b/2.jpg", "1.jpg", "é.jpg"]
    outside = tmp_path / "outside.txt"  # a list of one's own over the packed images
    outside.write_text(f"é.jpg 0\n{source}/1.jpg 1\n../secret.jpg 0\n")
    with pytest.raises(InputError, match=r"outside\.txt:3: found path '\.\./secret\.jpg'.*inside the data folder"):
        read_list(outside, archive)
    outside.write_text(f"é.jpg 0\n{source}/1.jpg 1\n")
    assert [read_bytes(file).decode() for file in read_list(outside, archive).files] == ["é.jpg", "1.jpg"]


@pytest.mark.parametrize("text, message", [
    ("../x.jpg 0\n", "found path '../x.jpg'"),
    ("/etc/hostname 0\n", "found absolute path '/etc/hostname'"),
    ("none.jpg 0\n", "none.jpg: No such file or directory"),
    (b"\xff.jpg 0\n", "which is not UTF-8"),
    ("a.jpg x\n", "train.txt:1: found label 'x'"),
])
def test_what_cannot_be_packed_leaves_nothing_behind(tmp_path, capsys, text, message):
    source = tmp_path / "src"
    source.mkdir()
    (source / "train.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert prepare(["pack", str(source), str(tmp_path / "out.zip")]) == 2
    assert message in capsys.readouterr().err and os.listdir(tmp_path) == ["src"]


@pytest.mark.parametrize("words, message", [
    (["{0}", "{0}/out.tar"], "ends in .zip"), (["{0}/none", "{0}/out.zip"], "no such folder"),
    (["{0}", "{0}/out.zip"], "no list file"), (["{0}", "{0}/out.zip", "--list", "../a.txt"], "inside it"),
    (["{0}", "{0}/out.zip", "--list", "a.txt"], "a.txt: No such file"),
])
def test_bad_words_are_one_line(tmp_path, capsys, words, message):
    assert prepare(["pack", *(word.format(tmp_path) for word in words)]) == 2
    assert message in capsys.readouterr().err and not os.listdir(tmp_path)


def test_an_interrupted_pack_keeps_the_old_archive(sources, tmp_path, monkeypatch):
    folder = shutil.copytree(sources[1], tmp_path / "data")
    old = pack(folder).read_bytes()
    write, written = zipfile.ZipFile.writestr, []

    def interrupted(*arguments, **options):
        written.append(1)
        if len(written) == 5:
            raise KeyboardInterrupt
        return write(*arguments, **options)

    monkeypatch.setattr(zipfile.ZipFile, "writestr", interrupted)
    assert prepare(["pack", str(folder), str(tmp_path / "data.zip")]) == 130
    assert (tmp_path / "data.zip").read_bytes() == old and sorted(os.listdir(tmp_path)) == ["data", "data.zip"]


def test_a_full_disk_is_refused_before_the_work(sources, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    assert prepare(["pack", str(sources[1]), str(tmp_path / "out.zip")]) == 2
    assert "GB free" in capsys.readouterr().err and not os.listdir(tmp_path)


def test_the_lists_of_the_manifest_or_the_flags_are_packed(sources, tmp_path):
    folder = shutil.copytree(sources[1], tmp_path / "data")
    (folder / "notes.txt").write_text("no list\n")
    (folder / "manifest.json").write_text('{"lists": {"train.txt": {}}}')
    assert set(ZipFolder(str(pack(folder))).members) >= {"train.txt", "manifest.json", "classes.txt", "images/000.jpg"}
    assert "test.txt" not in ZipFolder(str(pack(folder))).members
    (folder / "manifest.json").unlink()
    archive = pack(folder, "--list", "./test.txt")
    assert len(read_list("test.txt", archive)) == 40 and "train.txt" not in ZipFolder(str(archive)).members


def test_a_replaced_archive_is_opened_again(tmp_path):
    for content in ("a.jpg 0\n", "a.jpg 0\nb.jpg 0\n"):
        with zipfile.ZipFile(tmp_path / "new.zip", "w") as archive:
            archive.writestr("train.txt", content)
        os.replace(tmp_path / "new.zip", tmp_path / "x.zip")
        assert len(read_list("train.txt", tmp_path / "x.zip")) == content.count("\n")


def test_folders_and_files_with_zip_in_their_names_stay_what_they_are(tmp_path):
    folder = tmp_path / "x.zip"
    (folder / "y.zip:z").mkdir(parents=True)
    (folder / "y.zip:z/a.jpg").write_bytes(b"plain")
    (folder / "train.txt").write_text("y.zip:z/a.jpg 0\n")
    assert not is_zip_folder(folder) and file_of(folder, "train.txt") == str(folder / "train.txt")
    assert read_bytes(read_list("train.txt", folder).files[0]) == b"plain"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_and_threads_read_the_same_bytes(sources, method):
    _, folder, archive = sources
    names = read_list("train.txt", archive).names
    expected = [(folder / name).read_bytes() for name in names] * 5
    found: dict[int, list[bytes]] = {}
    threads = [threading.Thread(target=lambda part=part: found.update(
        {part: [read_bytes(f"{archive}:{name}") for name in names * 5]})) for part in range(4)]
    with multiprocessing.get_context(method).Pool(2) as pool:
        results = pool.map_async(read_bytes, [f"{archive}:{name}" for name in names * 5])
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results.get(timeout=120) == expected
    assert len(found) == 4 and all(content == expected for content in found.values())


def test_a_config_may_name_an_archive(sources):
    config, _, archive = sources
    from ibc.data.loader import images_for_testing as images_of_test
    loaded = load_config(config, [f"data_folder={archive}"])
    assert len(images_of_test(loaded)) == 40
