"""``ibc search CODES``, also ``python -m eval.search``: images like these, by the bits that one chooses.

Flags flow in; a table, the JSON, a contact sheet and a page flow out.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ibc.commands.code_files import print_label_notes, read_codes
from ibc.commands.command import Command, speaker
from ibc.commands.search_flags import SearchOptions, build_parser
from ibc.errors import input_error
from ibc.screen import show

if TYPE_CHECKING:
    from ibc.codes import CodeSet
    from ibc.report.search_report import CommonBits, SearchReport
    from ibc.retrieval.bit_names import BitName
    from ibc.retrieval.explained_search import Ranked
    from ibc.retrieval.query_images import QueryEncoder


def run(options: SearchOptions) -> None:
    """Search, print the results, and write the files that are asked for."""
    _check(options)
    from ibc.report.search_tables import search_lines
    from ibc.retrieval.bit_names import load_bit_names

    database = read_codes(options.codes, options.code_kind)
    if not len(database):
        raise input_error(options.codes, "no image", "at least one")
    names = load_bit_names(options.dissection, database.code_length) if options.dissection else []
    check_model(options, database)
    encoder = _encoder(options, database)
    report = _search(options, database, names, encoder)
    say = speaker(options.json_path)
    for line in search_lines(report):
        say(line)
    written = _write_images(options, report)
    if written:
        from ibc.report.thumbnails import lost_images

        lost = lost_images(report.files())
        if lost:
            say(f"note: {len(lost)} images are missing or no images, the first is {lost[0]}")
    for path in written:
        say(f"wrote {path}")
    if options.json_path:
        _write_json(options, report, encoder)


def _check(options: SearchOptions) -> None:
    for name, number in (("top", options.top), ("columns", options.columns), ("neighbours", options.neighbours)):
        if number < 1:
            raise input_error(f"--{name}", str(number), "at least 1")
    if not 0 <= options.min_iou <= 1:
        raise input_error("--min_iou", f"{options.min_iou:g}", "a number from 0 to 1")
    rows = options.rows or ""
    for flag, value, needed in (("--class", options.class_name, options.expert or "expert" in rows),
                                ("--train", options.train, options.attribute or "attribute:" in rows),
                                ("--queries", options.queries, options.item or options.not_item)):
        if value is not None and not needed:
            raise input_error(flag, value, "it beside the flag that it belongs to",
                              "see --help for what it chooses")


def check_model(options: SearchOptions, database: CodeSet) -> None:
    """Raises InputError where the dissection says that it is of another model than the codes file says it is of."""
    from ibc.retrieval.bit_names import check_dissected_model

    if options.dissection:
        check_dissected_model(options.dissection, database.model, options.codes)


def _encoder(options: SearchOptions, database: CodeSet) -> QueryEncoder | None:
    if not options.checkpoint:
        for flag, value in (("--image", options.image), ("--not_image", options.not_image)):
            if value:
                raise input_error(flag, f"{value[0]} without --checkpoint", "the model that made the codes")
        return None
    from ibc.device import resolve_device
    from ibc.retrieval.query_images import QueryEncoder

    encoder = QueryEncoder(options.checkpoint, options.config, resolve_device(options.device))
    encoder.check(database, options.codes)
    return encoder


def _search(options: SearchOptions, database: CodeSet, names: list[BitName], encoder: QueryEncoder | None
            ) -> SearchReport:
    from dataclasses import replace

    from ibc.commands.search_bits import BitChooser, names_of
    from ibc.commands.search_query import read_query
    from ibc.report.search_report import SearchReport
    from ibc.retrieval.bit_names import main_names
    from ibc.retrieval.explained_search import explained_search
    from ibc.retrieval.index import CodeIndex
    from ibc.retrieval.wishes import weigh

    print_label_notes(database, options.multi_label)
    labels = database.item_labels(options.multi_label, options.codes)
    class_names = names_of(options.class_names, options.images, "classes.txt")
    report = SearchReport(database, labels, "none", [], [], class_names, options.images or "", options.weight,
                          names=main_names(names))
    if options.common not in (None, "results") and not _asks(options):
        return replace(report, common=_common(options, database, encoder, []))
    examples = read_query(options, database, names, encoder)
    chooser = BitChooser(options, database, labels, names, class_names, examples)
    query, signs = examples.whole(database.code_length), database.bits
    index = CodeIndex(signs)
    rankings = []
    for choice in chooser.choices():
        own = weigh(query, options.weight, choice.names, choice.bits)
        rankings.append(explained_search(signs, own, choice, options.top, examples.left_out, options.device,
                                         index))
    notes = []
    if len(rankings[0].hits) < options.top:
        notes.append(f"--top {options.top} is more than the {len(rankings[0].hits)} images that can be found")
    common = None if options.common is None else _common(options, database, encoder, rankings)
    want, without = examples.wish.concepts if examples.wish else ((), ())
    return replace(report, title=examples.title, query_images=examples.images, rankings=rankings, common=common,
                   want=want, without=without, notes=tuple(notes))


def _asks(options: SearchOptions) -> bool:
    """Whether the flags hold a query."""
    return bool(options.item or options.not_item or options.image or options.not_image or options.want is not None
                or options.without is not None)


def _common(options: SearchOptions, database: CodeSet, encoder: QueryEncoder | None, rankings: list[Ranked]
            ) -> CommonBits:
    """What the set of ``--common`` shares: the results of the last ranking, items, or images below a folder."""
    import os

    from ibc.codes import binarise
    from ibc.data.list_file import images_below
    from ibc.report.search_report import CommonBits
    from ibc.retrieval.items import find_items
    from ibc.retrieval.shared_bits import shared_bits, shared_by_rows

    wanted = options.common or "results"
    if wanted == "results":
        if not rankings:
            raise input_error("--common", "no query", "a query, a list of items or a folder")
        ranked = rankings[-1]
        return CommonBits(f"the {len(ranked.hits)} results by {ranked.choice.title}", len(ranked.hits), ranked.shared)
    inside_data = wanted
    if options.images and os.path.isdir(wanted):
        inside_data = os.path.relpath(wanted, options.images)
    rows = find_items(inside_data, database, options.codes)
    if rows is not None:
        return CommonBits(f"{len(rows)} images ({wanted})", len(rows), shared_by_rows(database.bits, rows))
    if os.path.isdir(wanted):
        if encoder is None:
            raise input_error("--common", f"the folder {wanted}, whose images are not in {options.codes}",
                              "the model that made the codes", "give it by --checkpoint")
        files = images_below(wanted, say=lambda line: show(f"note: {line}", sys.stderr)).files
        codes = encoder.encode(files, options.resize)
        return CommonBits(f"{len(files)} images ({wanted})", len(files),
                          shared_bits(binarise(codes), database.bits))
    raise input_error("--common", f"'{wanted}'", "results, items such as 3,7,10-14, or a folder",
                      f"a folder of the codes file is for example "
                      f"{os.path.dirname(database.paths[0])}" if database.paths else None)


def _write_images(options: SearchOptions, report: SearchReport) -> list[str]:
    """Write the contact sheet and the page that are asked for; returns their paths."""
    from ibc.files import atomic_write

    written = []
    if (options.sheet or options.page) and not report.rankings:
        raise input_error("--sheet" if options.sheet else "--page", "no query", "results to show")
    if options.sheet:
        from ibc.report.contact_sheet import contact_sheet

        content = contact_sheet(report, options.columns, "JPEG" if _is_jpeg(options.sheet) else "PNG")
        with atomic_write(options.sheet) as handle:
            handle.write(content)
        written.append(options.sheet)
    if options.page:
        from ibc.report.search_page import search_page

        text = search_page(report)
        with atomic_write(options.page, "w") as handle:
            handle.write(text)
        written.append(options.page)
    return written


def _is_jpeg(path: str) -> bool:
    return path.lower().endswith((".jpg", ".jpeg"))


def _write_json(options: SearchOptions, report: SearchReport, encoder: QueryEncoder | None) -> None:
    import os

    from ibc.json_report import write_json
    from ibc.report.search_tables import search_metrics, search_protocol
    from ibc.retrieval.bit_names import find_table
    from ibc.retrieval.wishes import WEIGHTS

    assert options.json_path is not None
    inputs = [options.codes, *(path for path in (options.queries, options.train, options.class_names) if path)]
    inputs += [file for file in (*options.image, *options.not_image) if os.path.isfile(file)]  # not of a zip
    if options.dissection:
        inputs.append(str(find_table(options.dissection)))
    if encoder is not None:
        inputs.append(str(encoder.checkpoint))
    if options.weight and options.weight not in WEIGHTS:
        inputs.append(options.weight)
    write_json(options.json_path, command="search", seed=options.seed, protocol=search_protocol(report),
               inputs=inputs, metrics=search_metrics(report))


COMMAND = Command(build_parser, SearchOptions, run)
