"""Codes in files: the same results from a memory map and from memory, in little memory; damaged files are named."""

import subprocess
import sys

import numpy as np
import pytest

from ibc.codes import CodeSet, save_codes
from ibc.errors import InputError
from ibc.retrieval.index import CodeIndex, write_index
from tests.conftest import ROOT


@pytest.fixture
def signs():
    return np.where(np.random.default_rng(0).random((2000, 70)) < 0.5, -1, 1).astype(np.int8)


def same(ours, theirs):
    return np.array_equal(ours.rows, theirs.rows) and np.array_equal(ours.distances, theirs.distances)


@pytest.mark.parametrize("undecided", [False, True])
def test_a_saved_index_gives_the_same_and_grows(signs, tmp_path, undecided):
    if undecided:
        signs[5:900:7, 3] = 0
    memory = CodeIndex(signs[:1500])
    memory.save(tmp_path / "codes.index")
    mapped = CodeIndex.open(tmp_path / "codes.index")
    assert len(mapped) == 1500 and mapped.code_length == 70
    queries = signs[:4] + (signs[:4] == 0)
    for options in ({}, {"bits": [1, 2, 3]}, {"weights": np.arange(1, 71)}):
        assert same(memory.search(queries, **options), mapped.search(queries, **options))
    memory.add(signs[1500:])
    mapped.add(signs[1500:1700])
    mapped.add(signs[1700:])
    assert same(memory.search(queries, top=1900), mapped.search(queries, top=1900))
    mapped.save(tmp_path / "more.index")
    memory.save(tmp_path / "again.index")
    assert (tmp_path / "more.index").read_bytes() == (tmp_path / "again.index").read_bytes()
    assert len(CodeIndex.open(tmp_path / "codes.index")) == 1500


def test_codes_files(signs, tmp_path):
    values = np.where(signs > 0, 0.9, 0.1).astype(np.float32)
    values[3, 4] = 0.5
    whole = CodeIndex(np.where(values == 0.5, 0, signs))
    codes = CodeSet(values, np.zeros((2000, 1)), paths=[f"{number}.jpg" for number in range(2000)])
    save_codes(tmp_path / "codes.npz", codes)
    save_codes(tmp_path / "codes.mat", codes)
    np.savez_compressed(tmp_path / "small.npz", binary_codes=values, lab=codes.labels)
    np.savez(tmp_path / "columns.npz", binary_codes=np.asfortranarray(values))
    np.save(tmp_path / "codes.npy", values)
    np.save(tmp_path / "signs.npy", np.where(values == 0.5, 0, signs))
    for name in ("codes.npz", "codes.mat", "small.npz", "columns.npz", "codes.npy", "signs.npy"):
        assert same(CodeIndex.open(tmp_path / name).search(signs[:3]), whole.search(signs[:3])), name


def test_blocks_are_written_one_after_another(signs, tmp_path):
    blocks = (signs[start : start + 300] > 0 for start in range(0, 2000, 300))
    assert write_index(tmp_path / "codes.index", blocks) == 2000
    assert same(CodeIndex.open(tmp_path / "codes.index").search(signs[:3]), CodeIndex(signs).search(signs[:3]))
    signs[1999, 0] = 0
    with pytest.raises(InputError, match="an undecided bit"):
        write_index(tmp_path / "other.index", [signs])
    with pytest.raises(InputError, match="no codes"):
        write_index(tmp_path / "other.index", [])
    with pytest.raises(InputError, match="codes of 3 bits, expected 70"):
        write_index(tmp_path / "other.index", [signs[:9], signs[:9, :3]], undecided=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["codes.index"]


def test_damaged_files(signs, tmp_path):
    CodeIndex(signs).save(tmp_path / "codes.index")
    content = (tmp_path / "codes.index").read_bytes()
    (tmp_path / "short.index").write_bytes(content[:-1])
    (tmp_path / "old.index").write_bytes(content.replace(b'"version": 1', b'"version": 0'))
    (tmp_path / "head.index").write_bytes(content.replace(b'"items"', b'"itens"'))
    (tmp_path / "text.index").write_bytes(b"hello")
    (tmp_path / "text.npz").write_bytes(b"hello")
    np.savez(tmp_path / "other.npz", lab=np.zeros(3))
    np.save(tmp_path / "wide.npy", signs * 1.0)
    np.save(tmp_path / "line.npy", np.zeros(5))
    for name, words in (("short", "bytes, expected"), ("old", "version 0"), ("head", "damaged header"),
                        ("text", "no index of codes")):
        with pytest.raises(InputError, match=words):
            CodeIndex.open(tmp_path / f"{name}.index")
    for name, words in (("text.npz", "unreadable"), ("other.npz", "no array 'binary_codes'"),
                        ("wide.npy", "not from 0 to 1 in row 1"), ("line.npy", "shape")):
        with pytest.raises(InputError, match=words):
            CodeIndex.open(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        CodeIndex.open(tmp_path / "none.index")


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from ibc.retrieval.index import CodeIndex
CodeIndex(np.ones((9, 256))).search(np.ones((1, 256)))  # compiled code is loaded
used = next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line[:6] == "VmData")
index = CodeIndex.open(sys.argv[1])
resource.setrlimit(resource.RLIMIT_DATA, (1024 * used + (24 << 20),) * 2)  # what a process writes, not mapped files
found = index.search(np.ones((2, 256)), bits=list(range(40)), top=50)
print(found.rows.tolist())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory limits of Linux")
def test_a_mapped_index_is_searched_in_a_fraction_of_its_size(tmp_path):
    random = np.random.default_rng(1)
    blocks = [random.integers(0, 2, (50_000, 256), dtype=np.int8) * 2 - 1 for _ in range(2)]
    write_index(tmp_path / "codes.index", (blocks[number % 2] for number in range(40)))  # 2 million
    size = (tmp_path / "codes.index").stat().st_size
    assert size > 60e6
    result = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path / "codes.index")], capture_output=True,
                            text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stderr
    distance = np.concatenate([np.count_nonzero(block[:, :40] < 0, axis=1) for block in blocks])
    rows = np.argsort(np.tile(distance, 20), kind="stable")[:50]
    assert result.stdout.strip() == str([rows.tolist()] * 2)
