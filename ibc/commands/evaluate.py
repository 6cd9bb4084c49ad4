"""``ibc evaluate CODES``, also the three scripts in ``eval/``: mAP of codes, in every way that the paper asks for.

A codes file flows in; the official lines, then tables, and the JSON with every number flow out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ibc.commands.code_files import read_codes
from ibc.commands.command import Command, CommandParser, speaker
from ibc.commands.evaluate_flags import PRESETS, EvaluateOptions, build_parser
from ibc.errors import input_error

if TYPE_CHECKING:
    from ibc.retrieval.attribute_evaluation import AttributePlan, AttributeScores
    from ibc.retrieval.bit_groups import BitGroups
    from ibc.retrieval.category import CategoryScores, CodePair

POINTS = (1, 10, 100, 1000)  # ranks of precision@N and recall@N


def command_for(data: str) -> Command[EvaluateOptions]:
    """The command of an official evaluation script: ``ibc evaluate`` for one data set."""
    def parser(prog: str | None = None) -> CommandParser:
        return build_parser(prog or f"eval/{PRESETS[data].script}.py", data)

    return Command(parser, EvaluateOptions, run)


def run(options: EvaluateOptions) -> None:
    """Score the codes, print the lines and tables, and write the files that are asked for."""
    _check(options)
    from ibc.progress import Progress
    from ibc.report.attribute_tables import attribute_lines, official_attribute_lines
    from ibc.report.category_tables import neighbourhood_lines, official_category_lines, write_queries
    from ibc.retrieval.attribute_evaluation import evaluate_attributes
    from ibc.retrieval.category import BitSettings, RankingProtocol, category_steps, evaluate_category

    pair = _load(options)
    protocol = RankingProtocol(None if options.database else options.self_match, options.ties,
                               tuple(dict.fromkeys(options.at)), tuple(sorted({*POINTS, *options.at})), options.device)
    settings = BitSettings(options.top_k, options.draws, options.seed, options.neighbours, options.checkpoint)
    plan = _plan_attributes(options, pair) if options.preset.attribute else None
    steps = category_steps(pair.grm is not None, settings) + (plan.steps if plan else 0)
    with Progress(steps, "evaluating", "rankings") as bar:
        category = evaluate_category(pair, protocol, settings, bar.update, bar.within)
        attributes = evaluate_attributes(plan, bar.update, bar.within) if plan else None
    lines = list(official_category_lines(category))
    if attributes and (options.preset.announced or options.attribute):
        lines += official_attribute_lines(attributes)
    lines += ["", *_category_lines(options, category)]
    if len(pair.queries) and len(pair.database):
        points = sorted({*(point for point in POINTS if point <= len(pair.database)), *options.at})
        lines += ["", *neighbourhood_lines(category.all_bits.trusted_scores, points)]
    if attributes:
        lines += attribute_lines(attributes)
    say = speaker(options.json_path)
    for line in lines:
        say(line)
    if options.per_query:
        write_queries(options.per_query, category)
        say(f"wrote {options.per_query}")
    if options.json_path:
        _write_json(options.json_path, options, category, attributes)


def _check(options: EvaluateOptions) -> None:
    if options.database and options.self_match != "keep":
        raise input_error("--self", f"{options.self_match} with --database", "queries that are the database",
                          "leave --self or --database out")
    for flag, value, least in (("draws", options.draws, 2), ("neighbours", options.neighbours, 1),
                               ("top_k_bits", options.top_k, 1)):
        if value < least:
            raise input_error(f"--{flag}", str(value), f"at least {least}")
    if min(options.at, default=1) < 1:
        raise input_error("--at", str(min(options.at)), "a rank from 1")
    if options.preset.attribute is None:
        for flag in ("attribute", "attribute_names", "groups", "dissection", "concepts", "any_category", "choose_on"):
            if getattr(options, flag):
                others = " or ".join(name for name, preset in PRESETS.items() if preset.attribute)
                raise input_error(f"--{flag}", f"--data {options.data}, which has no attributes", f"--data {others}")


def _load(options: EvaluateOptions) -> CodePair:
    from ibc.code_reading import check_alike
    from ibc.codes import load_codes
    from ibc.retrieval.bits import check_top_k
    from ibc.retrieval.category import CodePair

    notes: list[str] = []
    queries = load_codes(options.codes, kind=options.code_kind, say=notes.append)
    database = queries
    if options.database:
        database = load_codes(options.database, kind=options.code_kind, say=notes.append)
        check_alike({options.codes: queries.kind, options.database: database.kind})
    if database.code_length != queries.code_length:
        raise input_error(options.database, f"codes of {database.code_length} bits",
                          f"{queries.code_length}, as in {options.codes}")
    check_top_k(options.top_k, queries.code_length)
    return CodePair(queries, database, options.multi_label, options.codes, options.database, tuple(notes))


def _plan_attributes(options: EvaluateOptions, pair: CodePair) -> AttributePlan:
    """Check the attribute flags against the label columns and the code length. Raises InputError."""
    from ibc.retrieval.attribute_evaluation import (
        AttributePlan,
        attribute_data,
        data_to_choose_on,
        names_of_columns,
        trusted_data,
    )
    from ibc.retrieval.attribute_names import KNOWN_NAMES, find_column

    data = attribute_data(pair, options.device)
    names = names_of_columns(pair, data, KNOWN_NAMES[options.data], options.attribute_names)
    other = None
    if options.choose_on:
        other = data_to_choose_on(read_codes(options.choose_on, options.code_kind), options.choose_on, pair, data)
    announced = options.preset.announced
    chosen = list(range(len(names)))
    if options.attribute and "all" not in options.attribute:
        chosen = [find_column(wish, names) for wish in options.attribute]
    elif not options.attribute and announced in names:
        chosen = [names.index(announced)]
    return AttributePlan(data, names, chosen, _bit_groups(options, pair.queries.code_length), other, options.draws,
                         options.seed, trusted_data(pair, data))


def _bit_groups(options: EvaluateOptions, length: int) -> BitGroups | None:
    from ibc.retrieval.bit_groups import concept_groups, typed_groups

    if options.groups and options.dissection:
        raise input_error("--groups", "--dissection beside it", "one of the two")
    if bool(options.dissection) != bool(options.concepts):
        raise input_error("--dissection", "one of --dissection and --concepts alone", "both")
    if options.groups:
        return typed_groups(options.groups, length)
    if options.dissection and options.concepts:
        return concept_groups(options.dissection, options.concepts, options.min_iou, options.any_category, length)
    return None


def _category_lines(options: EvaluateOptions, category: CategoryScores) -> list[str]:
    from ibc.report.category_tables import category_table, class_table, cutoff_table, notes

    lines = [*category_table(category), *(f"note: {note}" for note in notes(category))]
    if options.at:
        lines += ["", *cutoff_table(category)]
    if options.per_class:
        lines += ["", *class_table(category)]
    return lines


def _write_json(path: str, options: EvaluateOptions, category: CategoryScores,
                attributes: AttributeScores | None) -> None:
    from ibc.json_report import write_json
    from ibc.report.category_tables import notes
    from ibc.report.metrics import attribute_metrics, category_metrics, per_class_metrics

    metrics = category_metrics(category)
    if options.per_class:
        metrics |= per_class_metrics(category)
    protocol = category.protocol
    inputs = [options.codes, options.database, options.checkpoint]
    described: dict[str, Any] = {
        "relevant": category.pair.labels.relevance, "self": protocol.self_match, "ties": protocol.ties,
        "at": list(protocol.at), "divisor": "relevant items of the whole database", "top_k_bits": options.top_k,
        "draws": options.draws, "neighbours": options.neighbours, "notes": notes(category)}
    if attributes:
        plan = attributes.plan
        metrics |= attribute_metrics(attributes)
        described |= {"attribute_self": "hit" if plan.data.same else None, "attribute_ties": "stable",
                      "bit_groups": None if plan.groups is None else plan.groups.chosen_by,
                      "custom_chosen_on_halves": None if attributes.custom is None else attributes.custom.halves}
        inputs += [options.dissection, options.choose_on, options.attribute_names]
    write_json(path, command=options.preset.script, seed=options.seed, protocol=described,
               inputs=[name for name in inputs if name], metrics=metrics)


COMMAND = Command(build_parser, EvaluateOptions, run)
