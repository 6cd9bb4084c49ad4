"""The folder of an export: what is not ours is never overwritten, and files of two codes never mix."""

import json

import pytest

from ibc.errors import InputError
from ibc.export.folder import CODES, FAISS, MANIFEST, SQL, claim_folder, write_manifest


def export(folder, names, source):
    manifest = claim_folder(folder, names, source)
    for name in names:
        (folder / name).write_text(source)
        manifest["files"][name] = source
    write_manifest(folder, manifest)


def test_again_and_more(tmp_path):
    export(tmp_path / "new" / "e", [CODES, SQL], "a")
    export(tmp_path / "new" / "e", [FAISS], "a")
    export(tmp_path / "new" / "e", [CODES, SQL, FAISS], "b")
    assert json.loads((tmp_path / "new" / "e" / MANIFEST).read_text())["files"] == {CODES: "b", SQL: "b", FAISS: "b"}


@pytest.mark.parametrize("name", ["notes.txt", CODES, ".hidden"])
def test_foreign_files(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match="which no export wrote"):
        export(tmp_path, [CODES], "a")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [(name, "mine")]


def test_a_foreign_file_beside_an_export(tmp_path):
    export(tmp_path, [CODES], "a")
    (tmp_path / FAISS).write_text("mine")
    with pytest.raises(InputError, match=r"codes\.faiss"):
        export(tmp_path, [FAISS], "a")
    assert (tmp_path / FAISS).read_text() == "mine"


@pytest.mark.parametrize("text", ["", "[]", '{"files": ["codes.parquet"]}', '{"files": {"x": null}}'])
def test_a_foreign_manifest(tmp_path, text):
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(InputError, match="a file that no export wrote"):
        export(tmp_path, [CODES], "a")
    assert (tmp_path / MANIFEST).read_text() == text


def test_files_of_other_codes(tmp_path):
    export(tmp_path, [CODES, SQL], "a")
    with pytest.raises(InputError, match=r"search\.sql of other codes"):
        export(tmp_path, [CODES], "b")


def test_after_a_kill(tmp_path):
    claim_folder(tmp_path, [CODES, SQL], "a")
    (tmp_path / CODES).write_text("whole or of an earlier export")
    (tmp_path / f".{SQL}.123.tmp").write_text("half")
    with pytest.raises(InputError, match=r"codes\.parquet of other codes"):
        claim_folder(tmp_path, [SQL], "a")
    export(tmp_path, [CODES, SQL], "a")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([CODES, SQL, MANIFEST])


def test_a_file_instead_of_a_folder(tmp_path):
    (tmp_path / "f").write_text("mine")
    with pytest.raises(InputError, match="found a file, expected a folder"):
        claim_folder(tmp_path / "f", [CODES], "a")
