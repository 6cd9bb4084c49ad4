"""List files: what is accepted, what is refused, with file and line."""

import numpy as np
import pytest

from ibc.data.list_file import extend_with_attributes, images_below, list_change, read_list, write_list
from ibc.errors import InputError


def read(tmp_path, text, **options):
    (tmp_path / "list.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_list("list.txt", tmp_path, **options)


def test_official_form(tmp_path):
    images = read(tmp_path, "a/1.jpg 0 -1 2\nb.jpg 99999 1 -1", class_num=3)
    assert images.names == ["a/1.jpg", "b.jpg"]
    assert images.files == [str(tmp_path / "a/1.jpg"), str(tmp_path / "b.jpg")]
    assert images.labels.tolist() == [[0, 0, 2], [99999, 1, 0]] and images.labels.dtype == np.float32


def test_lenient_form(tmp_path):
    text = b'\xef\xbb\xbf# a comment\r\n\r\n"my photos/a b.jpg"\t1   2\r\n  c.jpg 0 0  \r\n\n'
    images = read(tmp_path, text)
    assert images.names == ["my photos/a b.jpg", "c.jpg"] and images.labels.tolist() == [[1, 2], [0, 0]]


def test_filtered_columns(tmp_path):
    assert read(tmp_path, "a 1 2 3\n", filter_labels=[0, 2]).labels.tolist() == [[2]]
    with pytest.raises(InputError, match="filter_labels 3"):
        read(tmp_path, "a 1 2 3\n", filter_labels=[3])


@pytest.mark.parametrize("text, message", [
    ("a 1\nb 1 2\n", r"list\.txt:2: found 2 labels, expected 1, as in line 1"),
    ("a 1 2\n\nb 1\n", r"list\.txt:3: found 1 labels, expected 2"),
    ("a x\n", r"list\.txt:1: found label 'x'.*quote a path"),
    ("a\n", r"list\.txt:1: found no label"),
    ("a 1\nb 3\n", r"list\.txt:2: found label 3, expected a class from 0 to 2"),
    ("a -7\n", r"list\.txt:1: found label -7"),
    ("# nothing\n", "found no image"),
    ("", "found no image"),
    ("../a.jpg 0\n", r"list\.txt:1: found path '\.\./a\.jpg'.*inside the data folder"),
    ("b/../../a.jpg 0\n", "inside the data folder"),
    ('"a.jpg 0\n', "does not close"),
    ("a 99999999999999999999\n", r"list\.txt:1: found label 99999999999999999999, expected at most"),
    ("a\0b 0\n", r"list\.txt:1: found a path with a zero byte"),
])
def test_bad_rows_name_file_and_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, text, class_num=3)


def test_multi_label_rows(tmp_path):
    images = read(tmp_path, "a 0 1 1\nb -1 0 1\n", class_num=3, multi_label=True)
    assert images.labels.tolist() == [[0, 1, 1], [0, 0, 1]]
    with pytest.raises(InputError, match="3 labels, expected 4"):
        read(tmp_path, "a 0 1 1\n", class_num=4, multi_label=True)
    with pytest.raises(InputError, match=r":2: found label 5, expected 0 or 1"):
        read(tmp_path, "a 0 1 1\nb 0 5 1\n", class_num=3, multi_label=True)


def test_absolute_paths(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"")
    assert read(tmp_path, f"{tmp_path}/x.jpg 0\n").files == [f"{tmp_path}/x.jpg"]
    assert read(tmp_path, "/x.jpg 0\n").files == [f"{tmp_path}/x.jpg"]  # glued to the folder, as officially


def test_written_lists_are_read_back(tmp_path):
    names = ["plain.jpg", "with space.jpg", 'quote".jpg', "#hash.jpg", "back\\slash and space.jpg"]
    write_list(tmp_path / "list.txt", names, [[i, -1] for i in range(5)])
    images = read_list("list.txt", tmp_path)
    assert images.names == names and images.labels[:, 0].tolist() == [0, 1, 2, 3, 4]


