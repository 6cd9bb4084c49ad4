"""Decoded images kept in memory, so that only the first epoch decodes."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ibc.cores import processes_here
from ibc.data.decode import ImageError

MEMORY_SHARE = 0.8  # part of the GPU's free memory that the cache may take


class ImageCache:
    """Decoded images by their index in the list, as far as they fit; several threads may use it at once.

    ``where``: ``off``; ``device``: on the GPU; ``host``: in main memory. home: the device of the images.
    """

    def __init__(self, where: str, device: torch.device):
        self.device = device
        self.home = torch.device("cpu") if where == "host" else device
        self._images: dict[int, Tensor] = {}
        self._free = 0  # bytes that it may still take
        self._lock = threading.Lock()
        if where == "device":
            self._free = int(torch.cuda.mem_get_info(device)[0] * MEMORY_SHARE)
        elif where == "host":
            self._free = free_host_memory() // 2 // processes_here()

    def __contains__(self, index: int) -> bool:
        """Whether the image is kept. Once kept, an image stays."""
        return index in self._images

    @property
    def in_use(self) -> bool:
        """Whether it keeps images, or can."""
        return bool(self._free or self._images)

    def get(self, index: int) -> Tensor | None:
        """(3, H, W) uint8 on ``home``, or None."""
        return self._images.get(index)

    def keep(self, images: Mapping[int, Tensor | ImageError]) -> None:
        """Keep the images that fit; they lie on ``home``, and were made on the current stream. Errors are not kept."""
        if not self._free:
            return
        if self.device.type == "cuda":  # other threads will use them on other streams
            torch.cuda.current_stream(self.device).synchronize()
        with self._lock:
            for index, image in images.items():
                if isinstance(image, Tensor) and self._free >= image.nbytes and index not in self._images:
                    self._free -= image.nbytes
                    self._images[index] = image


def free_host_memory() -> int:
    """Bytes of main memory that can be taken without swapping, or without passing a container's limit (Linux)."""
    with open("/proc/meminfo", encoding="ascii") as handle:
        free = next(int(line.split()[1]) * 1024 for line in handle if line.startswith("MemAvailable"))
    try:
        limit, used = (Path("/sys/fs/cgroup", name).read_text().strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return free
    return free if limit == "max" else max(0, min(free, int(limit) - int(used)))
