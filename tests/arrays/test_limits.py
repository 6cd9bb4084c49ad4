"""The memory of a file's arrays is limited by one setting."""

import pytest

from ibc.arrays.limits import MemoryLimit
from ibc.errors import InputError


def test_a_file_may_grow_to_the_setting_or_eight_times(monkeypatch):
    limit = MemoryLimit("f.mat", 10**6)
    limit.take(9 * 10**8, "m")
    with pytest.raises(InputError, match=r"f.mat: found m of 200 MB in a file of 1 MB, expected arrays of 1 GB in all; "
                                         r"set IBC_ARRAY_GB"):
        limit.take(2 * 10**8, "m")
    MemoryLimit("f.mat", 10**9).take(8 * 10**9, "m")
    monkeypatch.setenv("IBC_ARRAY_GB", "20")
    MemoryLimit("f.mat", 10).take(2 * 10**10, "m")


def test_small_numbers_count_as_float32():
    with pytest.raises(InputError):
        MemoryLimit("f.mat", 10).take_numbers(3 * 10**8, 1, "m")


@pytest.mark.parametrize("value", ["x", "-1", "nan", "inf", "1e99"])
def test_the_setting_is_a_number(monkeypatch, value):
    monkeypatch.setenv("IBC_ARRAY_GB", value)
    with pytest.raises(InputError, match="environment variable IBC_ARRAY_GB"):
        MemoryLimit("f.mat", 10)
