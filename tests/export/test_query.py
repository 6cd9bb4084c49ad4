"""Queries as whole numbers: what takes part, and what is refused."""

import numpy as np
import pytest

from ibc.errors import InputError
from ibc.export.query import masked_query, words_of


def test_code_mask_and_words():
    signs = np.array([1, -1, 0, 1] + [-1] * 66)
    query = masked_query(signs, [0, 1, 2, 69, 0])
    assert query.code == 1 and query.mask == 1 + 2 + (1 << 69) and query.bits == [0, 1, 69]
    assert words_of(query.mask, query.words) == [3, 32]
    assert masked_query(signs).bits == [bit for bit in range(70) if bit != 2]


def test_bits_are_grouped_by_weight():
    query = masked_query(np.ones(4), weights=np.array([2, 0, 0.5, 2]))
    assert query.groups == ((0.5, 4), (2.0, 9)) and query.mask == 13


@pytest.mark.parametrize(("arguments", "message"), [
    ({"bits": []}, "no bits"), ({"bits": [2]}, "no bits"), ({"weights": np.zeros(4)}, "no bits"),
    ({"bits": [4]}, "bit 5"), ({"bits": [-1]}, "bit 0"), ({"weights": -np.ones(4)}, "weights"),
    ({"weights": np.full(4, np.nan)}, "weights"), ({"weights": np.ones(3)}, "weights"), ({"top": 0}, "--top"),
])
def test_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        masked_query(np.array([1, -1, 0, 1]), **arguments)
