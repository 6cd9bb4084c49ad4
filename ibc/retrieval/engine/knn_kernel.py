"""Ross's k-nearest-neighbour estimate of mutual information, for all bits of one class at once.

On a line, sorting finds the neighbours of a point. Distances are rounded as scikit-learn rounds them, because its noise
of relative size 1e-10 decides every comparison of equal bits: differences x - y where scikit-learn uses a k-d tree, the
expanded square x^2 - 2xy + y^2 where it compares all pairs.
"""

from __future__ import annotations

import numpy as np

from ibc.compiled import compiled

NEIGHBOURS = 3  # scikit-learn's default, the official choice


@compiled
def knn_information(values, positives, digamma):
    """Mutual information in nats between each row of ``values`` and the two-class target.

    values: (K, M) float64, with noise; the first ``positives`` columns are the items of the class, the others are not
    of the class. Both parts are sorted. digamma: (M + 1,) float64, digamma[n] for n >= 1. Returns (K,) float64, >= 0.
    """
    bits, samples = values.shape
    result = np.zeros(bits)
    negatives = samples - positives
    if negatives == 0:
        return result  # nothing to tell apart
    line = np.empty(samples)  # both parts, merged
    reach = np.empty(samples)  # distance of each point to its k-th neighbour of the same part
    radius = np.empty(samples)
    for b in range(bits):
        used = 0
        neighbours = labels = 0.0
        for start, count in ((0, positives), (positives, negatives)):
            if count < 2:
                continue  # a point alone in its class has no neighbour: left out
            k = min(NEIGHBOURS, count - 1)
            group = values[b, start:start + count]
            _radii(group, k, radius)
            _merge(line, reach, used, group, radius)
            used += count
            neighbours += count * digamma[k]
            labels += count * digamma[count]
        if used == 0:
            continue
        inside = 0.0
        for i in range(used):
            near = np.nextafter(reach[i], 0.0)
            left = i
            while left > 0 and line[i] - line[left - 1] <= near:
                left -= 1
            right = i
            while right < used - 1 and line[right + 1] - line[i] <= near:
                right += 1
            inside += digamma[right - left + 1]
        result[b] = max(0.0, digamma[used] + (neighbours - labels - inside) / used)
    return result


@compiled
def _merge(line, reach, used, group, radius):
    """Merge a sorted group and its radii into the first ``used`` places of line and reach, from the back."""
    place = used + len(group) - 1
    i = used - 1
    for j in range(len(group) - 1, -1, -1):
        while i >= 0 and line[i] > group[j]:
            line[place], reach[place] = line[i], reach[i]
            i -= 1
            place -= 1
        line[place], reach[place] = group[j], radius[j]
        place -= 1


@compiled
def _radii(group, k, radius):
    """Distance of each of the sorted points to its k-th nearest neighbour among them."""
    count = len(group)
    if k >= count // 2:  # where scikit-learn compares all pairs: at most seven points
        squares = np.empty(count)
        for i in range(count):
            for j in range(count):
                square = max(0.0, group[i] * group[i] + -2.0 * (group[i] * group[j]) + group[j] * group[j])
                place = j
                while place > 0 and squares[place - 1] > square:
                    squares[place] = squares[place - 1]
                    place -= 1
                squares[place] = square
            radius[i] = np.sqrt(squares[k])  # squares[0] is the point itself
        return
    for i in range(count):
        nearest = np.inf
        for first in range(max(0, i - k), min(i, count - 1 - k) + 1):  # windows of k + 1 points around i
            nearest = min(nearest, max(group[i] - group[first], group[first + k] - group[i]))
        radius[i] = nearest
