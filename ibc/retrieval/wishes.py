"""What a person looks for, as a query: examples (some of them negative), concepts to have, concepts to be without.

Codes of examples and bits of concepts flow in; a ``Query`` flows out: a sign for each bit, and how much the bit counts.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ibc.codes import binarise
from ibc.errors import input_error
from ibc.retrieval.bit_names import BitName, main_names
from ibc.text_files import read_text

WEIGHTS = ("iou", "margin", "concept")  # or a file


@dataclass(frozen=True)
class Query:
    """A query of K bits.

    signs: (K,) int8. +1: the bit must be 1, -1: it must be 0, 0: it does not matter. weights: (K,) float64, at least
    0: how much the bit counts. margin: (K,) float64 from 0 to 1, how far the codes of the examples are from the
    threshold 0.5; None where the query has no example.
    """

    signs: np.ndarray
    weights: np.ndarray
    margin: np.ndarray | None = None

    def on(self, bits: np.ndarray) -> np.ndarray:
        """Those of the 0-based ``bits`` that count: with a sign, and with a weight above 0."""
        return bits[(self.signs[bits] != 0) & (self.weights[bits] > 0)]


def query_of_examples(positive: np.ndarray, negative: np.ndarray | None = None) -> Query:
    """The query that several examples make together. positive: (P, K) codes in [0, 1], P at least 1; negative: (N, K).

    With p and n the mean signs of the positive and of the negative examples, the query is q = p, or q = (p - n) / 2
    where there are negative ones. Its sign says what a bit must be. Its size, the agreement of the examples, says how
    much the bit counts: a bit that half of the examples have does not matter, nor does one that positive and negative
    examples share. The order of results is then exactly that of the mean Hamming distance to the positive examples,
    minus the mean distance to the negative ones. One example alone counts every bit once: plain Hamming distance.
    """
    def mean(values: np.ndarray) -> np.ndarray:
        return values.mean(axis=0, dtype=np.float64)

    graded, soft = mean(binarise(positive)), mean(2 * np.asarray(positive, np.float64) - 1)
    if negative is not None and len(negative):
        graded = (graded - mean(binarise(negative))) / 2
        soft = (soft - mean(2 * np.asarray(negative, np.float64) - 1)) / 2
    return Query(np.sign(graded).astype(np.int8), np.abs(graded), np.abs(soft))


@dataclass(frozen=True)
class Wish:
    """Bits that concepts ask for. want, without: the bits of concepts to have and to be without. notes: for people."""

    want: list[BitName]
    without: list[BitName]
    notes: tuple[str, ...] = ()

    @property
    def concepts(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the wanted and of the unwanted concepts, each once."""
        want, without = (tuple(dict.fromkeys(name.concept for name in names)) for names in (self.want, self.without))
        return want, without

    @property
    def text(self) -> str:
        """The wish for people: "sea, without disc"."""
        want, without = self.concepts
        return ", ".join([*want, *(f"without {name}" for name in without)])

    @property
    def bits(self) -> np.ndarray:
        """(n,) int64, the 0-based bits of the wish, ascending."""
        return np.unique(np.array([name.bit for name in (*self.want, *self.without)], np.int64))


def make_wish(want: Iterable[BitName], without: Iterable[BitName]) -> Wish:
    """A wish in which every bit says one thing.

    A bit that names both a wanted and an unwanted concept goes to the one with the larger IoU (to the wanted one of
    equals), with a note. Raises InputError for a concept that is wanted and unwanted, and for one that is left without
    any bit.
    """
    want, without = list(want), list(without)
    both = {name.concept for name in want} & {name.concept for name in without}
    if both:
        raise input_error("--without", f"'{min(both)}', which --want names too", "a concept in one of the two")
    wanted, unwanted = main_names(want), main_names(without)
    torn = sorted(set(wanted) & set(unwanted))
    notes = []
    for bit in torn:
        kept, lost = wanted[bit], unwanted[bit]
        if lost.iou > kept.iou:
            kept, lost = lost, kept
        notes.append(f"bit {bit + 1} detects both {wanted[bit].concept} and {unwanted[bit].concept}; it is taken for "
                     f"{kept.concept}, IoU {kept.iou:.3f} against {lost.iou:.3f}")
    want_left = [name for name in want if name.bit not in torn or unwanted[name.bit].iou <= wanted[name.bit].iou]
    without_left = [name for name in without if name.bit not in torn or unwanted[name.bit].iou > wanted[name.bit].iou]
    gone = {name.concept for name in (*want, *without)} - {name.concept for name in (*want_left, *without_left)}
    if gone:
        raise input_error("--want", f"no bit left for '{min(gone)}'", "a bit of its own",
                          "all its bits detect another concept of the wish better")
    return Wish(want_left, without_left, tuple(notes))


