"""Decoded images that are kept: as many as fit, the first ones; errors never."""

import pytest
import torch

from ibc.data.decode import ImageError
from ibc.data.gpu import image_cache
from ibc.data.gpu.image_cache import ImageCache, free_host_memory

CPU = torch.device("cpu")


def test_nothing_is_kept_when_off():
    cache = ImageCache("off", CPU)
    cache.keep({0: torch.zeros(3, 2, 2, dtype=torch.uint8)})
    assert not cache.in_use and 0 not in cache and cache.get(0) is None and cache.home == CPU


def test_images_are_kept_as_far_as_they_fit(monkeypatch):
    monkeypatch.setattr(image_cache, "free_host_memory", lambda: 2 * 100)  # half of it is taken
    cache = ImageCache("host", torch.device("cpu"))
    images = {index: torch.full((3, 4, 4), index, dtype=torch.uint8) for index in range(4)}  # of 48 bytes
    assert cache.in_use
    cache.keep({7: ImageError("a.jpg", "a.jpg: broken"), **images})
    assert [index for index in range(9) if index in cache] == [0, 1]
    cache.keep({1: images[3], 5: torch.zeros(1, dtype=torch.uint8)})
    assert torch.equal(cache.get(1), images[1]) and 5 in cache and cache.in_use


@pytest.mark.parametrize("limit, used, expected", [("max", "7", 3000 * 1024), ("4096", "1000", 3096), ("10", "99", 0)])
def test_free_memory_heeds_a_container(monkeypatch, tmp_path, limit, used, expected):
    (tmp_path / "memory.max").write_text(limit + "\n")
    (tmp_path / "memory.current").write_text(used + "\n")
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:  3000 kB\n")
    monkeypatch.setattr(image_cache, "Path", lambda _, name: tmp_path / name)
    monkeypatch.setattr("builtins.open", lambda *_, real=open, **options: real(tmp_path / "meminfo", **options))
    assert free_host_memory() == expected
