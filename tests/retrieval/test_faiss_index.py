"""The faiss binary index gives what our index gives, and says what it cannot do."""

import sys

import numpy as np
import pytest

from ibc.errors import InputError
from ibc.retrieval import CodeIndex
from ibc.retrieval.faiss_index import FaissIndex


@pytest.mark.parametrize("length", [3, 64, 100])
@pytest.mark.parametrize("top", [1, 10, 5000])
def test_equal_to_our_index(length, top, tmp_path):
    faiss = pytest.importorskip("faiss")
    db = np.where(np.random.default_rng(length).random((1000, length)) < 0.5, -1, 1)
    ours = CodeIndex(db).search(db[:20], top=top)
    theirs = FaissIndex(db[:700])
    theirs.add(db[700:])
    faiss.write_index_binary(theirs._index, str(tmp_path / "codes.faiss"))
    for index in (theirs, FaissIndex.open(tmp_path / "codes.faiss", length)):
        found = index.search(db[:20], top=top)
        assert len(index) == 1000 and index.code_length == length
        assert np.array_equal(found.rows, ours.rows) and np.array_equal(found.distances, ours.distances)


def test_what_faiss_cannot(tmp_path):
    faiss = pytest.importorskip("faiss")
    index = FaissIndex(np.ones((5, 16)))
    for options in ({"bits": [1, 2]}, {"weights": np.arange(1, 17)}):
        with pytest.raises(InputError, match="use CodeIndex"):
            index.search(np.ones((1, 16)), **options)
    with pytest.raises(InputError, match="use CodeIndex"):
        index.add(np.zeros((1, 16)))
    with pytest.raises(InputError, match="codes of 8 bits, expected 16"):
        index.add(np.ones((1, 8)))
    (tmp_path / "text").write_text("hello")
    for name, words in (("text", "unreadable"), ("none", "no file")):
        with pytest.raises(InputError, match=words):
            FaissIndex.open(tmp_path / name)
    faiss.write_index_binary(index._index, str(tmp_path / "codes.faiss"))
    with pytest.raises(InputError, match="an index of 16 bits, expected 24"):
        FaissIndex.open(tmp_path / "codes.faiss", 20)
    faiss.write_index_binary(faiss.IndexBinaryHash(16, 4), str(tmp_path / "hash.faiss"))
    with pytest.raises(InputError, match="expected IndexBinaryFlat"):
        FaissIndex.open(tmp_path / "hash.faiss")


def test_without_faiss(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(InputError, match="pip install faiss-cpu"):
        FaissIndex(np.ones((5, 16)))
