"""Codes for the tests of exports: random, with many equal distances, classes, attributes and odd paths."""

from __future__ import annotations

import numpy as np

from ibc.codes import CodeSet
from ibc.export.query import MaskedQuery, masked_query
from ibc.export.rows import ExportRows, label_columns
from ibc.labels import NO_CATEGORY
from ibc.retrieval import search

PROVENANCE = {"codes_sha256": "0" * 64}


def make_codes(length: int = 256, count: int = 300, seed: int = 0) -> CodeSet:
    """Items 0 and 1 are opposite, so that distances reach the code length; 0 has no category."""
    random = np.random.default_rng(seed)
    codes = random.random((count, length), np.float32)
    codes[codes == 0.5] = 0.25
    codes[1] = 1 - codes[0]
    codes[2:40] = codes[40:78]  # equal distances
    labels = np.column_stack([random.integers(0, 4, count), random.choice([0, 1, -1, 2], (count, 2))])
    labels[0, 0] = NO_CATEGORY
    paths = [f"a b/ü'{row}\".jpg" for row in range(count)]
    return CodeSet(codes, labels.astype(np.float32), random.random((4, length), np.float32), paths)


def make_rows(length: int = 256, count: int = 300, seed: int = 0) -> ExportRows:
    codes = make_codes(length, count, seed)
    return ExportRows(codes, label_columns(codes, class_names=["tree", "'quoted'", "sea; --", "x"],
                                           attribute_names=["sailing/ boating", "Größe"]))


def queries(rows: ExportRows) -> list[tuple[MaskedQuery, np.ndarray | None, np.ndarray | None]]:
    """(query as SQL, bits, weights): all bits, 13 bits, one bit, the sign bits of words, weights."""
    signs, length = rows.codes.bits, rows.codes.code_length
    random = np.random.default_rng(1)
    weights = random.choice([0, 0.5, 1, 3], length)
    some = np.sort(random.permutation(length)[:13])
    edges = np.array([bit for bit in (0, 63, 64, 127, 255) if bit < length])
    choices = [(None, None), (some, None), (np.array([length - 1]), None), (edges, None), (None, weights),
               (some, np.arange(1, length + 1) / 8)]
    return [(masked_query(signs[row], bits, own, top=60), bits, own) for row, (bits, own) in enumerate(choices)]


def expected(rows: ExportRows, place: int, bits: np.ndarray | None,
             weights: np.ndarray | None) -> list[tuple[int, str, float]]:
    """(row, path, distance) of the 60 nearest items of the query at ``place`` of ``queries``, by the library."""
    signs = rows.codes.bits
    found = search(signs, signs[place][None], bits=bits, weights=weights, top=60)
    return [(row, rows.codes.paths[row], distance)
            for row, distance in zip(found.rows[0].tolist(), found.distances[0].tolist(), strict=True)]


def assert_same(found: list[tuple], rows: ExportRows, place: int, bits, weights) -> None:
    """What an engine found is what the library finds: rows, paths, distances, order."""
    wanted = expected(rows, place, bits, weights)
    assert [(int(row), path) for row, path, _ in found] == [(row, path) for row, path, _ in wanted]
    np.testing.assert_allclose([float(item[2]) for item in found], [item[2] for item in wanted], rtol=1e-12)
