"""Sizes and ranges as people type them."""

from ibc.commands.dissect_flags import memory_size, number_ranges


def test_memory_sizes_and_ranges():
    assert [memory_size(text) for text in ("512M", "2g", "0", "1.5K")] == [2**29, 2**31, 0, 1536]
    assert number_ranges("3,1-2,2", "--units") == (1, 2, 3)
