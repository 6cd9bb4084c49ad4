"""From the flags of ``ibc search`` to a query: its examples, their codes, and the wish for concepts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ibc.commands.code_files import read_codes
from ibc.commands.search_flags import SearchOptions
from ibc.errors import input_error

if TYPE_CHECKING:
    import numpy as np

    from ibc.codes import CodeSet
    from ibc.report.search_report import QueryImage
    from ibc.retrieval.bit_names import BitName
    from ibc.retrieval.query_images import QueryEncoder
    from ibc.retrieval.wishes import Query, Wish


@dataclass(frozen=True)
class Examples:
    """What a query is made of.

    query: None where concepts alone are asked for. wish: None without concepts. images: of the examples. left_out:
    rows of the database that are examples. title: of the query, for people.
    """

    query: Query | None
    wish: Wish | None
    images: list[QueryImage]
    left_out: list[int]
    title: str

    def whole(self, length: int) -> Query:
        """Examples and wish together."""
        from ibc.retrieval.wishes import apply_wish

        if self.wish is not None:
            return apply_wish(self.wish, self.query, length)
        assert self.query is not None  # checked by ``read_query``
        return self.query


def names_in(text: str, flag: str) -> list[str]:
    """The names of ``a,b``. Raises InputError without any."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise input_error(flag, f"'{text}'", "names with commas, as in sea,sand")
    return names


def read_query(options: SearchOptions, database: CodeSet, names: list[BitName], encoder: QueryEncoder | None
               ) -> Examples:
    """The query of the flags. Raises InputError where there is none, or an example cannot be found or read."""
    import numpy as np

    from ibc.retrieval.wishes import query_of_examples

    positive = [*options.item, *options.image]
    if not positive and (options.not_item or options.not_image):
        raise input_error("--not_item", "negative examples alone", "at least one --item or --image beside them")
    wish = _wish(options, names)
    if not positive and wish is None:
        raise input_error("query", "none", "--item, --image, --want or --without")
    images: list[QueryImage] = []
    left_out: list[int] = []
    codes: dict[bool, list[np.ndarray]] = {True: [], False: []}
    for wanted, items, files in ((True, options.item, options.image), (False, options.not_item, options.not_image)):
        _items(options, database, items, wanted, images, left_out, codes[wanted])
        if files:
            codes[wanted] += list(_encoded(options, encoder, files, wanted, images))
    query = None
    if positive:
        length = database.code_length
        query = query_of_examples(np.array(codes[True]), np.array(codes[False]).reshape(-1, length))
    return Examples(query, wish, images, left_out, _title(images, wish))


def _items(options: SearchOptions, database: CodeSet, items: list[str], wanted: bool, images: list[QueryImage],
           left_out: list[int], codes: list[np.ndarray]) -> None:
    from ibc.code_reading import check_alike
    from ibc.report.search_report import QueryImage
    from ibc.retrieval.engine.ranking import NOT_THERE
    from ibc.retrieval.items import find_item
    from ibc.retrieval.overlap import find_overlap

    if not items:
        return
    source, where = database, options.codes
    if options.queries:
        source, where = read_codes(options.queries, options.code_kind), options.queries
        check_alike({options.queries: source.kind, options.codes: database.kind})
        if source.code_length != database.code_length:
            raise input_error(where, f"codes of {source.code_length} bits",
                              f"{database.code_length}, as in {options.codes}")
    overlap = find_overlap(source, database, where, options.codes) if source is not database else None
    for text in items:
        row = find_item(text, source, where)
        path = source.paths[row] if source.paths else None
        images.append(QueryImage(path, path or f"item {row + 1}", wanted, row + 1))
        codes.append(source.binary_codes[row])
        own = row if overlap is None else int(overlap.rows[row])
        if own != NOT_THERE and own not in left_out:
            left_out.append(own)


def _encoded(options: SearchOptions, encoder: QueryEncoder | None, files: list[str], wanted: bool,
             images: list[QueryImage]) -> np.ndarray:
    from ibc.report.search_report import QueryImage

    if encoder is None:
        raise input_error("--image", "no --checkpoint", "the model that made the codes")
    images += [QueryImage(file, file, wanted, None) for file in files]
    return encoder.encode(files, options.resize)


def _wish(options: SearchOptions, names: list[BitName]) -> Wish | None:
    from ibc.retrieval.bit_names import bits_named
    from ibc.retrieval.wishes import make_wish

    if options.want is None and options.without is None:
        return None
    check_dissection("--want", options)
    sides = [[name for concept in (names_in(text, flag) if text is not None else [])
              for name in bits_named(names, concept, options.min_iou, any_category=not options.best_only,
                                     source=options.dissection)]
             for text, flag in ((options.want, "--want"), (options.without, "--without"))]
    return make_wish(*sides)


def check_dissection(flag: str, options: SearchOptions) -> None:
    """Raises InputError where ``flag`` needs the names of the bits and no dissection is given."""
    if not options.dissection:
        raise input_error(flag, "no --dissection", "the dissection folder of the model, which names its bits",
                          "make one with ibc dissect")


def _title(images: list[QueryImage], wish: Wish | None) -> str:
    parts = [image.title for image in images if image.wanted] + [f"not {image.title}" for image in images
                                                                 if not image.wanted]
    if wish is not None:
        parts.append(wish.text)
    return ", ".join(parts)
