"""Attribute retrieval: the official results, and a literal slow twin on odd cases."""

import numpy as np
import pytest

from ibc.retrieval.attributes import AttributeData, attribute_maps
from tests.retrieval.attribute_data import odd_case, official_data, slow_map


def test_official_attribute_maps(golden):
    data, _, results = official_data(golden)
    assert np.abs(attribute_maps(data)["stable"] - results["attribute_map"]).max() < 1e-12
    one = attribute_maps(data.columns([4]))["stable"]
    assert abs(one[0] - results["attribute_map"][4]) < 1e-12


def test_a_separate_database_has_its_own_flags():
    signs, flags, _, _ = odd_case()
    data = AttributeData(signs[:20], flags[:20], signs[20:], flags[20:], False)
    maps = attribute_maps(data)["stable"]
    for place in (0, 1, 3):
        queries = signs[:20][flags[:20, place]]
        assert maps[place] == pytest.approx(slow_map(queries, signs[20:], flags[20:, place], range(12)), abs=1e-12)
