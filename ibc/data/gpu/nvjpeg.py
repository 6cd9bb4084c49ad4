"""nvJPEG called directly: a batch of JPEG files in main memory becomes pixels on the GPU in one call.

The library is the one that torchvision carries. torchvision's own ``decode_jpeg`` calls it image by image and holds
the interpreter's lock meanwhile, so that neither more threads nor the decoding engines of data-centre GPUs help much.
It also does not interpolate the chroma planes, which changes pixels by a grey level on average. Names and rules:
NVIDIA's nvJPEG documentation (``nvjpeg.h``).
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

HARDWARE, GPU_HYBRID = 3, 2  # NVJPEG_BACKEND_...: decoding engines; or CUDA kernels, for batches of more than 50
_OUTPUT_RGB = 3              # NVJPEG_OUTPUT_RGB: three planes
_INTERPOLATE = 1 << 5        # NVJPEG_FLAGS_UPSAMPLING_WITH_INTERPOLATION: as libjpeg does by default
# NVJPEG_FLAGS_HW_DECODE_NO_PIPELINE: nvJPEG does not buffer images on CUDA streams of its own. A GPU has few hardware
# queues for streams; with more streams than queues, decoding and the network wait for each other.
_UNBUFFERED = 1 << 0
# NVJPEG_STATUS_...: bad JPEG, JPEG not supported. Every other failure is one of the library or its engines.
_FAULTS_OF_FILES = (3, 4)


class NvjpegError(RuntimeError):
    """nvJPEG is not available, or refused a call."""


class BatchDecoder:
    """Decodes batches on ``device`` for one thread, on whatever CUDA stream is current.

    backends: of the library, the first that the GPU has is taken. Raises NvjpegError where the library is missing or
    the GPU has none of them. After a failure that is not a file's, the decoder goes on without the decoding engines:
    they have been seen to fail, and to write where they should not, when several processes share a GPU.
    """

    def __init__(self, device: torch.device, backends: Sequence[int] = (HARDWARE, GPU_HYBRID)):
        path = library()
        if path is None:
            raise NvjpegError("torchvision carries no nvJPEG")
        self.device = device
        self._nvjpeg = ctypes.CDLL(path)  # releases the interpreter's lock during calls
        self._open(backends)

    def _open(self, backends: Sequence[int]) -> None:
        """Make the library's handle and state. Raises NvjpegError where the GPU has none of the backends."""
        self._handle, self._state = ctypes.c_void_p(), ctypes.c_void_p()
        with torch.cuda.device(self.device):
            torch.cuda.current_stream(self.device).synchronize()  # the library needs torch's CUDA context to exist
            for backend in backends:
                status = self._nvjpeg.nvjpegCreateEx(backend, None, None, _INTERPOLATE | _UNBUFFERED,
                                                     ctypes.byref(self._handle))
                if status == 0:
                    break
            _check(status, "nvjpegCreateEx")
            _check(self._nvjpeg.nvjpegJpegStateCreate(self._handle, ctypes.byref(self._state)), "nvjpegJpegStateCreate")
        self._close = weakref.finalize(self, _destroy, self._nvjpeg, self._handle, self._state)
        self._close.atexit = False  # the end of the process frees everything anyway
        self._prepared = 0  # number of files that the state is prepared for

    def decode(self, data: Tensor, begins: np.ndarray, lengths: np.ndarray, sizes: np.ndarray) -> Tensor | list[Tensor]:
        """Decode n baseline JPEG files.

        data: (bytes,) uint8 in main memory. begins, lengths: (n,), where each file lies in it. sizes: (n, 2), height
        and width of each. Returns when the pixels are on the device: (n, 3, H, W) uint8 RGB for images of one size,
        else (3, H, W) each. Raises NvjpegError if any file is broken; it does not say which one.
        """
        count = len(begins)
        if not count:
            return []
        pixels = sizes.prod(axis=1)
        with torch.cuda.device(self.device):
            buffer = torch.empty(int(pixels.sum()) * 3, dtype=torch.uint8, device=self.device)
            images = np.zeros((count, 2, 4), np.uintp)  # nvjpegImage_t: four planes, four row lengths
            images[:, 0, :3] = buffer.data_ptr() + (3 * (pixels.cumsum() - pixels))[:, None]
            images[:, 0, :3] += (pixels[:, None] * np.arange(3)).astype(np.uintp)
            images[:, 1, :3] = sizes[:, 1:]
            self._decode(images, (data.data_ptr() + begins).astype(np.uintp), lengths.astype(np.uintp))
        if (sizes == sizes[0]).all():
            return buffer.view(count, 3, *sizes[0].tolist())
        return [flat.view(3, height, width) for flat, (height, width) in
                zip(buffer.split((pixels * 3).tolist()), sizes.tolist(), strict=True)]

    def _decode(self, images: np.ndarray, files: np.ndarray, lengths: np.ndarray) -> None:
        if self._prepared != len(images):
            _check(self._nvjpeg.nvjpegDecodeBatchedInitialize(self._handle, self._state, len(images), 1, _OUTPUT_RGB),
                   "nvjpegDecodeBatchedInitialize")
        self._prepared = 0  # after a failure the state has to be prepared anew
        stream = torch.cuda.current_stream(self.device)
        status = self._nvjpeg.nvjpegDecodeBatched(self._handle, self._state, _address(files), _address(lengths),
                                                  _address(images), ctypes.c_void_p(stream.cuda_stream))
        stream.synchronize()  # the next call would overwrite what the engines still read
        if status and status not in _FAULTS_OF_FILES:
            self._close()
            self._open([GPU_HYBRID])
        _check(status, "nvjpegDecodeBatched")
        self._prepared = len(images)


@lru_cache
def library() -> str | None:
    """Path of the nvJPEG in torchvision's wheel, else of the one that torchvision has loaded (Linux), else None.

    torchvision is imported only in the second case, since that takes seconds.
    """
    found = find_spec("torchvision")
    if found is None or found.origin is None:
        return None
    beside = sorted(Path(found.origin).parents[1].glob("torchvision.libs/libnvjpeg*.so*"))
    if beside:
        return str(beside[0])
    try:
        import torchvision.io  # noqa: F401, PLC0415 - loads nvJPEG, if it was built with it; takes 2 s

        with open("/proc/self/maps", encoding="utf-8") as maps:
            return next((line.split(maxsplit=5)[5].strip() for line in maps if "libnvjpeg" in line), None)
    except (ImportError, OSError):
        return None


def _address(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _check(status: int, call: str) -> None:
    if status:
        raise NvjpegError(f"{call} gave status {status}")


def _destroy(nvjpeg: ctypes.CDLL, handle: ctypes.c_void_p, state: ctypes.c_void_p) -> None:
    nvjpeg.nvjpegJpegStateDestroy(state)
    nvjpeg.nvjpegDestroy(handle)
