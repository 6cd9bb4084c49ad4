"""The faiss index: faiss finds in it what the library finds."""

import numpy as np
import pytest

from ibc.export.faiss_index import write_faiss
from ibc.export.rows import as_bytes
from ibc.retrieval import search
from tests.export.small_codes import make_rows

faiss = pytest.importorskip("faiss")


@pytest.mark.parametrize("length", [256, 64, 13])
def test_equal_to_search(tmp_path, length):
    rows = make_rows(length)
    assert write_faiss(tmp_path / "codes.faiss", rows, lambda rows: None) == 0
    index = faiss.read_index_binary(str(tmp_path / "codes.faiss"))
    assert index.ntotal == 300 and index.d == -(-length // 8) * 8
    queries = as_bytes(next(rows.blocks(5)).words, index.d // 8)
    distances, found = index.search(queries, 300)
    wanted = search(rows.codes.bits, rows.codes.bits[:5], top=300)
    assert np.array_equal(distances, wanted.distances)
    order = np.lexsort((found, distances), axis=1)  # faiss promises no order of equals
    assert np.array_equal(np.take_along_axis(found, order, 1), wanted.rows)
