"""What the bytes of a JPEG file say before any of it is decoded: whether it is whole, how large, and of which kind."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

JPEG_START, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_START_OF_FRAME, _START_OF_SCAN, _EXIF, _ADOBE = 0xC0, 0xDA, 0xE1, 0xEE
_OTHER_FRAMES = frozenset(range(0xC1, 0xD0)) - {0xC4, 0xC8, 0xCC}  # those three numbers mark tables
_LUMA_SAMPLING = b"\x11\x12\x21\x22"

EXIF_MARK = b"Exif\0\0"
_ORIENTATION, _SHORT, _LONG = 0x0112, 3, 4  # a tag and two types of numbers
_BYTE_ORDERS = {b"II*\0": "little", b"MM\0*": "big"}


class JpegHeader(NamedTuple):
    """What stands before the pixels of a JPEG file.

    size: (height, width) as stored. baseline: whether decoding hardware takes it: one scan, grey or YCbCr, usual
    sampling. orientation: of its EXIF block, 1 to 8; 1: upright.
    """

    size: tuple[int, int]
    baseline: bool
    orientation: int


def is_whole_jpeg(data: bytes | np.ndarray) -> bool:
    """Whether it begins and ends as a JPEG does. Decoders fill the missing part of a truncated file with grey."""
    return bytes(data[:3]) == JPEG_START and bytes(data[-64:]).rstrip(b"\0").endswith(JPEG_END)


def read_jpeg_header(data: bytes) -> JpegHeader | None:
    """The header of a JPEG file; None where it is not understood. Markers and their fields: ITU-T T.81, annex B."""
    place, size, usual, components, exif = 2, None, True, 0, b""
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        segment = data[place + 4 : place + 2 + length]
        if (marker == _START_OF_FRAME or marker in _OTHER_FRAMES) and len(segment) >= 6:
            if size is not None:
                return None
            size = int.from_bytes(segment[1:3]), int.from_bytes(segment[3:5])
            components = segment[5]
            usual &= marker == _START_OF_FRAME and _usual_frame(segment, components)
        elif marker == _ADOBE and segment[:5] == b"Adobe" and segment[11:12] == b"\0":
            usual = False  # its colours are stored as RGB
        elif marker == _EXIF and segment.startswith(EXIF_MARK):
            exif += segment[len(EXIF_MARK) :]  # a long block is spread over several segments
        elif marker == _START_OF_SCAN:
            if not size or not all(size):
                return None
            return JpegHeader(size, usual and segment[:1] == bytes([components]), exif_orientation(exif))
        elif marker in _OTHER_FRAMES or marker in (_START_OF_FRAME, 0xFF):
            return None
        place += 2 + length
    return None


def _usual_frame(segment: bytes, components: int) -> bool:
    """Whether a frame is of 8 bits, grey or YCbCr, with the usual sampling of the colours."""
    names, sampling = segment[6 : 6 + 3 * components : 3], segment[7 : 7 + 3 * components : 3]
    return segment[0] == 8 and names != b"RGB" and (
        (components == 1 and sampling == b"\x11")
        or (components == 3 and sampling[1:] == b"\x11\x11" and sampling[0] in _LUMA_SAMPLING))


def exif_orientation(exif: bytes) -> int:
    """The orientation of an EXIF block, 1 to 8; 1, upright, where it has none or is damaged: the pixels may be fine.

    The block is a TIFF header and a table of entries of 12 bytes: tag, type, count, value.
    """
    exif = exif.removeprefix(EXIF_MARK)
    order = _BYTE_ORDERS.get(exif[:4])
    if order is None:
        return 1

    def number(start: int, length: int) -> int:
        return int.from_bytes(exif[start : start + length], order)  # type: ignore[arg-type]

    table = number(4, 4)
    for entry in range(table + 2, min(table + 2 + 12 * number(table, 2), len(exif) - 11), 12):
        if number(entry, 2) == _ORIENTATION:
            length = {_SHORT: 2, _LONG: 4}.get(number(entry + 2, 2))
            value = number(entry + 8, length) if length and number(entry + 4, 4) == 1 else 1
            return value if 1 <= value <= 8 else 1
    return 1
