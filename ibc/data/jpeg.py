"""What the bytes of a JPEG file say before any of it is decoded: whether it is whole, and of the simplest kind."""

from __future__ import annotations

import numpy as np

JPEG_START, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_START_OF_FRAME, _START_OF_SCAN, _ADOBE = 0xC0, 0xDA, 0xEE
_OTHER_FRAMES = frozenset(range(0xC1, 0xD0)) - {0xC4, 0xC8, 0xCC}  # those three numbers mark tables
_LUMA_SAMPLING = b"\x11\x12\x21\x22"


def is_whole_jpeg(data: bytes | np.ndarray) -> bool:
    """Whether it begins and ends as a JPEG does. Decoders fill the missing part of a truncated file with grey."""
    return bytes(data[:3]) == JPEG_START and bytes(data[-64:]).rstrip(b"\0").endswith(JPEG_END)


def baseline_size(data: bytes) -> tuple[int, int] | None:
    """(height, width) of a baseline JPEG that decoding hardware takes: one scan, grey or YCbCr, usual sampling.

    None for every other file. Markers and their fields: ITU-T T.81, annex B.
    """
    place, size, components = 2, None, 0
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        segment = data[place + 4 : place + 2 + length]
        if marker == _START_OF_FRAME and len(segment) >= 6:
            components = segment[5]
            names, sampling = segment[6 : 6 + 3 * components : 3], segment[7 : 7 + 3 * components : 3]
            usual = (components == 1 and sampling == b"\x11") or (
                components == 3 and sampling[1:] == b"\x11\x11" and sampling[0] in _LUMA_SAMPLING)
            if segment[0] != 8 or not usual or names == b"RGB":
                return None
            size = int.from_bytes(segment[1:3]), int.from_bytes(segment[3:5])
        elif marker == _ADOBE and segment[:5] == b"Adobe" and segment[11:12] == b"\0":
            return None  # its colours are stored as RGB
        elif marker == _START_OF_SCAN:
            return size if size and all(size) and segment[:1] == bytes([components]) else None
        elif marker in _OTHER_FRAMES or marker == 0xFF:
            return None
        place += 2 + length
    return None
