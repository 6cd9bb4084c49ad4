"""Text of the evaluation commands: the official lines, then tables that say what each number is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ibc.retrieval.average_precision import MeanAveragePrecision, RetrievalScores
from ibc.retrieval.category import Protocol, Row

SELF_WORDS = {"keep": "query kept in its ranking", "exclude": "query left out", "hit": "query counted as a hit",
              None: "separate database"}
TIE_WORDS = {"stable": "database order", "expected": "expected over ties", "bounds": "expected [worst, best order]"}


def number(value: float) -> str:
    """Four decimals, as the official programs print; "none" where there is nothing to average."""
    return "none" if math.isnan(value) else f"{value:.4f}"


def official(value: float) -> str:
    """Four decimals, and Octave's word for what is not a number."""
    return "NaN" if math.isnan(value) else f"{value:.4f}"


def maps(values: Sequence[MeanAveragePrecision], bounds: bool) -> str:
    """One mAP, with its bounds on request, or mean ± deviation over draws."""
    if len(values) > 1:
        return f"{number(float(np.mean(values)))} ± {np.std(values, ddof=1):.4f}"
    value = values[0]
    return number(value) + (f" [{number(value.pessimistic)}, {number(value.optimistic)}]" if bounds else "")


def columns(lines: Sequence[Sequence[str]], indent: str = "") -> Iterator[str]:
    """Rows of cells in columns wide enough for their content, the first one flush left as the others."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        yield indent + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def category_table(rows: Iterable[Row], protocol: Protocol) -> Iterator[str]:
    """mAP of every way of choosing bits, under the protocol asked for and in the way to trust."""
    cells = [("mAP, category retrieval", SELF_WORDS[protocol.self_match], SELF_WORDS[protocol.trusted_match]),
             ("", TIE_WORDS[protocol.ties], TIE_WORDS["bounds"])]
    notes = []
    for row in rows:
        mark = ""
        if row.note:
            notes.append(row.note)
            mark = " " + "*" * len(notes)
        cells.append((row.name + mark, maps(row.asked, protocol.ties == "bounds"), maps(row.trusted, True)))
    yield from columns(cells)
    for place, note in enumerate(notes, start=1):
        yield f"{'*' * place} {note}"


def cut_table(rows: Iterable[Row], protocol: Protocol) -> Iterator[str]:
    """mAP@R with both divisors, beside precision and recall at R."""
    ties = protocol.ties
    order = "stable" if ties == "stable" else "expected"
    cells = [("cut after R", "R", "mAP@R over all relevant", "mAP@R over min(R, relevant)", "precision@R", "recall@R")]
    for row in rows:
        scores = row.scores
        if scores is None or len(row.asked) > 1:
            continue
        for cut in protocol.at:
            cells.append((row.name, str(cut), maps([scores.mean_average_precision(ties, cut)], ties == "bounds"),
                          maps([scores.mean_average_precision(ties, cut, "min")], ties == "bounds"),
                          number(scores.precision(cut, order)), number(scores.recall(cut, order))))
    yield from columns(cells)


def neighbourhood_lines(scores: RetrievalScores, points: Sequence[int]) -> Iterator[str]:
    """Precision and recall at a few ranks, and within radius 2, of the ranking to trust."""
    yield from columns([("N", *map(str, points)),
                        ("precision@N", *(number(scores.precision(point, "expected")) for point in points)),
                        ("recall@N", *(number(scores.recall(point, "expected")) for point in points))])
    within = scores.precision_within[scores.radius == 2]
    if len(within):
        yield f"precision within Hamming radius 2: {number(within[0])} (a query that finds nothing counts as 0)"


def class_table(named: dict[str, dict[int, float]], counts: dict[int, int]) -> Iterator[str]:
    """Mean average precision of the queries of each class."""
    cells = [("class", "queries", *named)]
    cells += [(str(label), str(counts[label]), *(number(values[label]) for values in named.values()))
              for label in counts]
    yield from columns(cells)
