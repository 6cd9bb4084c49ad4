"""From the flags of ``ibc search`` to the bits that it goes by: one choice, or one for each of ``--rows``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ibc.commands.code_files import read_codes
from ibc.commands.search_flags import SearchOptions
from ibc.commands.search_query import Examples, check_dissection, names_in
from ibc.errors import input_error

if TYPE_CHECKING:
    from ibc.codes import CodeSet
    from ibc.labels import Labels
    from ibc.retrieval.bit_choice import ChosenBits
    from ibc.retrieval.bit_names import BitName

KINDS = "all, expert, random, concept, concept:NAME+NAME, attribute:NAME or bits:1+7-9"


def names_of(file: str | None, folder: str | None, default: str) -> list[str]:
    """The names in ``file``, one a line; without it those of the file ``default`` in the folder of the images, if any.

    Raises InputError for a file that is not text, OSError for one that is missing.
    """
    from ibc.data.zip_folder import file_of, read_bytes
    from ibc.text_files import decode_text, names_of_text

    if not file and not folder:
        return []
    try:
        name = file or file_of(folder or "", default)
        return names_of_text(decode_text(read_bytes(name, regular=not file), name), name)
    except (OSError, ValueError):
        if not file:
            return []
        raise


class BitChooser:
    """Makes choices of bits for one query."""

    def __init__(self, options: SearchOptions, database: CodeSet, labels: Labels, names: list[BitName],
                 class_names: list[str], examples: Examples):
        self.options, self.database, self.labels, self.names = options, database, labels, names
        self.class_names, self.examples = class_names, examples
        self.length = database.code_length

    def choices(self) -> list[ChosenBits]:
        """The choice of the flags, or those of ``--rows``. Raises InputError for what cannot be chosen."""
        options = self.options
        if options.rows is not None:
            if self.examples.query is None:
                raise input_error("--rows", "a query of concepts alone", "an example to rank in several ways")
            chosen: list[ChosenBits] = []
            for row in names_in(options.rows, "--rows"):
                chosen.append(self._row(row, len(chosen[-1].bits) if chosen else options.top_k_bits))
            return [self._with_wish(choice) for choice in chosen]
        return [self._with_wish(self._of_flags())]

    def _of_flags(self) -> ChosenBits:
        options = self.options
        if options.expert:
            return self.expert()
        if options.concepts is not None:
            return self.concepts(names_in(options.concepts, "--concepts"), "--concepts")
        if options.attribute is not None:
            return self.attribute(options.attribute)
        if options.bits is not None:
            return self.listed(options.bits)
        if self.examples.query is None and self.examples.wish is not None:
            return self._wished()
        return self.every()

    def _row(self, text: str, count: int) -> ChosenBits:
        kind, _, value = text.partition(":")
        if kind == "all" and not value:
            return self.every()
        if kind == "expert" and not value:
            return self.expert()
        if kind == "random" and not value:
            return self.random(count)
        if kind == "concept" and not value:
            return self.best_concept()
        if kind in ("concept", "concepts") and value:
            return self.concepts([name.strip() for name in value.split("+") if name.strip()], "--rows")
        if kind == "attribute" and value:
            return self.attribute(value)
        if kind == "bits" and value:
            return self.listed(value.replace("+", ","))
        raise input_error("--rows", f"'{text}'", KINDS)

    def every(self) -> ChosenBits:
        """All bits."""
        from ibc.retrieval.bit_choice import all_bits

        return all_bits(self.length, self.names)

    def listed(self, text: str) -> ChosenBits:
        """Bits as typed."""
        from ibc.retrieval.bit_choice import listed_bits
        from ibc.retrieval.bits import parse_bits

        return listed_bits(parse_bits(text, self.length), self.names)

    def random(self, count: int) -> ChosenBits:
        """``count`` bits drawn from the seed, to compare with."""
        from ibc.retrieval.bit_choice import listed_bits
        from ibc.retrieval.bits import random_bits

        (bits,) = random_bits(self.length, count, 1, self.options.seed)
        choice = listed_bits(bits, self.names)
        return replace(choice, title=f"{len(bits)} random bits", facts={"bits": "random", "seed": self.options.seed})

    def concepts(self, concepts: list[str], flag: str) -> ChosenBits:
        """The bits of concepts."""
        from ibc.retrieval.bit_choice import concept_choice

        check_dissection(flag, self.options)
        return concept_choice(self.names, concepts, self.options.min_iou, any_category=not self.options.best_only,
                              source=self.options.dissection)

    def best_concept(self) -> ChosenBits:
        """The bits of the concept that the query has most clearly."""
        from ibc.retrieval.bit_choice import best_concept

        check_dissection("--rows", self.options)
        assert self.examples.query is not None  # checked by ``choices``
        return self.concepts([best_concept(self.names, self.examples.query.signs, self.options.min_iou,
                                           any_category=not self.options.best_only, source=self.options.dissection)],
                             "--rows")

    def expert(self) -> ChosenBits:
        """The expert bits of the class given, or of the class predicted."""
        from ibc.retrieval.bit_choice import expert_choice, predicted_class

        options, given = self.options, self.options.class_name
        if given is not None:
            label, how = self._class(given), "given"
        elif self.examples.query is None:
            raise input_error("--expert", "a query of concepts alone", "a class", "give it by --class")
        else:
            label = predicted_class(self.examples.query.signs, self.database.bits, self.labels,
                                    self.examples.left_out, options.neighbours)
            how = f"predicted, the class of most of the {options.neighbours} nearest images by all bits"
        name = self.class_names[label] if 0 <= label < len(self.class_names) else ""
        return expert_choice(self.database.grm, label, options.top_k_bits, self.names, how=how, class_name=name)

    def _class(self, text: str) -> int:
        from ibc.retrieval.bits import near_names
        from ibc.text_files import whole_number

        if (number := whole_number(text)) is not None:
            return number
        plain = [name.casefold() for name in self.class_names]
        if not plain:
            raise input_error("--class", f"'{text}'", "a number from 0", "give the names of classes by --class_names")
        wanted = text.strip().casefold()
        if wanted not in plain:
            raise input_error("--class", f"'{text}'", "one of the names in --class_names", near_names(wanted, plain))
        return plain.index(wanted)

    def attribute(self, wanted: str) -> ChosenBits:
        """The bits that tell most about an attribute on the training codes."""
        from ibc.retrieval.attribute_bits import attribute_bits
        from ibc.retrieval.attribute_names import KNOWN_NAMES, column_names, find_column
        from ibc.retrieval.bit_choice import ChosenBits, listed_bits

        options = self.options
        codes, where = self.database, options.codes
        if options.train:
            codes, where = read_codes(options.train, options.code_kind), options.train
            if codes.code_length != self.length:
                raise input_error(where, f"codes of {codes.code_length} bits", f"{self.length}, as in {options.codes}")
        first = 0 if options.multi_label else 1
        columns = codes.labels.shape[1] - first
        if columns < 1:
            raise input_error(where, "no attribute columns", "columns of lab after the category")
        known: tuple[str, ...] = () if options.multi_label else next(
            (names for names in KNOWN_NAMES.values() if len(names) == columns), ())
        if not options.attribute_names and not known:
            known = tuple(names_of(None, options.images, "attributes.txt"))
        all_names = column_names(columns, known, options.attribute_names)
        column = find_column(wanted, all_names)
        found = attribute_bits(codes.bits, codes.labels[:, first + column], all_names[column], options.seed)
        best = found.tried[len(found.bits)]
        note = (f"{len(found.bits)} bits for '{all_names[column]}', by mutual information on {where}; mAP {best:.3f} "
                f"on its halves, {found.tried[self.length]:.3f} with all {self.length} bits")
        notes = (note,) if options.train else (note, "oracle: these bits are chosen on the very data that is searched; "
                                                     "--train takes other codes")
        named = listed_bits(found.bits, self.names)
        count = "1 bit" if len(found.bits) == 1 else f"{len(found.bits)} bits"
        return ChosenBits(f"{count} of attribute {all_names[column]}", found.bits, named.names, notes,
                         {"bits": "attribute", "attribute": all_names[column], "column": column + 1,
                          "chosen_on": where, "oracle": not options.train, "information": found.information,
                          "map_of_counts": found.tried})

    def _wished(self) -> ChosenBits:
        from ibc.retrieval.bit_choice import bits_of_names

        wish = self.examples.wish
        assert wish is not None
        count = len(wish.bits)
        title = self.examples.title
        choice = bits_of_names([*wish.want, *wish.without], self.names,
                               f"{title} ({count} bit{'s' if count > 1 else ''})")
        return replace(choice, facts={"bits": "wish", "min_iou": self.options.min_iou,
                                      "any_category": not self.options.best_only})

    def _with_wish(self, choice: ChosenBits) -> ChosenBits:
        """The choice with the bits of the wish, which always take part, and its notes."""
        import numpy as np

        wish = self.examples.wish
        if wish is None:
            return choice
        own = {name.bit: name for name in (*wish.without, *wish.want)}
        bits = np.array(list(dict.fromkeys([*choice.bits.tolist(), *wish.bits.tolist()])), np.int64)
        title = choice.title if self.examples.query is None else f"{choice.title}, with {wish.text}"
        return replace(choice, title=title, bits=bits, names=choice.names | own, notes=(*choice.notes, *wish.notes))
