"""Which bits a search goes by: all, the expert bits of a class, those of concepts or of an attribute, a typed list.

A ``ChosenBits`` flows out: the bits, what they are called, and a title and notes for people.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ibc.dissection.settings import DETECTOR_IOU
from ibc.errors import input_error
from ibc.labels import Labels
from ibc.retrieval.bit_names import BitName, bits_named, main_names
from ibc.retrieval.bits import check_top_k, expert_bits
from ibc.retrieval.class_prediction import vote
from ibc.retrieval.defaults import NEIGHBOURS
from ibc.retrieval.engine.ranking import NOT_THERE, Ranking


@dataclass(frozen=True)
class ChosenBits:
    """Bits to search by.

    title: short, for people. bits: (n,) int64 from 0, each once. names: bit -> the concept that it is known by here.
    notes: what else a reader should know. facts: how the bits were chosen, for the JSON.
    """

    title: str
    bits: np.ndarray
    names: dict[int, BitName]
    notes: tuple[str, ...]
    facts: dict[str, object]


def all_bits(length: int, names: Iterable[BitName]) -> ChosenBits:
    """Every bit of the code."""
    return ChosenBits(f"all {length} bits", np.arange(length), main_names(names), (), {"bits": "all"})


def listed_bits(bits: np.ndarray, names: Iterable[BitName]) -> ChosenBits:
    """A list of 0-based bits as typed; one that comes twice counts once."""
    chosen = np.array(list(dict.fromkeys(bits.tolist())), np.int64)
    numbers = ", ".join(str(bit + 1) for bit in chosen[:8]) + (", …" if len(chosen) > 8 else "")
    title = f"bit {numbers}" if len(chosen) == 1 else f"{len(chosen)} chosen bits ({numbers})"
    return ChosenBits(title, chosen, main_names(names), (), {"bits": "listed"})


def bits_of_names(chosen: Sequence[BitName], names: Iterable[BitName], title: str) -> ChosenBits:
    """The bits of entries of the dissection, each known by the concept that it was chosen for."""
    bits = np.array(list(dict.fromkeys(name.bit for name in chosen)), np.int64)
    own = {name.bit: name for name in reversed(chosen)}
    return ChosenBits(title, bits, main_names(names) | own, (), {"bits": "concepts"})


def concept_choice(names: Sequence[BitName], concepts: Sequence[str], min_iou: float = DETECTOR_IOU, *,
                   any_category: bool = True, source: str | os.PathLike | None = None) -> ChosenBits:
    """The bits that detect one of the concepts, see ``bit_names.bits_named``. Raises InputError for an unknown one."""
    found = [name for concept in concepts
             for name in bits_named(names, concept, min_iou, any_category=any_category, source=source)]
    count = len({name.bit for name in found})
    shown = dict.fromkeys(name.concept for name in found)
    choice = bits_of_names(found, names, f"{_bits(count)} of {', '.join(shown)}")
    return ChosenBits(choice.title, choice.bits, choice.names, (),
                     {"bits": "concepts", "concepts": list(concepts), "min_iou": min_iou,
                      "any_category": any_category})


def best_concept(names: Sequence[BitName], signs: np.ndarray, min_iou: float = DETECTOR_IOU, *,
                 any_category: bool = True, source: str | os.PathLike | None = None) -> str:
    """The concept that a query has most clearly: with the largest sum of IoU over its bits, those that are 0 negative.

    signs: (K,) of the query. Only bits that detect the concept above chance and with at least ``min_iou`` count.
    Raises InputError where the query has no concept.
    """
    considered = names if any_category else main_names(names).values()
    scores: dict[str, float] = {}
    for name in considered:
        if name.iou >= min_iou and name.beats_chance is not False:
            scores[name.concept] = scores.get(name.concept, 0.0) + name.iou * int(signs[name.bit])
    best = max(scores, key=lambda concept: scores[concept], default=None)
    if best is None or scores[best] <= 0:
        raise input_error(source, "no concept among the bits that the query has", "at least one",
                          "name a concept, or lower --min_iou")
    return best


def expert_choice(grm: np.ndarray | None, label: int, top_k: int, names: Iterable[BitName], *, how: str,
                  class_name: str = "") -> ChosenBits:
    """The expert bits of a class: the ``top_k`` bits with the largest entries in its row of the rule matrix.

    how: how the class is known, for people. Raises InputError without a rule matrix, and for a class that it lacks.
    """
    if grm is None:
        raise input_error("--expert", "a codes file without a rule matrix (GRM)", "codes with one",
                          "extract the codes again, or take other bits")
    if not 0 <= label < len(grm):
        raise input_error("--class", str(label), f"a class from 0 to {len(grm) - 1}")
    check_top_k(top_k, grm.shape[1])
    bits = expert_bits(grm[label : label + 1], top_k)[0]
    called = f"class {label}" + (f" ({class_name})" if class_name else "")
    note = f"{called}: {how}"
    weak = int((grm[label, bits] <= 0.5).sum())
    notes = (note,) if not weak else (note, f"{weak} of these bits have a GRM entry of at most 0.5 for the class")
    return ChosenBits(f"{top_k} expert bits of {called}", bits, main_names(names), notes,
                     {"bits": "expert", "class": label, "class_name": class_name or None, "class_found_by": how,
                      "grm": grm[label, bits]})


def predicted_class(signs: np.ndarray, db_signs: np.ndarray, labels: Labels, left_out: Sequence[int] = (),
                    neighbours: int = NEIGHBOURS) -> int:
    """The class that most of the nearest images of the database have, by all bits of the query.

    signs: (K,) of the query. left_out: rows of the database that have no vote, such as the query's own. Raises
    InputError where no image has a class.
    """
    keep = np.ones(len(db_signs), bool)
    keep[list(left_out)] = False
    ranking = Ranking(signs[None], db_signs[keep], Labels(np.array([-1])), labels[keep], np.array([NOT_THERE]), None)
    found = int(vote(ranking, labels[keep], neighbours)[0]) if keep.any() else -1
    if found < 0:
        raise input_error("--expert", "no image with a class to predict the query's from", "a class",
                          "give it by --class")
    return found


def _bits(count: int) -> str:
    return "1 bit" if count == 1 else f"{count} bits"
