"""Tables of category retrieval: what each number is, under the protocol asked for and in the way to trust."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ibc.code_layout import label_notes
from ibc.csv_writer import CsvWriter, safe_paths
from ibc.files import atomic_write
from ibc.labels import NO_CATEGORY
from ibc.report.metrics import row_key
from ibc.report.text import columns, number, official_number
from ibc.retrieval.average_precision import MeanAveragePrecision, RetrievalScores
from ibc.retrieval.category import BitChoice, CategoryRow, CategoryScores
from ibc.retrieval.means import deviation

SELF_WORDS = {"keep": "query kept in its ranking", "exclude": "query left out", "hit": "query counted as a hit",
              None: "separate database", "without": "database without queries"}
TIE_WORDS = {"stable": "database order", "expected": "expected over ties", "bounds": "expected [worst, best order]"}


def official_category_lines(scores: CategoryScores) -> Iterator[str]:
    """The lines of the official scripts, in their words."""
    yield f"Retrieval mAP of category retrieval: {official_number(scores.all_bits.asked)}"
    expert = scores.row(BitChoice.TRUE_CLASS)
    if expert is not None:
        yield f"Retrieval mAP of category retrieval using expert bits: {official_number(expert.asked)}"


def category_table(scores: CategoryScores) -> Iterator[str]:
    """mAP of every choice of bits, as asked and as one should trust it; remarks on single rows below."""
    protocol, random = scores.protocol, scores.random
    cells = [("mAP, category retrieval", SELF_WORDS[protocol.self_match], SELF_WORDS[protocol.trusted_match]),
             ("", TIE_WORDS[protocol.ties], TIE_WORDS["bounds"])]
    remarks = []
    for row in scores.rows:
        mark, remark = "", _remark(scores, row)
        if remark:
            remarks.append(remark)
            mark = " " + "*" * len(remarks)
        cells.append((_row_name(scores, row) + mark, _map(row.asked, protocol.ties == "bounds"),
                      _map(row.trusted, True)))
    cells.append((f"{random.bits} random bits, {len(random.asked)} draws",
                  _mean_of_draws(random.asked), _mean_of_draws(random.trusted)))
    yield from columns(cells)
    for place, remark in enumerate(remarks, start=1):
        yield f"{'*' * place} {remark}"


def cutoff_table(scores: CategoryScores) -> Iterator[str]:
    """mAP@R with both divisors, beside precision and recall at R, for each cut-off rank R."""
    ties = scores.protocol.ties
    order = "stable" if ties == "stable" else "expected"
    cells: list[tuple[str, ...]] = [("cut after R", "R", "mAP@R over all relevant", "mAP@R over min(R, relevant)",
                                     "precision@R", "recall@R")]
    for row in scores.rows:
        for rank in scores.protocol.at:
            maps = [row.scores.mean_average_precision(ties, rank, divisor) for divisor in ("relevant", "min")]
            cells.append((_row_name(scores, row), str(rank), *(_map(value, ties == "bounds") for value in maps),
                          number(row.scores.precision(rank, order)), number(row.scores.recall(rank, order))))
    yield from columns(cells)


def neighbourhood_lines(scores: RetrievalScores, points: Sequence[int]) -> Iterator[str]:
    """Precision and recall at a few ranks, and within Hamming radius 2, of the ranking to trust."""
    yield from columns([("N", *map(str, points)),
                        ("precision@N", *(number(scores.precision(point, "expected")) for point in points)),
                        ("recall@N", *(number(scores.recall(point, "expected")) for point in points))])
    within = scores.precision_within[scores.radius == 2]
    if len(within):
        yield f"precision within Hamming radius 2: {number(within[0])} (a query that finds nothing counts as 0)"


def class_table(scores: CategoryScores) -> Iterator[str]:
    """One line a class: its queries, and the mean average precision of them for each choice of bits."""
    labels = scores.pair.labels
    means = {row_key(row): labels.class_means(row.asked.per_query) for row in scores.rows}
    cells = [("class", "queries", *means)]
    cells += [(str(label), str(count), *(number(values[label]) for values in means.values()))
              for label, count in labels.class_sizes().items()]
    yield from columns(cells)


def notes(scores: CategoryScores) -> list[str]:
    """What a reader of the numbers should know about these codes, if anything."""
    pair, labels = scores.pair, scores.pair.labels
    with_rules = pair.queries if pair.queries.grm is not None else pair.database
    all_ids = None if pair.multi_label or pair.same else np.concatenate([labels.values, pair.db_labels.values])
    own = [pair.overlap.note] if pair.overlap is not None and pair.overlap.note else []
    found = [*pair.notes, *own, *label_notes(with_rules, pair.multi_label, all_ids)]
    without = int((scores.all_bits.scores.relevant == 0).sum())
    if without:
        found.append(f"{_queries(without)} without a relevant item: average precision 0, counted in the mean")
    unlabelled = int((~labels.has_class).sum())
    if unlabelled:
        found.append(f"{_queries(unlabelled)} without any label" if pair.multi_label else
                     f"{_queries(unlabelled)} without a category ({NO_CATEGORY}): treated as one more class")
    if pair.grm is not None and not pair.multi_label:
        outside = int((~labels.has_class_below(len(pair.grm))).sum())
        if outside:
            found.append(f"{_queries(outside)} of a class that is none of the {len(pair.grm)} rows of the GRM: "
                         "no expert bits, database order")
    zeros = sum(int((codes.binary_codes == 0.5).sum()) for codes in pair.files)
    if zeros:
        found.append(f"{zeros} code value{'s' * (zeros > 1)} of exactly 0.5: sign 0, half a step from either bit")
    if pair.grm is None:
        found.append("no GRM in the codes file: expert bits are left out")
    return found


def write_queries(path: str | os.PathLike, scores: CategoryScores) -> None:
    """CSV with one row a query: number from 1, class, path if known, average precision for each choice of bits."""
    queries = scores.pair.queries
    table: dict[str, Iterable] = {"row": range(1, len(queries) + 1), "class": scores.pair.labels.texts()}
    if queries.paths is not None:
        table["path"] = safe_paths(queries.paths)
    table |= {row_key(row): row.asked.per_query.tolist() for row in scores.rows}
    with atomic_write(path, "w") as handle:
        writer = CsvWriter(handle)
        writer.row(table)
        writer.rows(zip(*table.values(), strict=True))


def _row_name(scores: CategoryScores, row: CategoryRow) -> str:
    if row.choice is BitChoice.ALL:
        return f"all {row.bits} bits"
    if row.choice is BitChoice.TRUE_CLASS:
        return f"{row.bits} expert bits of the true {'labels' if scores.pair.multi_label else 'class'} (oracle)"
    if row.choice is BitChoice.VOTE:
        return f"{row.bits} expert bits by {scores.settings.neighbours} neighbours' vote"
    return f"{row.bits} expert bits by the code classifier"


def _remark(scores: CategoryScores, row: CategoryRow) -> str:
    """What else there is to say about a row, if anything."""
    if row.choice is BitChoice.TRUE_CLASS:
        return ("oracle: the bits are chosen by the query's label, which a user does not have"
                + " (largest sum of the GRM rows of its labels)" * scores.pair.multi_label)
    if row.class_accuracy is None:
        return ""
    right = "class among the labels of" if scores.pair.multi_label else "class right for"
    return f"{right} {row.class_accuracy:.1%} of the queries"


def _map(value: MeanAveragePrecision, bounds: bool) -> str:
    """One mAP, with its bounds on request."""
    return number(value) + (f" [{number(value.pessimistic)}, {number(value.optimistic)}]" if bounds else "")


def _mean_of_draws(values: Sequence[float]) -> str:
    return f"{number(float(np.mean(values)))} ± {deviation(values):.4f}"


def _queries(count: int) -> str:
    return f"{count} {'query' if count == 1 else 'queries'}"