ODD = ["line\u2028separator.jpg", "next\x85line.jpg", "new\nline.jpg", "return\rhere.jpg", "both\r\n.jpg",
       "tab\x0b.jpg", "unit\x1c.jpg", "\ufeffmark.jpg", "no\xa0break.jpg", "'single.jpg", '"', "a\\", "a\\u000a b",
       "\u3000wide", "b\udcff.jpg", "emoji\U0001f600.jpg", "\u200bzero.jpg", " lead", "trail ", "\\ b", "é" * 127]


def test_names_with_any_character_are_read_back(tmp_path):
    for first in ODD:
        names = [first, *ODD]
        for name in names:
            (tmp_path / name).write_bytes(b"")
        write_list(tmp_path / "list.txt", names, [[i] for i in range(len(names))])
        images = read_list("list.txt", tmp_path)
        assert images.names == names and images.files == [str(tmp_path / name) for name in names]


def test_only_line_ends_end_a_line(tmp_path):
    assert read(tmp_path, "a 0\rb 1\r\nc 2\n").names == ["a", "b", "c"]
    assert read(tmp_path, "a 0\x1c\nb\u2028 1\n").names == ["a", "b"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_texts_of_other_programs(tmp_path, encoding):
    text = "0.jpg 0\r\n\u732b.jpg 1\r\n"
    if encoding.endswith("e"):
        with pytest.raises(InputError, match=r"list\.txt: found text in UTF-16 without a byte order mark"):
            read(tmp_path, text.encode(encoding))
        text = "\ufeff" + text
    assert read(tmp_path, text.encode(encoding)).names == ["0.jpg", "\u732b.jpg"]


def test_a_cut_utf16_text_is_named(tmp_path):
    with pytest.raises(InputError, match=r"list\.txt:2: found bytes that are not UTF-16"):
        read(tmp_path, "a 0\nb 1".encode("utf-16")[:-1])


def test_accents_composed_otherwise_are_found(tmp_path):
    (tmp_path / "cafe\u0301").mkdir()
    (tmp_path / "cafe\u0301" / "u\u0308.jpg").write_bytes(b"")
    assert read(tmp_path, "caf\xe9/\xfc.jpg 0\n").files == [f"{tmp_path}/cafe\u0301/u\u0308.jpg"]
    (tmp_path / "caf\xe9").mkdir()
    (tmp_path / "caf\xe9" / "\xfc.jpg").write_bytes(b"")
    assert read(tmp_path, "caf\xe9/\xfc.jpg 0\n").files == [f"{tmp_path}/caf\xe9/\xfc.jpg"]  # the exact name first


def test_bytes_that_name_no_file_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"list\.txt:2: found the path .*, which is not UTF-8 and of no file"):
        read(tmp_path, b"a.jpg 0\ngr\xfcn.jpg 0\n")


@pytest.mark.parametrize("text, change", [
    ("a 0\nb 1\n", ""), ("# same\na\t0\nb 1", ""), ("a 0\n", "1 images, 2 before"), ("b 0\na 1\n", "other images"),
    ("a 0 1\nb 1 1\n", "2 label columns, 1 before"), ("a 1\nb 0\n", "other labels")])
def test_another_list_is_told_by_its_digest(tmp_path, text, change):
    before = read(tmp_path, "a 0\nb 1\n").digest()
    found = list_change(before, read(tmp_path, text).digest())
    assert found.startswith(change) and bool(found) == bool(change)


def test_attribute_list_is_repeated_as_often_as_it_fits(tmp_path):
    images = read(tmp_path, "".join(f"{i} {i}\n" for i in range(7)))
    attributes = read(tmp_path, "a 8\nb 9\nc 9\n")
    extended = extend_with_attributes(images, attributes)
    assert extended.names == [*"0123456", *"abc", *"abc"] and len(extended.labels) == len(extended.files) == 13


def test_images_below_a_folder(tmp_path):
    for name in ("b/2.JPG", "a.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    images = images_below(tmp_path)
    assert images.names == ["a.png", "b/2.JPG"] and images.labels.tolist() == [[99999], [99999]]
    with pytest.raises(InputError, match="no image"):
        images_below(make_empty(tmp_path))


def make_empty(tmp_path):
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"
