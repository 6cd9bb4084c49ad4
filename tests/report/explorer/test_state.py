"""The ranking of a page's state, against distances counted one by one."""

import numpy as np
import pytest

from ibc.errors import InputError
from ibc.report.explorer.state import PageState, rank, view_query

RANDOM = np.random.default_rng(5)
SIGNS = np.where(RANDOM.random((60, 40)) < 0.03, 0, RANDOM.choice([-1, 1], (60, 40))).astype(np.int8)
SIGNS[4] = RANDOM.choice([-1, 1], 40)
EXPERT = [[3, 1, 7], [0, 39, 20]]


def slow_rank(state: PageState) -> list[tuple[int, float]]:
    wanted = {}
    if state.mode != "bits":
        for bit in range(SIGNS.shape[1]):
            if state.mode == "expert" and state.number is not None and bit not in EXPERT[state.number]:
                continue
            means = [sum(int(SIGNS[item, bit]) for item in items) / len(items) if items else 0.0
                     for items in (state.positive, state.negative)]
            if abs(means[0] - means[1]) > 1e-9:
                wanted[bit] = 1 if means[0] > means[1] else -1
    wanted |= dict(state.bits)
    distances = [sum(0.5 if sign[bit] == 0 else float(sign[bit] != want) for bit, want in wanted.items())
                 for sign in SIGNS]
    return sorted(enumerate(distances), key=lambda item: (item[1], item[0]))


def random_state(random: np.random.Generator) -> PageState:
    def items(most: int) -> tuple[int, ...]:
        return tuple(random.choice(60, random.integers(0, most + 1), replace=False).tolist())

    chips = tuple((int(bit), int(random.choice([-1, 1]))) for bit in random.choice(40, random.integers(0, 4), False))
    number = None if random.random() < 0.3 else int(random.integers(0, 2))
    return PageState(items(3), items(2), str(random.choice(["all", "expert", "bits"])), number, chips)


def test_random_states_rank_as_counted_one_by_one():
    random = np.random.default_rng(0)
    for _ in range(100):
        state = random_state(random)
        found = rank(SIGNS, state, EXPERT, top=60)
        assert list(zip(found.rows.tolist(), found.distances.tolist(), strict=True)) == slow_rank(state), state


def test_parts_of_a_query():
    query, bits = view_query(SIGNS, PageState((4,), (), "expert", 1, ((5, -1), (0, int(-SIGNS[4, 0])))), EXPERT)
    assert bits.tolist() == [0, 5, 20, 39] and query[0] == -SIGNS[4, 0] and query[5] == -1
    assert not view_query(SIGNS, PageState((4,), (4,)), EXPERT).bits.size  # example and counter-example cancel out
    assert view_query(SIGNS, PageState((4,), (), "bits", None, ((2, 1),))).bits.tolist() == [2]
    negative = view_query(SIGNS, PageState((), (4,)))
    assert np.array_equal(negative.query, -SIGNS[4])


def test_no_bit_keeps_the_order_and_top_may_be_large():
    found = rank(SIGNS, PageState(), top=1000)
    assert found.rows.tolist() == list(range(60)) and not found.distances.any()
    assert rank(SIGNS, PageState(), top=5).rows.tolist() == [0, 1, 2, 3, 4]


def test_state_of_the_pages_json():
    state = PageState.from_json({"positive": [1], "negative": [], "mode": "expert", "class": 1, "bits": [[3, -1]]})
    assert state == PageState((1,), (), "expert", 1, ((3, -1),))
    assert PageState.from_json({}) == PageState()
    with pytest.raises(InputError, match="mode 'some'"):
        PageState.from_json({"mode": "some"})
