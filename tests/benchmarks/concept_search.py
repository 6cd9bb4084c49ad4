"""How well do the bits of a concept find the concept? A demo folder flows in; Markdown tables and JSON flow out.

Run: ``python -m tests.benchmarks.concept_search demo --json concept_search.json``.

The dissection says which bits detect a concept; the list file says which scenes truly have it. For every concept that
is an attribute of the scenes: precision among the first 20 (expected over ties) of

* the wish without an image: the concept's bits must be 1;
* images that have the concept as queries, ranked by the concept's bits, by all bits, and by as many random bits;
* the same without the images of the query's own class. In concept scenes the class fixes the attributes, so all bits
  score by finding the class again; this column asks whether a ranking finds the concept elsewhere.

For every two concepts of different categories that at least 20 scenes have together: the wish for both, plain and
with each concept counting the same (``--weight concept``), beside each of the two alone and as many random bits.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import combinations
from pathlib import Path

import numpy as np

from ibc.codes import load_codes
from ibc.errors import InputError
from ibc.retrieval.bit_names import BitName, bits_named, load_bit_names, main_names
from ibc.retrieval.bits import random_bits
from ibc.retrieval.explained_search import summable
from ibc.retrieval.index import search
from ibc.retrieval.wishes import apply_wish, make_wish, weigh

FIRST = 20
DRAWS = 20
QUERIES = 60  # of each concept, spread over the list
MIN_IOU = 0.04


def precision(distances: np.ndarray, relevant: np.ndarray, counted: np.ndarray | None = None) -> float:
    """Expected share of relevant items among the first FIRST, all orders of equal distances equally likely.

    distances, relevant: (D,). counted: (D,) bool, items that take part (default: all).
    """
    if counted is not None:
        distances, relevant = distances[counted], relevant[counted]
    last = np.sort(distances)[min(FIRST, len(distances)) - 1]
    before, tied = distances < last, distances == last
    places = min(FIRST, len(distances)) - before.sum()
    return float((relevant[before].sum() + relevant[tied].mean() * places) / min(FIRST, len(distances)))


def distances_of(signs: np.ndarray, queries: np.ndarray, bits: np.ndarray | None = None,
                 weights: np.ndarray | None = None) -> np.ndarray:
    """(Q, D) distances in database order."""
    found = search(signs, queries, bits=bits, weights=weights, top=len(signs))
    ordered = np.empty(found.distances.shape)
    np.put_along_axis(ordered, found.rows, found.distances.astype(float), axis=1)
    return ordered


def by_example(signs: np.ndarray, rows: np.ndarray, has: np.ndarray, classes: np.ndarray,
               bits: np.ndarray | None) -> tuple[float, float]:
    """Mean precision of the queries ``rows`` on ``bits``: among all others, and among those of other classes."""
    distances = distances_of(signs, signs[rows], bits)
    every, elsewhere = [], []
    for row, line in zip(rows, distances, strict=True):
        every.append(precision(line, has, np.arange(len(signs)) != row))
        elsewhere.append(precision(line, has, classes != classes[row]))
    return float(np.mean(every)), float(np.mean(elsewhere))


def names_by_concept(names: list[BitName], attributes: list[str]) -> dict[str, list[BitName]]:
    """Attribute -> the bits that detect it; empty for one that no bit detects."""
    found = {}
    for attribute in attributes:
        try:
            found[attribute] = bits_named(names, attribute, MIN_IOU)
        except InputError:
            found[attribute] = []
    return found


def concept_line(concept: str, bits: list[BitName], signs: np.ndarray, has: np.ndarray, classes: np.ndarray) -> dict:
    """One row of the first table."""
    rows = np.flatnonzero(has)
    rows = rows[:: max(1, len(rows) // QUERIES)][:QUERIES]
    chosen = np.array([name.bit for name in bits])
    line = {"concept": concept, "category": bits[0].category, "bits": len(bits), "best_iou": bits[0].iou,
            "above_chance": sum(name.beats_chance is not False for name in bits), "share": float(has.mean())}
    wish = apply_wish(make_wish(bits, []), None, signs.shape[1])
    line["wish"] = precision(distances_of(signs, wish.signs[None])[0], has)
    line["share_elsewhere"] = float(np.mean([has[classes != classes[row]].mean() for row in rows]))
    line["concept_bits"], line["concept_bits_elsewhere"] = by_example(signs, rows, has, classes, chosen)
    line["all_bits"], line["all_bits_elsewhere"] = by_example(signs, rows, has, classes, None)
    draws = [by_example(signs, rows, has, classes, drawn)
             for drawn in random_bits(signs.shape[1], len(bits), DRAWS, seed=0)]
    line["random_bits"], line["random_bits_elsewhere"] = (float(np.mean(column)) for column in zip(*draws, strict=True))
    return line


def pair_line(pair: tuple[str, str], bits: dict[str, list[BitName]], signs: np.ndarray,
              flags: dict[str, np.ndarray]) -> dict:
    """One row of the second table: the wish for two concepts, and each of them alone."""
    both = flags[pair[0]] & flags[pair[1]]
    length = signs.shape[1]
    wish = apply_wish(make_wish([*bits[pair[0]], *bits[pair[1]]], []), None, length)
    line = {"concepts": list(pair), "share": float(both.mean()),
            "wish": precision(distances_of(signs, wish.signs[None])[0], both)}
    names = main_names([*bits[pair[0]], *bits[pair[1]]])
    equal = weigh(wish, "concept", names, np.array(sorted(names)))
    line["equal_concepts"] = precision(distances_of(signs, wish.signs[None], weights=summable(equal.weights))[0], both)
    for place, concept in enumerate(pair):
        alone = apply_wish(make_wish(bits[concept], []), None, length)
        line["first_alone" if place == 0 else "second_alone"] = precision(
            distances_of(signs, alone.signs[None])[0], both)
    random = [precision(distances_of(signs, np.ones((1, length), np.int8), drawn)[0], both)
              for drawn in random_bits(length, len(names), DRAWS, seed=0)]
    return line | {"bits": len(names), "random_bits": float(np.mean(random))}


def measure(demo: Path) -> dict:
    """Everything measured of a demo folder."""
    codes = load_codes(demo / "results/demo/test.npz")
    attributes = (demo / "data/attributes.txt").read_text().splitlines()
    flags = {name: codes.labels[:, 1 + column] == 1 for column, name in enumerate(attributes)}
    names = load_bit_names(demo / "dissection", codes.code_length)
    bits, signs, classes = names_by_concept(names, attributes), codes.bits, codes.categories
    lines = [concept_line(concept, found, signs, flags[concept], classes) for concept, found in bits.items() if found]
    known = {line["concept"]: line["category"] for line in lines}
    pairs = [pair for pair in combinations(known, 2)
             if known[pair[0]] != known[pair[1]] and (flags[pair[0]] & flags[pair[1]]).sum() >= FIRST]
    return {"first": FIRST, "draws": DRAWS, "min_iou": MIN_IOU, "images": len(codes), "bits": codes.code_length,
            "concepts": lines, "without_a_bit": [concept for concept, found in bits.items() if not found],
            "pairs": [pair_line(pair, bits, signs, flags) for pair in pairs]}


def markdown(report: dict) -> str:
    """The two tables."""
    lines = ["| concept | bits (best IoU) | has it | wish | concept bits | all bits | random bits | has it, elsewhere "
             "| concept bits | all bits | random bits |", "|---|---|---|---|---|---|---|---|---|---|---|"]
    keys = ("share", "wish", "concept_bits", "all_bits", "random_bits", "share_elsewhere", "concept_bits_elsewhere",
            "all_bits_elsewhere", "random_bits_elsewhere")

    def cells(line: dict) -> str:
        return " | ".join(f"{line[key]:.2f}" for key in keys)

    rows = sorted(report["concepts"], key=lambda line: -line["wish"])
    lines += [f"| {line['concept']} | {line['bits']} ({line['best_iou']:.2f}) | {cells(line)} |" for line in rows]
    mean = {key: float(np.mean([line[key] for line in rows])) for key in keys}
    lines += [f"| **mean** | | {cells(mean)} |", "",
              f"No bit detects: {', '.join(report['without_a_bit']) or 'none'}.", "",
              "| wish | bits | has both | wish | concepts equal | first alone | second alone | random bits |",
              "|---|---|---|---|---|---|---|---|"]
    keys = ("share", "wish", "equal_concepts", "first_alone", "second_alone", "random_bits")
    pairs = sorted(report["pairs"], key=lambda line: -line["wish"])
    lines += [f"| {', '.join(line['concepts'])} | {line['bits']} | {cells(line)} |" for line in pairs]
    if pairs:
        mean = {key: float(np.mean([line[key] for line in pairs])) for key in keys}
        lines.append(f"| **mean of {len(pairs)}** | | {cells(mean)} |")
    return "\n".join(lines)


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, help="folder that make demo wrote")
    parser.add_argument("--json", type=Path, help="write every number here")
    options = parser.parse_args()
    report = measure(options.demo)
    print(markdown(report))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
