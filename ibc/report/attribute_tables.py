"""Tables of attribute retrieval and of customised retrieval; attributes and bits are numbered from 1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ibc.report.text import columns, number, official_number
from ibc.retrieval.attribute_evaluation import AttributeScores
from ibc.retrieval.bit_groups import BitGroups
from ibc.retrieval.customised import NO_CHOICE, Customised
from ibc.retrieval.means import deviation, mean_of_known


def official_attribute_lines(scores: AttributeScores) -> Iterator[str]:
    """The lines of the official scripts for the chosen attributes, in their words."""
    for place, column in enumerate(scores.plan.chosen):
        name = scores.plan.names[column]
        yield f"Retrieval mAP of {name} attribute retrieval: {official_number(scores.official['stable'][column])}"
        if scores.custom is not None:
            yield f"Retrieval mAP of {name} attribute customized retrieval: {scores.custom.oracle.map[place]:.4f}"


def attribute_lines(scores: AttributeScores) -> Iterator[str]:
    """A table of all attributes, then the customised retrieval of the chosen ones."""
    plan = scores.plan
    yield ""
    if not plan.names:
        yield "no attribute columns in the codes file"
        return
    yield from columns(list(_attribute_cells(scores)))
    if scores.custom is None or plan.groups is None:
        yield "no bit groups given (--groups, or --dissection with --concepts): no customised retrieval"
    else:
        yield from _custom_lines(scores.custom, [plan.names[column] for column in plan.chosen], plan.groups,
                                 "queries as a hit" if plan.data.same else "separate database")


def _attribute_cells(scores: AttributeScores) -> Iterator[tuple[str, ...]]:
    plan = scores.plan
    first, second = (("query as a hit (official)", "query left out") if plan.data.same
                     else ("separate database (official)", "separate database"))
    if plan.trusted is not None:
        second = "query left out" if plan.trusted.same else "database without queries"
    yield "attribute", "", "queries", first, second
    yield "", "", "", "database order", "expected [worst, best order]"
    official, trusted = scores.official["stable"], scores.trusted
    queries = scores.queries
    for column, name in enumerate(scores.plan.names):
        bounds = f"[{number(trusted['pessimistic'][column])}, {number(trusted['optimistic'][column])}]"
        texts = [number(official[column]), f"{number(trusted['expected'][column])} {bounds}"]
        if not queries[column]:
            texts = ["no image has it", ""]
        yield str(column + 1), name, str(queries[column]), *texts
    yield ("", "mean of those with queries", "",
           *(number(mean_of_known(maps)) for maps in (official, trusted["expected"])))


def _custom_lines(custom: Customised, names: Sequence[str], groups: BitGroups, queries: str) -> Iterator[str]:
    """The groups, then a block for each attribute. queries: how they stand in their own ranking."""
    yield ""
    yield (f"customised retrieval, {len(custom.maps.subsets)} subsets of {len(groups.names)} bit groups "
           f"(bits from 1; {queries}, database order):")
    for name, bits in zip(groups.names, groups.bits, strict=True):
        yield f"  {name}: {', '.join(str(bit + 1) for bit in bits)}"
    for place, name in enumerate(names):
        yield ""
        yield from columns(list(_custom_cells(custom, place, name, groups.names)))


def _custom_cells(custom: Customised, place: int, name: str, group_names: Sequence[str]) -> Iterator[Sequence[str]]:
    """The block of the attribute at ``place``, with real queries and with the code of ones."""
    maps, best, judged = custom.maps, custom.oracle, custom.honest
    yield name, "real queries", "code of ones"
    if np.isnan(maps.real[:, place]).all():
        yield "no image has it", "", ""
        return

    def chosen(value: np.ndarray, choice: np.ndarray) -> str:
        groups = [group_names[group] for group in maps.groups(choice[place])]
        return f"{number(value[place])} ({'none' if choice[place] == NO_CHOICE else ' + '.join(groups)})"

    def drawn(draws: np.ndarray) -> str:
        return f"{number(draws[:, place].mean())} ± {deviation(draws[:, place]):.4f}"

    honest = number(judged.map[place]), number(judged.ones_map[place])
    yield "oracle: groups chosen on this data", chosen(best.map, best.choice), chosen(best.ones_map, best.choice_ones)
    if not custom.halves:
        yield "honest: chosen on the --choose_on file", *honest
    yield "all groups, nothing chosen", number(maps.real[-1, place]), number(maps.ones[-1, place])
    yield "as many bits, one permutation", number(best.random_map[place]), number(best.ones_random_map[place])
    yield f"as many bits, {len(custom.random)} draws", drawn(custom.random), drawn(custom.random_ones)
    if custom.halves:
        yield "halves of the data, each its own database:", "", ""
        yield "  honest: chosen on the other half", *honest
        yield "  oracle: chosen on the half itself", *(
            number(value[place]) for value in (judged.oracle_map, judged.oracle_ones_map))
