"""Files of codes to search in: our index files, and those of faiss."""

import tempfile
from pathlib import Path

import numpy as np
import pytest

from ibc.retrieval.engine.code_files import HEADER_BYTES, MAGIC, open_planes, write_index_file
from tests.fuzz.damage import damaged
from tests.fuzz.harness import fuzzed


def _index(undecided: bool) -> bytes:
    signs = np.where(np.random.default_rng(0).random((70, 12)) < 0.5, -1, 1).astype(np.int8)
    with tempfile.TemporaryDirectory() as folder:
        write_index_file(Path(folder, "codes.idx"), [signs], undecided)
        return Path(folder, "codes.idx").read_bytes()


def _header(text: str) -> bytes:
    """An index with another header."""
    return (MAGIC + text.encode() + b"\n").ljust(HEADER_BYTES, b"\0")


INDEXES = [_index(False), _index(True)]


@fuzzed(damaged(INDEXES, header=120), examples=[
    _header(f'{{"version": 1, "items": {items}, "bits": {bits}, "undecided": {flag}}}') for items, bits, flag in (
        ('"a"', 3, "false"), (-64, 12, "false"), (1.5, 12, "false"), (2**62, 2**62, "false"), (0, 12, "[]"),
        (64, 12, 5000), ("null", "null", "null"), (64, 0, "false"))] + [_header("[" * 3000)])
def test_index_file(data: bytes, folder: Path) -> None:
    (folder / "codes.idx").write_bytes(data)
    planes = open_planes(folder / "codes.idx")
    assert planes.count >= 0 and planes.length > 0


def _faiss_index() -> bytes:
    """A binary index of faiss, empty without that library."""
    try:
        import faiss
    except ImportError:
        return b""
    index = faiss.IndexBinaryFlat(16)
    index.add(np.arange(40, dtype=np.uint8).reshape(20, 2))
    return faiss.serialize_index_binary(index).tobytes()


@pytest.mark.skipif(not _faiss_index(), reason="no faiss")
@fuzzed(damaged([_faiss_index()], header=60))
def test_faiss_index(data: bytes, folder: Path) -> None:
    from ibc.retrieval.faiss_index import FaissIndex

    (folder / "codes.faiss").write_bytes(data)
    index = FaissIndex.open(folder / "codes.faiss")
    index.search(np.ones((1, index.code_length), np.int8), top=3)
