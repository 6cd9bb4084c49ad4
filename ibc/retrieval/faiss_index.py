"""The search over faiss' exact binary index, for who has one: all bits, without masks and weights.

faiss is optional (``pip install faiss-cpu``). ``FaissIndex`` has the interface and the results of ``CodeIndex``; of
items at equal distance faiss keeps any, so the ones that belong to the result are looked up by a second pass.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ibc.codes import as_signs
from ibc.errors import InputError, input_error
from ibc.retrieval.engine.queries import make_queries
from ibc.retrieval.index import SearchResult, checked_top


class FaissIndex:
    """A faiss ``IndexBinaryFlat`` of D codes of K bits.

    bits: (D, K) signs -1 and +1, or bool. faiss takes whole bytes: a K that is no multiple of 8 is filled up with bits
    that are 0 everywhere.
    """

    def __init__(self, bits: Any) -> None:
        """Take the codes. Raises InputError for undecided bits (0), and where faiss is not installed."""
        signs = _decided("db_bits", bits)
        self.code_length = signs.shape[1]
        self._index = _faiss().IndexBinaryFlat(8 * -(-self.code_length // 8))
        self.add(signs)

    @classmethod
    def open(cls, path: str | os.PathLike, code_length: int | None = None) -> FaissIndex:
        """A file of faiss, such as ``ibc export`` writes. code_length: K, where it is no multiple of 8.

        Raises InputError for another kind of index.
        """
        faiss = _faiss()
        if not os.path.isfile(path):
            raise input_error(path, "no file", "a binary index of faiss")
        try:
            found = faiss.read_index_binary(os.fspath(path))
        except (RuntimeError, MemoryError, ValueError, OverflowError) as error:
            raise input_error(path, f"an unreadable file ({(str(error) or type(error).__name__).splitlines()[-1]})",
                              "a binary index of faiss") from None
        if type(found) is not faiss.IndexBinaryFlat:
            raise input_error(path, f"an index of the kind {type(found).__name__}", "IndexBinaryFlat")
        if found.d != 8 * found.code_size or found.ntotal * found.code_size != found.xb.size():
            raise input_error(path, f"{found.ntotal} codes of {found.d} bits in {found.xb.size()} bytes",
                              "a binary index of faiss", "write it again")
        length = found.d if code_length is None else code_length
        if 8 * -(-length // 8) != found.d:
            raise input_error(path, f"an index of {found.d} bits", f"{8 * -(-length // 8)} for codes of {length}")
        index = cls.__new__(cls)
        index.code_length, index._index = length, found
        return index

    def __len__(self) -> int:
        """D, the number of items."""
        return int(self._index.ntotal)

    def add(self, bits: Any) -> None:
        """Append (N, K) signs -1 and +1, or bool, as the last rows. Raises InputError for another K, and for a 0."""
        signs = _decided("bits", bits)
        if signs.shape[1] != self.code_length:
            raise input_error(None, f"codes of {signs.shape[1]} bits", f"{self.code_length}, as in the database")
        self._index.add(_packed(signs))

    def search(self, query_bits: Any, *, bits: Any = None, weights: Any = None, top: int = 100) -> SearchResult:
        """The nearest items of each query, as ``CodeIndex.search`` gives them.

        Raises InputError for chosen bits, weights, grades, and zeros of a query: faiss compares all bits.
        """
        queries = make_queries(query_bits, bits, weights, self.code_length)
        if queries.weights is not None or not queries.signs.all():
            raise input_error(None, "a query on some of the bits, or with weights", "a plain query on all bits",
                              "use CodeIndex: faiss knows no masks")
        top = min(checked_top(top), len(self))
        rows, distances = np.empty((len(queries), top), np.int64), np.empty((len(queries), top), np.int64)
        if not top:
            return SearchResult(rows, distances)
        packed = _packed(queries.signs)
        near, ids = self._index.search(packed, min(top + 1, len(self)))
        for number, (own, own_ids) in enumerate(zip(near, ids, strict=True)):
            if len(own) > top and own[top] == own[top - 1]:  # more items are as far as the last: take all of them
                _, own, own_ids = self._index.range_search(packed[number : number + 1], int(own[top]) + 1)
            order = np.lexsort((own_ids, own))[:top]
            rows[number], distances[number] = own_ids[order], own[order]
        return SearchResult(rows, distances)


def _faiss() -> Any:
    try:
        import faiss  # noqa: PLC0415 - an optional dependency
    except ImportError:
        raise InputError("faiss is not installed; run: pip install faiss-cpu") from None
    return faiss


def _decided(name: str, bits: Any) -> np.ndarray:
    signs = as_signs(name, bits)
    if not signs.all():
        raise input_error(None, f"an undecided bit (sign 0) in {name}", "signs -1 and +1",
                          "use CodeIndex: faiss knows no undecided bits")
    return signs


def _packed(signs: np.ndarray) -> np.ndarray:
    return np.packbits(signs > 0, axis=1, bitorder="little")
