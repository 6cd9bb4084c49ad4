"""One walk over folders: nothing is entered twice, and what is left out is counted."""

import os

import pytest

from ibc.data.list_file import images_below
from ibc.data.walk import LeftOut, unwanted_kind, walk_files
from ibc.datasets.building.archive import list_members
from ibc.errors import InputError
from tests.data.test_jpeg import jpeg
from tests.datasets.preparing import class_tree, prepare, skipped
from tests.datasets.replicas import write_tree, write_zip


def put(folder, *names):
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(jpeg(20, 20, seed=number))


def names_below(folder):
    left_out = LeftOut()
    return [file.name for file in walk_files(folder, left_out)], left_out.names


def test_linked_folders_are_entered_once(tmp_path):
    put(tmp_path, "photos/2023/0.jpg", "elsewhere/1.jpg", "elsewhere/deep/2.jpg")
    (tmp_path / "photos/2024").symlink_to("../elsewhere")
    (tmp_path / "photos/again").symlink_to("../elsewhere")
    (tmp_path / "photos/0 first by name").symlink_to("2023")  # the folder itself comes before links to it
    (tmp_path / "photos/2023/ring").symlink_to("..")
    (tmp_path / "photos/one file.jpg").symlink_to("2023/0.jpg")
    names, left_out = names_below(tmp_path / "photos")
    assert names == ["2023/0.jpg", "2024/1.jpg", "2024/deep/2.jpg", "one file.jpg"]
    assert set(left_out) == {"linked twice"}
    assert sorted(left_out["linked twice"]) == ["0 first by name", "2023/ring", "again"]
    assert images_below(tmp_path / "photos").names == names
    assert [member.name for member in list_members(tmp_path / "photos")] == names
    (tmp_path / "only").mkdir()
    (tmp_path / "only/album").symlink_to("../elsewhere")
    assert images_below(tmp_path / "only").names == ["album/1.jpg", "album/deep/2.jpg"]
    (tmp_path / "root").symlink_to("photos")
    assert images_below(tmp_path / "root").names == names


JUNK = ("._a.jpg", "a/._b.jpg", "__MACOSX/a/b.jpg", ".hidden/c.jpg", "a/.d.jpg",
        "a/.ipynb_checkpoints/e-checkpoint.jpg", "Thumbs.db", "a/Desktop.ini", "a/@eaDir/x.jpg")


def test_what_no_data_set_means_is_left_out_everywhere(tmp_path):
    put(tmp_path / "src", "a/x.jpg", "b/y.jpg", *JUNK)
    names, left_out = names_below(tmp_path / "src")
    assert names == ["a/x.jpg", "b/y.jpg"]
    assert {kind: len(found) for kind, found in left_out.items()} == {
        "of macOS": 3, "hidden": 2, "checkpoints of notebooks": 1, "of desktops": 2, "of the file system": 1}
    assert all(unwanted_kind(name) for name in JUNK) and not unwanted_kind("a/x.jpg")
    write_zip(tmp_path / "src.zip", dict.fromkeys((*JUNK, "a/x.jpg"), b""))
    for source in (tmp_path / "src", tmp_path / "src.zip"):
        notes = []
        assert "a/x.jpg" in [member.name for member in list_members(source, notes=notes)]
        assert len(notes) == 1 and "3 of macOS (" in notes[0]


def test_images_below_a_folder_are_known_by_ending_or_content_and_the_rest_is_said(tmp_path):
    put(tmp_path, "a.JPG", "no ending", "photo.jpg_large", "b/c.png")
    for name, content in (("notes.txt", b"text"), ("x.heic", b"\0\0\0\x18ftypheic"), ("raw.nef", b"II*\0" + bytes(60)),
                          ("b/.hidden.jpg", b"")):
        (tmp_path / name).write_bytes(content)
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    said = []
    images = images_below(tmp_path, said.append)
    assert images.names == ["a.JPG", "b/c.png", "no ending", "photo.jpg_large"]
    (line,) = said
    for part in ("3 no image that is read (notes.txt, raw.nef, x.heic)", "1 hidden (b/.hidden.jpg)",
                 "1 no regular file (pipe.jpg)", "1 a link that leads nowhere (gone.jpg)"):
        assert part in line
    said.clear()
    (tmp_path / "b/.hidden.jpg").unlink()
    images_below(tmp_path / "b", said.append)
    assert said == []
    put(tmp_path, "only/.x.jpg")
    with pytest.raises(InputError, match=r"found no image, but 1 hidden \(\.x\.jpg\), expected files ending in"):
        images_below(tmp_path / "only")


def test_a_pipe_among_the_images_of_a_class_is_skipped(tmp_path):
    write_tree(tmp_path / "src", class_tree(3))
    os.mkfifo(tmp_path / "src/ant/pipe.jpg")
    (tmp_path / "src/bee/gone.jpg").symlink_to("nowhere")
    prepare("folder", tmp_path / "src", tmp_path / "out")
    reasons = skipped(tmp_path / "out")
    assert {os.path.basename(name).split(".")[0]: reason for name, reason in reasons.items()} == {
        "pipe": "not readable: no regular file (a pipe, a socket or a device)",
        "gone": "not readable: No such file or directory"}


def test_a_folder_that_may_not_be_read_is_an_error(tmp_path, monkeypatch):
    put(tmp_path, "a/x.jpg", "b/y.jpg")
    scan = os.scandir

    def refuse(path):
        if path.endswith("/b"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr("ibc.data.walk.os.scandir", refuse)
    for find in (images_below, list_members):
        with pytest.raises(PermissionError, match="/b"):
            find(tmp_path)
