"""Results in order, and no more items taken than results."""

import pytest

from ibc.retrieval.engine.in_threads import in_threads


def test_order_and_how_far_it_runs_ahead():
    taken = []

    def items():
        for number in range(50):
            taken.append(number)
            yield number

    results = in_threads(lambda number: number * number, items(), threads=3)
    for number in range(50):
        assert next(results) == number * number
        assert len(taken) <= number + 1 + 2 * 3 + 1
    assert next(results, None) is None


def test_the_error_of_an_item_is_raised_at_its_place():
    results = in_threads(lambda number: 1 // (number - 2), range(5), threads=2)
    assert [next(results), next(results)] == [-1, -1]
    with pytest.raises(ZeroDivisionError):
        next(results)
