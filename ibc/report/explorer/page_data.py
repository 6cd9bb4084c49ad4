"""``data.js`` of the page: everything that its scripts know, as one object ``IBC_DATA``.

Its fields are described in docs/explorer.md, section "What data.js holds".
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from ibc.codes import CodeSet
from ibc.report.explorer.cards import BitCard
from ibc.report.explorer.encoding import base64_of, bitset, front_coded, planar_words, script_json, visible
from ibc.report.explorer.names import Vocabulary
from ibc.report.explorer.thumbnails import Sheets
from ibc.retrieval.bits import expert_bits

VERSION = 1


def page_data(codes: CodeSet, vocabulary: Vocabulary, sheets: Sheets, cards: list[BitCard], *, title: str,
              provenance: dict[str, Any], top_k: int, python: str, sql: str) -> dict[str, Any]:
    """The fields of ``IBC_DATA``, as plain types. top_k: expert bits of a class."""
    if codes.paths is None:
        raise ValueError("a page needs the paths of its images")
    paths = [visible(path) for path in codes.paths]
    order = sorted(range(len(paths)), key=paths.__getitem__)
    rests, shared = front_coded([paths[place] for place in order])
    undecided = np.argwhere(codes.binary_codes == 0.5).astype(np.int32)
    return {
        "version": VERSION,
        "title": visible(title),
        "count": len(codes),
        "code_length": codes.code_length,
        "words": -(-codes.code_length // 32),
        "codes": base64_of(planar_words(codes.binary_codes > 0.5)),
        "undecided": base64_of(undecided) if len(undecided) else None,
        "paths": rests,
        "paths_shared": base64_of(shared),
        "paths_order": None if order == list(range(len(order))) else base64_of(np.array(order, np.int32)),
        **_labels(vocabulary),
        "classes": [visible(name) for name in vocabulary.classes],
        "attributes": [{"name": visible(name), "has": bitset(vocabulary.flags[:, column])}
                       for column, name in enumerate(vocabulary.attributes)],
        "grm": None if codes.grm is None else base64_of(np.rint(codes.grm.clip(0, 1) * 255).astype(np.uint8)),
        "thumbs": {"size": sheets.size, "columns": sheets.columns, "rows": sheets.rows,
                   "sheets": [f"sprites/{name}" for name in sheets.files], "places": base64_of(sheets.places),
                   "unreadable": len(sheets.unreadable)},
        "sampled": None if sheets.chosen == len(codes) else {"shown": sheets.chosen, "of": len(codes)},
        "bits": [asdict(card) for card in cards],
        "expert_bits": None if codes.grm is None else expert_bits(codes.grm, min(top_k, codes.code_length)).tolist(),
        "python": python,
        "sql": sql,
        "provenance": {key: visible(value) if isinstance(value, str) else value for key, value in provenance.items()},
    }


def _labels(vocabulary: Vocabulary) -> dict[str, Any]:
    labels = vocabulary.labels
    if labels.multi_label:
        return {"labels": None, "label_sets": [np.flatnonzero(row).tolist() for row in labels.values]}
    if not labels.has_class.any():
        return {"labels": None, "label_sets": None}
    numbers = np.where(labels.has_class & (labels.values >= 0), labels.values, -1)
    return {"labels": base64_of(numbers.astype(np.int32)), "label_sets": None}


def data_script(data: dict[str, Any]) -> str:
    """The text of ``data.js``, one field a line."""
    lines = ",\n".join(f"{script_json(key)}:{script_json(value)}" for key, value in data.items())
    return f"window.IBC_DATA = {{\n{lines}\n}};\n"
