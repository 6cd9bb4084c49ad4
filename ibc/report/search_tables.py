"""A search for people and for programs: lines of text, and the metrics of the JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ibc.report.search_report import CommonBits, SearchReport
from ibc.report.text import columns
from ibc.retrieval.bit_choice import ChosenBits
from ibc.retrieval.bit_names import BitName
from ibc.retrieval.explained_search import Ranked, agreement, bit_word, distance_text

MOST_BITS = 32    # bits of a choice that are listed
MOST_SHARED = 12  # over-represented bits that are listed
ORDER = "images at equal distance are in the order of the codes file"


def search_lines(report: SearchReport) -> Iterator[str]:
    """The whole search as text."""
    if report.rankings:
        yield f"query: {report.title}"
    yield from (f"note: {note}" for note in report.notes)
    for ranked in report.rankings:
        yield ""
        yield ranked.choice.title
        yield from (f"note: {note}" for note in ranked.choice.notes)
        if ranked.choice.facts["bits"] != "all":
            yield from bit_lines(ranked)
        yield ""
        yield from result_lines(report, ranked)
        yield f"exact distances {distance_words(ranked)}; {ORDER}"
    if report.common is not None:
        if report.rankings:
            yield ""
        yield from common_lines(report.common, report.names)


def distance_words(ranked: Ranked) -> str:
    """What the distance of a ranking is, in words."""
    count = len(ranked.used)
    if ranked.total == count:
        return f"on {count} bit{'s' if count > 1 else ''}"
    return f"weighted, on {count} bit{'s' if count > 1 else ''}, {ranked.total:.3g} where all of them differ"


def bit_lines(ranked: Ranked) -> Iterator[str]:
    """The chosen bits with their concepts, IoU and chance level."""
    choice = ranked.choice
    weighted = ranked.total != len(ranked.used)
    rows = [["bit", "asked for", "concept", "category", "IoU", "chance", *(["weight"] if weighted else [])]]
    for bit in choice.bits[:MOST_BITS].tolist():
        name = choice.names.get(bit)
        sign = int(ranked.query.signs[bit])
        rows.append([str(bit + 1), {1: "1", -1: "0"}.get(sign, "any"), *name_cells(name),
                     *([f"{ranked.query.weights[bit]:.3f}"] if weighted else [])])
    yield from columns(rows)
    if len(choice.bits) > MOST_BITS:
        yield f"and {len(choice.bits) - MOST_BITS} more bits"


def name_cells(name: BitName | None) -> list[str]:
    """Concept, category, IoU and chance level of a bit as cells."""
    if name is None:
        return ["–", "–", "–", "–"]
    chance = "not known" if name.chance is None else f"{name.chance:.3f}"
    return [name.concept, name.category, f"{name.iou:.3f}", chance if name.beats_chance is not False
            else f"{chance} (not above)"]


def result_lines(report: SearchReport, ranked: Ranked) -> Iterator[str]:
    """The results: rank, distance, path, class, agreeing and differing bits."""
    rows = [["rank", "distance", "path", "class", "agrees", "differs"]]
    for hit in ranked.hits:
        rows.append([str(hit.rank), distance_text(hit.distance, ranked.whole), report.path(hit.row),
                     report.class_text(hit.row), *(text or "–" for text in agreement(hit, ranked))])
    yield from columns(rows)


def common_lines(common: CommonBits, names: dict[int, BitName]) -> Iterator[str]:
    """The bits that a set of images shares."""
    yield f"what {common.title} have in common, by log-likelihood ratio"
    rows = [["bit", "concept", "inside", "outside", "ratio"]]
    rows += [[str(shared.bit + 1), bit_word(shared.bit, names) if shared.bit in names else "–",
              f"{shared.inside:.0%}", f"{shared.outside:.0%}", f"{shared.score:.1f}"]
             for shared in common.bits[:MOST_SHARED]]
    yield from columns(rows)


def search_protocol(report: SearchReport) -> dict[str, Any]:
    """How the results came about, for the JSON."""
    return {"distance": "sum over the chosen bits of weight x (bit differs); an undecided bit (0.5) counts half",
            "exact": True, "ties": "database order", "weight": report.weight, "self": "examples are left out"}


def search_metrics(report: SearchReport) -> dict[str, Any]:
    """Every number of the search, for the JSON."""
    metrics: dict[str, Any] = {
        "query": {"title": report.title,
                  "examples": [{"path": image.path, "number": image.number, "wanted": image.wanted}
                               for image in report.query_images]},
        "rankings": [_ranking(report, ranked) for ranked in report.rankings]}
    if report.common is not None:
        metrics["common"] = {"set": report.common.title, "images": report.common.count,
                             "bits": [_shared(shared, report.names) for shared in report.common.bits]}
    return metrics


def _ranking(report: SearchReport, ranked: Ranked) -> dict[str, Any]:
    choice = ranked.choice
    return {
        "title": choice.title, **choice.facts, "notes": list(choice.notes), "largest_distance": ranked.total,
        "chosen": [_bit(bit, choice) | {"asked_for": int(ranked.query.signs[bit]),
                                        "weight": float(ranked.query.weights[bit])} for bit in choice.bits.tolist()],
        "results": [{"rank": hit.rank, "row_index": hit.row, "path": report.path(hit.row), "distance": hit.distance,
                     "class": report.class_text(hit.row), "agree_index": hit.agree, "differ_index": hit.differ,
                     "agrees": agreement(hit, ranked, None)[0], "differs": agreement(hit, ranked, None)[1]}
                    for hit in ranked.hits],
        "shared": [_shared(shared, choice.names) for shared in ranked.shared]}


def _bit(bit: int, choice: ChosenBits) -> dict[str, Any]:
    name = choice.names.get(bit)
    return {"bit_index": bit, "concept": name and name.concept, "category": name and name.category,
            "iou": name and name.iou, "chance": name and name.chance}


def _shared(shared: Any, names: dict[int, BitName]) -> dict[str, Any]:
    return {"bit_index": shared.bit, "concept": names[shared.bit].concept if shared.bit in names else None,
            "inside": shared.inside, "outside": shared.outside, "log_likelihood_ratio": shared.score}
