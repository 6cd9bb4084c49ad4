"""Average precision divided by the relevant items that the ranking found up to a cut-off rank, over all orders of ties.

Much of the hashing literature divides so. Unlike the number of all relevant items, that divisor depends on the order
of the ties, so its expected value needs the chance of every number that may be found.
"""

from __future__ import annotations

import math

from ibc.compiled import compiled
from ibc.retrieval.engine.kernels import inverse_ranks


@compiled
def found_block(counts, relevant_counts, cutoff, harmonic, expected):
    """Writes into ``expected`` (Q,) the mean over all orders of equally distant items; 0 where nothing can be found.

    counts, relevant_counts: (Q, B) as ``rank_block`` writes them. harmonic: ``harmonic_numbers`` of D.
    Of the group that the cut-off rank divides, s of n places count. x of its r relevant items are at them with the
    chance C(r, x) C(n - r, s - x) / C(n, s); these stand in any order, as those of a whole group of s do.
    """
    for i in range(counts.shape[0]):
        total = expected[i] = 0.0
        before = hits = 0
        for b in range(counts.shape[1]):
            n = counts[i, b]
            r = relevant_counts[i, b]
            s = min(n, cutoff - before)
            if s == n:
                total += _group_sum(before, hits, n, r, harmonic)
                before += n
                hits += r
                continue
            for x in range(max(0, s - (n - r)), min(s, r) + 1):
                if hits + x > 0:
                    chance = math.exp(_choices(r, x) + _choices(n - r, s - x) - _choices(n, s))
                    expected[i] += chance * (total + _group_sum(before, hits, s, x, harmonic)) / (hits + x)
            break
        else:  # no group is divided
            if hits > 0:
                expected[i] = total / hits


@compiled
def _group_sum(before, hits, n, r, harmonic):
    """Expected sum of the precisions at the r relevant of n items in random order; ``tie_block`` has the formula."""
    if r == 0:
        return 0.0
    slope = (r - 1) / (n - 1) if n > 1 else 0.0
    inverse = inverse_ranks(harmonic, before, n)
    return r / n * ((hits + 1) * inverse + slope * (n - (before + 1) * inverse))


@compiled
def _choices(n, k):
    """The logarithm of n over k."""
    return math.lgamma(n + 1.0) - math.lgamma(k + 1.0) - math.lgamma(n - k + 1.0)
