"""Attribute columns by name, part of a name, or number from 1."""

import pytest

from ibc.errors import InputError
from ibc.retrieval.attribute_names import IMAGENET_150K, SUN, column_names, find_column


def test_sun_ocean_is_the_official_column():
    assert len(SUN) == 102 and len(set(SUN)) == 102
    assert find_column("ocean", SUN) == find_column("67", SUN) == 66


def test_imagenet_names_are_the_published_ones(shared_data):
    from scipy.io import loadmat

    info = loadmat(shared_data / "imagenet150k" / "dataset_info.mat", variable_names=["info"])["info"]
    assert list(IMAGENET_150K) == [str(row[0][0]) for row in info]


@pytest.mark.parametrize(("text", "column"), [("Has Tail", 21), ("tail", 21), ("1", 0), (" furry ", 20)])
def test_names_are_found(text, column):
    assert find_column(text, IMAGENET_150K) == column


@pytest.mark.parametrize(("text", "message"), [
    ("strips", "near names: stripes"), ("has", "near names: has tail"), ("0", "1 to 25"), ("26", "1 to 25")])
def test_unknown_names_are_explained(text, message):
    with pytest.raises(InputError, match=message):
        find_column(text, IMAGENET_150K)


def test_names_come_from_a_file_or_the_data_set(tmp_path):
    path = tmp_path / "attributes.txt"
    path.write_text("striped\n\ndotted\n")
    assert column_names(2, path=path) == ["striped", "dotted"]
    assert column_names(102, SUN) == list(SUN)
    assert column_names(2, SUN) == ["column 1", "column 2"]
    with pytest.raises(InputError, match="2 names, expected 3"):
        column_names(3, path=path)
