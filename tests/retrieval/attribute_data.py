"""Attribute data that the tests of attributes and of customised retrieval share, and their slow twin."""

import json

import numpy as np

from ibc.codes import load_codes
from ibc.retrieval.attributes import AttributeData
from tests.retrieval.slow_ranking import average_precision


def official_data(golden):
    """(data, groups, results) of the official implementation."""
    codes = load_codes(golden / "eval_main_inputs.mat")
    flags = codes.labels[:, 1:] == 1
    results = json.loads((golden / "eval_main_results.json").read_text())
    groups = [np.array(group) - 1 for group in results["expert_idx"]]
    return AttributeData(codes.bits, flags, codes.bits, flags, True), groups, results


def slow_map(queries, items, flags, bits):
    """Mean AP of +-1/0 query rows on a bit list, stable order, every flagged item relevant, the query included."""
    total = []
    for query in queries:
        distance = -sum(items[:, bit].astype(int) * int(query[bit]) for bit in bits)
        order = np.argsort(distance, kind="stable")
        total.append(float(average_precision(flags[order].astype(int).tolist())))
    return float(np.mean(total)) if total else float("nan")


def odd_case():
    """Codes of exactly 0.5, missing attribute values, a bit in two groups, an attribute that nobody has."""
    random = np.random.default_rng(12)
    signs = random.choice([-1, 0, 1], (60, 12), p=[0.4, 0.1, 0.5]).astype(np.int8)
    labels = random.choice([0, 1, 2], (60, 4), p=[0.5, 0.3, 0.2])
    labels[:, 2] = random.choice([0, 2], 60)
    return signs, labels == 1, [[0, 1, 2], [2, 5], [7, 8, 9, 0]], random.permutation(12)
