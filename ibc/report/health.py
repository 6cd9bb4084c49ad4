"""Code health as lines for people, where bits are counted from 1, and as metrics, where they are 0-based."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ibc.retrieval.code_health import IN_CLASS, UNDECIDED, CodeHealth

MOST_NAMED = 10  # bits or pairs named in one line


def health_lines(health: CodeHealth) -> Iterator[str]:
    """One line for each finding about the bits, the codes and the rule matrix."""
    ones = health.share_of_ones
    if not health.items:
        yield "no codes"
        return
    pairs = health.correlations
    yield f"bit balance: {ones.mean():.3f} of all bits are 1; by bit from {ones.min():.3f} to {ones.max():.3f}"
    yield f"dead bits, equal in all codes: {len(health.dead)}{_named(str(bit + 1) for bit in health.dead)}"
    twins = [f"{first + 1} and {second + 1}" for first, second in health.duplicates]
    yield f"duplicate bits, always or never agreeing: {len(twins)}{_named(twins)}"
    if len(pairs):
        yield f"correlation of two bits: {pairs.mean():.3f} on average, at most {pairs.max():.3f} (absolute)"
    yield (f"distinct codes: {health.distinct:,} of {health.items:,} ({health.distinct / health.items:.1%}); "
           f"the commonest is shared by {health.largest:,}")
    yield (f"quantisation: sigmoid values are {health.quantisation:.4f} from 0 or 1 on average; "
           f"{health.undecided:.2%} are within {UNDECIDED} of 0.5")
    if health.bits_per_class is not None and health.classes_per_bit is not None:
        rows, columns = health.bits_per_class, health.classes_per_bit
        yield (f"GRM: {health.grm_zeros:.1%} zeros; bits above {IN_CLASS} a class: {rows.mean():.1f} on average, "
               f"{rows.min()} to {rows.max()}; classes a bit: {columns.mean():.1f}, "
               f"{columns.min()} to {columns.max()}")


def health_metrics(health: CodeHealth) -> dict[str, Any]:
    """Code health, without the histogram and the matrix of correlations."""
    pairs = health.correlations
    found: dict[str, Any] = {
        "items": health.items, "share_of_ones": health.share_of_ones, "dead_bits_index": health.dead,
        "duplicate_bits_index": health.duplicates,
        "correlation_mean": pairs.mean() if len(pairs) else None,
        "correlation_max": pairs.max() if len(pairs) else None,
        "distinct_codes": health.distinct, "items_of_commonest_code": health.largest,
        "quantisation_error": health.quantisation, "undecided_share": health.undecided,
    }
    if health.bits_per_class is not None:
        found |= {"grm_zero_share": health.grm_zeros, "bits_per_class": health.bits_per_class,
                  "classes_per_bit": health.classes_per_bit}
    return found


def _named(items: Iterable[str]) -> str:
    """" (a, b, c)", at most MOST_NAMED of them; empty for none."""
    items = list(items)
    more = f" and {len(items) - MOST_NAMED} more" if len(items) > MOST_NAMED else ""
    return f" ({', '.join(items[:MOST_NAMED])}{more})" if items else ""
