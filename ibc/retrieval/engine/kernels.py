"""Compiled kernels of the ranking: one query after another against the whole database, by counting.

Codes of K bits have at most 2K + 1 different distances. So nothing is sorted: items are counted at each distance, and
the rank of an item is (items nearer) + (items as far, earlier in the database). Packed codes and labels flow in; counts
at each distance and sums of precision flow out, into arrays of the caller. Q queries, D items, W words a code, B
possible distances (``bins``).
"""

from __future__ import annotations

import numpy as np
from numba.extending import intrinsic

from ibc.compiled import compiled

WORD_GROUP = 4  # 64-bit words that ``distances`` takes in one vectorised step; packed codes are padded to a multiple
SELF_KEPT, SELF_EXCLUDED, SELF_COUNTED = 0, 1, 2  # a query in its own ranking: irrelevant, left out, a hit


@intrinsic
def _popcount(_context, value):
    """Number of set bits of an unsigned integer (one processor instruction)."""
    return value(value), lambda _c, builder, _signature, args: builder.ctpop(args[0])


@compiled
def distances(query, query_mask, db, db_mask, out):
    """Distances of one query to D items, into ``out`` (D,) uint16.

    query, query_mask: (W,) uint64. db, db_mask: (W, D) uint64; see ``packing``. Only bits of the query's mask count, n
    of them. Without a 0 in the database (db_mask of shape (0, 0)): the Hamming distance. With zeros:
    n - <query, item>, which is in half steps, twice the Hamming distance where no 0 is met.
    """
    words, items = db.shape
    if db_mask.shape[0] == 0:
        out[:] = 0
        for w in range(0, words, WORD_GROUP):
            q0, q1, q2, q3 = query[w], query[w + 1], query[w + 2], query[w + 3]
            m0, m1, m2, m3 = query_mask[w], query_mask[w + 1], query_mask[w + 2], query_mask[w + 3]
            d0, d1, d2, d3 = db[w], db[w + 1], db[w + 2], db[w + 3]
            for j in range(items):
                out[j] += np.uint16(_popcount((d0[j] ^ q0) & m0) + _popcount((d1[j] ^ q1) & m1)
                                    + _popcount((d2[j] ^ q2) & m2) + _popcount((d3[j] ^ q3) & m3))
        return
    length = np.uint64(0)
    for w in range(words):
        length += _popcount(query_mask[w])
    out[:] = np.uint16(length)
    for w in range(words):
        q, m = query[w], query_mask[w]
        for j in range(items):
            known = m & db_mask[w, j]
            unequal = _popcount((db[w, j] ^ q) & known)
            out[j] += np.uint16(unequal + unequal - _popcount(known))  # modulo 2^16; the last sum is right


@compiled
def _relevant(label, labels, label_set, label_sets, out):
    """Whether each item is relevant, 1 or 0 into ``out`` (D,): a shared label where sets are given, else equal ids."""
    words, items = label_sets.shape
    if words == 0:
        for j in range(items):
            out[j] = labels[j] == label
        return
    out[:] = 0
    for w in range(words):
        mine = label_set[w]
        for j in range(items):
            out[j] |= (label_sets[w, j] & mine) != 0


@compiled
def rank_block(queries, query_masks, db, db_mask, labels, db_labels, label_sets, db_label_sets, self_index, self_mode,
               cutoffs, points, counts, relevant_counts, stable_sums, stable_hits):
    """Rank the database for each query of a block; ties in database order.

    queries, query_masks: (Q, W) uint64; db, db_mask: (W, D) uint64 (see ``distances``).
    labels (Q,), db_labels (D,): int32 category ids. label_sets (Q, S), db_label_sets (S, D): uint64, label sets packed
    into words; S = 0 says that the category ids count.
    self_index: (Q,) database row of each query, -1 for none. self_mode: one of SELF_KEPT, ...
    cutoffs (A,), points (N,): int64, cut-off ranks of average precision, and ranks of precision and recall.

    Writes counts, relevant_counts (Q, B) int32: items and relevant items at each distance, without an excluded query;
    stable_sums (Q, A): (relevant so far / rank), summed over the relevant items up to rank cutoffs[a];
    stable_hits (Q, N): relevant items up to rank points[n].
    """
    bins = counts.shape[1]
    items = db.shape[1]
    distance = np.empty(items, np.uint16)
    relevant = np.empty(items, np.uint8)
    found_distance = np.empty(items + 1, np.uint16)  # one place more: the loop below writes before it counts
    found_earlier = np.empty(items + 1, np.int32)
    seen = np.empty(bins + 1, np.int32)  # the last bin holds an excluded query, behind everything
    nearer = np.empty(bins, np.int64)
    relevant_so_far = np.empty(bins, np.int64)
    for i in range(queries.shape[0]):
        distances(queries[i], query_masks[i], db, db_mask, distance)
        _relevant(labels[i], db_labels, label_sets[i], db_label_sets, relevant)
        row = self_index[i]
        if row >= 0 and self_mode != SELF_COUNTED:
            relevant[row] = 0
            if self_mode == SELF_EXCLUDED:
                distance[row] = bins
        seen[:] = 0
        found = 0
        for j in range(items):  # without an if: the processor cannot guess which item is relevant
            d = distance[j]
            earlier = seen[d]
            seen[d] = earlier + 1
            found_distance[found] = d
            found_earlier[found] = earlier
            found += relevant[j]
        mine = relevant_counts[i]
        mine[:] = 0
        for f in range(found):
            mine[found_distance[f]] += 1
        items_before = 0
        relevant_before = 0
        for b in range(bins):
            counts[i, b] = seen[b]
            nearer[b] = items_before
            relevant_so_far[b] = relevant_before
            items_before += seen[b]
            relevant_before += mine[b]
        stable_sums[i] = 0
        stable_hits[i] = 0
        for f in range(found):
            d = found_distance[f]
            relevant_so_far[d] += 1
            rank = nearer[d] + found_earlier[f] + 1
            precision = relevant_so_far[d] / rank
            for a in range(cutoffs.shape[0]):
                if rank <= cutoffs[a]:
                    stable_sums[i, a] += precision
            for n in range(points.shape[0]):
                stable_hits[i, n] += rank <= points[n]