def apply_wish(wish: Wish, query: Query | None, length: int) -> Query:
    """The query with the bits of the wish set: 1 for wanted concepts, 0 for unwanted ones, weight 1.

    Without a query the other bits do not matter.
    """
    signs = np.zeros(length, np.int8) if query is None else query.signs.copy()
    weights = np.zeros(length) if query is None else query.weights.copy()
    for names, sign in ((wish.want, 1), (wish.without, -1)):
        bits = [name.bit for name in names]
        signs[bits], weights[bits] = sign, 1.0
    return Query(signs, weights, None if query is None else query.margin)


def weigh(query: Query, kind: str | None, names: dict[int, BitName], bits: np.ndarray) -> Query:
    """The query with the weights of its bits multiplied. kind: None, "iou", "margin", "concept", or a file's path.

    iou: the IoU of the concept that names the bit, in ``names``; 0 for a bit without a name. margin: how far the codes
    of the examples are from the threshold. concept: 1 / n where n of the chosen ``bits`` (from 0) have the same name,
    so that every concept counts the same; 1 for a bit without a name. A file holds one number for each bit, at least
    0. Raises InputError where these are missing.
    """
    length = len(query.signs)
    if kind is None:
        return query
    if kind == "margin":
        if query.margin is None:
            raise input_error("--weight", "margin with a query of concepts alone", "an example, whose code has margins")
        return replace(query, weights=np.where(query.weights > 0, query.margin, 0))
    if kind in ("iou", "concept"):
        if not names:
            raise input_error("--weight", f"{kind} without a dissection", "--dissection FOLDER")
        factors = np.zeros(length) if kind == "iou" else np.ones(length)
        counts = Counter(names[bit].concept for bit in bits.tolist() if bit in names)
        for bit, name in names.items():
            factors[bit] = name.iou if kind == "iou" else 1 / max(counts[name.concept], 1)
        return replace(query, weights=query.weights * factors)
    return replace(query, weights=query.weights * read_weights(kind, length))


def read_weights(path: str | os.PathLike, length: int) -> np.ndarray:
    """(length,) float64: the numbers of a text file, with blanks, commas or line ends between them; # begins a remark.

    Raises InputError, with the line, for what is not a finite number of at least 0, and for another count of numbers.
    """
    lines = read_text(path).splitlines()
    values: list[float] = []
    for number, line in enumerate(lines, 1):
        for word in line.partition("#")[0].replace(",", " ").split():
            try:
                value = float(word)
            except ValueError:
                value = -1.0
            if not 0 <= value < np.inf:
                raise input_error(path, f"'{word}'", "a number of at least 0", line=number)
            values.append(value)
    if len(values) != length:
        raise input_error(path, f"{len(values)} weights", f"{length}, one for each bit")
    return np.array(values)


def check_query(query: Query, bits: Sequence[int] | np.ndarray) -> None:
    """Raises InputError where no bit of the 0-based ``bits`` decides anything."""
    bits = np.asarray(bits, np.int64)
    if not len(bits):
        raise input_error("bits", "none", "at least one bit to search by")
    if not len(query.on(bits)):
        raise input_error("query", f"no weight on any of the {len(bits)} chosen bits", "at least one bit that counts",
                          "the examples cancel out on them, or their weights are 0; choose other bits or weights")
