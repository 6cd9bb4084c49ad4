"""The three evaluation commands are this one program with different settings.

A codes file flows in; the official lines, then tables, and the JSON with every number flow out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ibc.commands.command import speaker
from ibc.commands.evaluate_flags import Setting
from ibc.errors import input_error
from ibc.json_report import write_json
from ibc.progress import Progress

if TYPE_CHECKING:
    from ibc.report.attribute_evaluation import AttributeEvaluation
    from ibc.retrieval.category import CategoryRetrieval, Pair, Protocol, Row

POINTS = (1, 10, 100, 1000)  # ranks of precision@N and recall@N


def main(setting: Setting, args: argparse.Namespace) -> None:
    _check(args)
    from ibc.report.tables import neighbourhood_lines

    pair, protocol = _load(args), _protocol(args)
    say = speaker(args.json_path)
    attributes = _attributes(setting, args, pair)
    steps = 1 + args.draws + (attributes.steps if attributes else 0)
    if pair.grm is not None:
        steps += 3 if args.checkpoint else 2
    with Progress(steps, "evaluating", "rankings") as bar:
        category = _category(args, pair, protocol, bar.update)
        if attributes:
            attributes.run(bar.update)
    rows = category.rows
    for line in _official_lines(rows, attributes):
        say(line)
    say("")
    for line in _tables(args, category, protocol):
        say(line)
    if rows[0].trusted_scores and len(pair.queries) and len(pair.database):
        say("")
        for line in neighbourhood_lines(rows[0].trusted_scores, _points(args, len(pair.database))):
            say(line)
    if attributes:
        for line in attributes.lines():
            say(line)
    if args.per_query:
        _write_queries(args.per_query, category)
        say(f"wrote {args.per_query}")
    if args.json_path:
        _write(setting, args, protocol, category, attributes)


@dataclass
class Category:
    """Rows of the category table, with what the JSON says besides."""

    pair: Pair
    rows: list[Row]
    facts: dict[str, Any]
    notes: list[str]


def _check(args: argparse.Namespace) -> None:
    if args.database and args.self_match != "keep":
        raise input_error("--self", f"{args.self_match} with --database", "queries that are the database",
                          "leave --self or --database out")
    for flag, least in (("draws", 2), ("neighbours", 1), ("top_k_bits", 1)):
        if getattr(args, flag) < least:
            raise input_error(f"--{flag}", str(getattr(args, flag)), f"at least {least}")
    if min(args.at, default=1) < 1:
        raise input_error("--at", str(min(args.at)), "a rank from 1")


def _load(args: argparse.Namespace) -> Pair:
    from ibc.codes import load_codes
    from ibc.retrieval.bits import check_top_k
    from ibc.retrieval.category import Pair

    queries = load_codes(args.codes)
    database = load_codes(args.database) if args.database else queries
    if database.code_length != queries.code_length:
        raise input_error(args.database, f"codes of {database.code_length} bits",
                          f"{queries.code_length}, as in {args.codes}")
    check_top_k(args.top_k_bits, queries.code_length)
    return Pair(queries, database, args.multi_label, args.codes, args.database)


def _points(args: argparse.Namespace, items: int) -> list[int]:
    return sorted({*(point for point in POINTS if point <= max(items, 1)), *args.at})


def _protocol(args: argparse.Namespace) -> Protocol:
    from ibc.retrieval.category import Protocol

    return Protocol(None if args.database else args.self_match, args.ties, tuple(dict.fromkeys(args.at)),
                    tuple(sorted({*POINTS, *args.at})), args.device)


def _category(args: argparse.Namespace, pair: Pair, protocol: Protocol, done: Callable[[int], None]) -> Category:
    from ibc.retrieval.category import CategoryRetrieval, notes

    retrieval = CategoryRetrieval(pair, protocol, done)
    rows = [retrieval.all_bits()]
    facts: dict[str, Any] = {}
    if pair.grm is not None:
        rows += _expert_rows(args, retrieval, facts)
    rows.append(retrieval.random_bits(args.top_k_bits, args.draws, args.seed))
    said = notes(pair, rows[0])
    if pair.grm is None:
        said.append("no GRM in the codes file: expert bits are left out")
    return Category(pair, rows, facts, said)


def _expert_rows(args: argparse.Namespace, retrieval: CategoryRetrieval, facts: dict[str, Any]) -> list[Row]:
    """Expert bits of the true class, of the class a vote names, and of the class the model names."""
    from ibc.labels import Labels
    from ibc.retrieval.category import right_share

    top_k, grm, labels = args.top_k_bits, retrieval.pair.grm, retrieval.labels
    assert grm is not None
    key = f"expert_map_top{top_k}"
    true, right = "true class", "class right for"
    if args.multi_label:
        true, right = "true labels", "class among the labels of"
    rows = [retrieval.expert_bits(top_k, labels, key, f"{top_k} expert bits of the {true} (oracle)",
                                  "oracle: the bits are chosen by the query's label, which a user does not have"
                                  + " (largest sum of the GRM rows of its labels)" * args.multi_label)]
    found = {"vote": (f"{args.neighbours} neighbours' vote", retrieval.vote(args.neighbours))}
    if args.checkpoint:
        from ibc.retrieval.class_prediction import classify

        found["classifier"] = ("the code classifier", classify(retrieval.pair.queries.binary_codes, args.checkpoint,
                                                                 len(grm)))
    for source, (words, classes) in found.items():
        share = right_share(classes, labels, grm)
        facts[f"class_accuracy_{source}"] = share
        rows.append(retrieval.expert_bits(top_k, Labels(classes), f"{key}_{source}", f"{top_k} expert bits by {words}",
                                          f"{right} {share:.1%} of the queries"))
    return rows


def _attributes(setting: Setting, args: argparse.Namespace, pair: Pair) -> AttributeEvaluation | None:
    if not setting.attribute_names:
        return None
    from ibc.report.attribute_evaluation import make_attribute_evaluation

    return make_attribute_evaluation(args, pair, setting.attribute_names, setting.first_attribute)


def _official_lines(rows: list[Row], attributes: AttributeEvaluation | None) -> list[str]:
    """The lines of the official scripts, in their words."""
    from ibc.report.tables import official

    lines = [f"Retrieval mAP of category retrieval: {official(rows[0].asked[0])}"]
    if rows[1].key.startswith("expert"):
        lines.append(f"Retrieval mAP of category retrieval using expert bits: {official(rows[1].asked[0])}")
    return lines + (attributes.official_lines() if attributes else [])


def _tables(args: argparse.Namespace, category: Category, protocol: Protocol) -> list[str]:
    from ibc.report.tables import category_table, class_table, cut_table

    lines = list(category_table(category.rows, protocol))
    lines += [f"note: {note}" for note in category.notes]
    if protocol.at:
        lines += ["", *cut_table(category.rows, protocol)]
    if args.per_class:
        lines += ["", *class_table(_per_class(category), category.pair.labels.class_sizes())]
    return lines


def _single_rows(category: Category) -> list[Row]:
    """Rows of one ranking, not of several draws."""
    return [row for row in category.rows if len(row.asked) == 1]


def _per_class(category: Category) -> dict[str, dict[int, float]]:
    labels = category.pair.labels
    return {row.key: labels.class_means(row.asked[0].per_query) for row in _single_rows(category)}


def _write_queries(path: str, category: Category) -> None:
    import csv

    from ibc.files import atomic_write

    queries = category.pair.queries
    columns: dict[str, list] = {"row": list(range(1, len(queries) + 1)), "class": category.pair.labels.texts()}
    if queries.paths is not None:
        columns["path"] = list(queries.paths)
    columns |= {row.key: row.asked[0].per_query.tolist() for row in _single_rows(category)}
    with atomic_write(path, "w") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _write(setting: Setting, args: argparse.Namespace, protocol: Protocol, category: Category,
           attributes: AttributeEvaluation | None) -> None:
    from ibc.report.metrics import category_metrics

    metrics = category_metrics(category.rows, protocol) | category.facts
    if args.per_class:
        metrics |= {f"{key}_per_class": values for key, values in _per_class(category).items()}
    inputs = [args.codes, args.database, args.checkpoint]
    described = {"relevant": category.pair.labels.relevance, "self": protocol.self_match, "ties": protocol.ties,
                 "at": list(protocol.at), "divisor": "relevant items of the whole database",
                 "top_k_bits": args.top_k_bits, "draws": args.draws, "neighbours": args.neighbours,
                 "notes": category.notes}
    if attributes:
        metrics |= attributes.metrics()
        described |= attributes.protocol()
        inputs += [args.dissection, args.choose_on, args.attribute_names]
    write_json(args.json_path, command=setting.command, seed=args.seed, protocol=described,
               inputs=[path for path in inputs if path], metrics=metrics)
