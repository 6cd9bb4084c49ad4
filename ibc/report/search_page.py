"""A search as one HTML file: query, results with the bits that agree and differ, bits in common; offline.

A ``SearchReport`` flows in; HTML text flows out. Images are small JPEGs inside the file. All text that comes from
files is escaped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ibc.report.search_report import CommonBits, SearchReport
from ibc.report.search_tables import ORDER, distance_words, name_cells
from ibc.report.thumbnails import as_data_url, load_thumbnails
from ibc.retrieval.bit_names import BitName
from ibc.retrieval.explained_search import Ranked, agreement, bit_word, distance_text
from ibc.retrieval.shared_bits import SharedBit

TEMPLATES = Path(__file__).parent / "templates"
SIDE = 224         # pixels of an image
MOST_SHARED = 10   # over-represented bits shown


@dataclass(frozen=True)
class _SharedLine:
    number: int
    concept: str
    inside: float
    outside: float
    score: float


def search_page(report: SearchReport) -> str:
    """The page. An image that is missing shows as an empty frame. Raises InputError where not one image is found."""
    found = load_thumbnails(report.files(), SIDE, report.folder)
    data = {file: as_data_url(image) for file, image in found.items() if image is not None}
    missing = len(found) - len(data)
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("search.html").render(
        report=report, missing=missing, order=ORDER, side=SIDE,
        examples=[{"title": image.title, "wanted": image.wanted, "url": data.get(report.query_file(image) or "")}
                  for image in report.query_images],
        rankings=[_ranking(report, ranked, data) for ranked in report.rankings],
        common=None if report.common is None else _common(report.common, report.names))


def _ranking(report: SearchReport, ranked: Ranked, data: dict[str, str]) -> dict[str, Any]:
    names, query = ranked.choice.names, ranked.query
    bits = [[str(bit + 1), {1: "1", -1: "0"}.get(int(query.signs[bit]), "any"), *name_cells(names.get(bit)),
             f"{query.weights[bit]:.3g}"] for bit in ranked.choice.bits.tolist()]
    hits = []
    for hit in ranked.hits:
        agrees, differs = agreement(hit, ranked, None)
        hits.append({"url": data.get(report.file(hit.row) or ""), "path": report.path(hit.row), "rank": hit.rank,
                     "class": report.class_text(hit.row), "distance": distance_text(hit.distance, ranked.whole),
                     "agrees": agrees, "differs": differs, "agree_count": len(hit.agree)})
    return {"title": ranked.choice.title, "notes": ranked.choice.notes, "words": distance_words(ranked), "bits": bits,
            "count": len(ranked.used), "hits": hits,
            "shared": [_shared(shared, names) for shared in ranked.shared[:MOST_SHARED]]}


def _common(common: CommonBits, names: dict[int, BitName]) -> dict[str, Any]:
    return {"title": common.title, "bits": [_shared(shared, names) for shared in common.bits[:MOST_SHARED]]}


def _shared(shared: SharedBit, names: dict[int, BitName]) -> _SharedLine:
    return _SharedLine(shared.bit + 1, bit_word(shared.bit, names), shared.inside, shared.outside, shared.score)