@compiled
def vote_block(queries, query_masks, db, db_mask, starts, classes, class_count, self_index, bins, neighbours, winners):
    """The most frequent class among the nearest ``neighbours`` items of each query, into ``winners`` (Q,); -1: none.

    Item j votes for each of ``classes[starts[j] : starts[j + 1]]``, int64 numbers below ``class_count``. An item
    without a class takes no place, and the query itself (row self_index, -1: not there) takes none. Items at the last
    distance that counts share the places that are left.
    """
    items = db.shape[1]
    distance = np.empty(items, np.uint16)
    seen = np.empty(bins + 1, np.int64)
    votes = np.empty(class_count, np.int64)  # times the number of items at the last distance: whole numbers
    for i in range(queries.shape[0]):
        distances(queries[i], query_masks[i], db, db_mask, distance)
        if self_index[i] >= 0:
            distance[self_index[i]] = bins
        seen[:] = 0
        for j in range(items):
            if starts[j + 1] > starts[j]:
                seen[distance[j]] += 1
        last = 0
        places = neighbours
        while last < bins and seen[last] < places:
            places -= seen[last]
            last += 1
        whole = seen[last] if last < bins else 1
        votes[:] = 0
        for j in range(items):
            if distance[j] <= last and distance[j] < bins:
                for place in range(starts[j], starts[j + 1]):
                    votes[classes[place]] += whole if distance[j] < last else places
        winners[i] = -1
        if class_count > 0 and votes.max() > 0:
            winners[i] = votes.argmax()


@compiled
def harmonic_numbers(count):
    """Harmonic numbers H(0) .. H(count), (2, count + 1): rounded values, and what the rounding lost."""
    table = np.zeros((2, count + 1))
    high = low = 0.0
    for k in range(1, count + 1):
        term = 1.0 / k
        total = high + term
        low += term - (total - high)  # exact: high >= term from the second term on
        high = total
        table[0, k] = high
        table[1, k] = low
    return table


@compiled
def tie_block(counts, relevant_counts, cutoffs, points, harmonic, expected, pessimistic, optimistic, expected_hits):
    """Sums of precision over the relevant items: mean over all orders of equally distant items, and both bounds.

    counts, relevant_counts: (Q, B) as ``rank_block`` writes them. harmonic: ``harmonic_numbers`` of D.
    A group of n equally distant items, r of them relevant, begins behind ``before`` items, of which ``hits`` are
    relevant. In a random order the item at place p of the group is relevant with probability r / n. If it is, then
    (p - 1)(r - 1) / (n - 1) relevant items of its group stand before it on average. So, over the places p up to the
    cut-off rank,
      E[sum] = r/n . sum_p (hits + 1 + (p - 1)(r - 1)/(n - 1)) / (before + p),
    where sum 1/(before + p) is a difference of harmonic numbers. The bounds put the relevant items last, or first.
    Writes expected, pessimistic, optimistic (Q, A), and expected_hits (Q, N), the mean number of relevant items up to
    rank points[n].
    """
    for i in range(counts.shape[0]):
        expected[i] = pessimistic[i] = optimistic[i] = 0.0
        expected_hits[i] = 0.0
        before = hits = 0
        for b in range(counts.shape[1]):
            n = counts[i, b]
            r = relevant_counts[i, b]
            if r > 0:
                slope = (r - 1) / (n - 1) if n > 1 else 0.0
                last = before + n - r
                for a in range(cutoffs.shape[0]):
                    places = min(n, cutoffs[a] - before)
                    if places <= 0:
                        continue
                    inverse = inverse_ranks(harmonic, before, places)
                    expected[i, a] += r / n * ((hits + 1) * inverse + slope * (places - (before + 1) * inverse))
                    first_places = min(r, places)
                    optimistic[i, a] += first_places + (hits - before) * inverse_ranks(harmonic, before, first_places)
                    last_places = min(r, cutoffs[a] - last)
                    if last_places > 0:
                        pessimistic[i, a] += last_places + (hits - last) * inverse_ranks(harmonic, last, last_places)
                for k in range(points.shape[0]):
                    expected_hits[i, k] += r / n * max(0, min(n, points[k] - before))
            before += n
            hits += r


@compiled
def inverse_ranks(table, start, count):
    """1/(start + 1) + ... + 1/(start + count)."""
    stop = start + count
    return (table[0, stop] - table[0, start]) + (table[1, stop] - table[1, start])
