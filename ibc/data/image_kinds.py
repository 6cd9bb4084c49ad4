"""Kinds of files by their endings and first bytes: images that are read, and others that can be named.

Without Pillow, which the flags of a command do not need.
"""

from __future__ import annotations

# Endings by which a file below a folder counts as an image, whatever is in it.
IMAGE_ENDINGS = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
    ".avif", ".jp2", ".j2k", ".qoi"))
# Raw files of cameras, which look like TIFFs of which Pillow finds a small preview only.
RAW_ENDINGS = frozenset((".arw", ".cr2", ".cr3", ".dng", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".sr2",
                         ".srw"))
HEAD = 64  # bytes that ``looks_like_image`` wants

_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+",
           b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51", b"qoif")
_OTHER_KINDS = ((b"%!PS", "an EPS or PostScript file"), (b"\xc5\xd0\xd3\xc6", "an EPS file"), (b"%PDF", "a PDF file"),
                (b"\xff\x0a", "a JPEG XL image"), (b"\0\0\0\x0cJXL ", "a JPEG XL image"),
                (b"\xd7\xcd\xc6\x9a", "a WMF file"), (b"PK\3\4", "a zip archive"), (b"\x89HDF", "an HDF5 file"),
                (b"GRIB", "a GRIB file"), (b"BUFR", "a BUFR file"))
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def looks_like_image(head: bytes) -> bool:
    """Whether a file whose first ``HEAD`` bytes are given is an image, as far as they tell, of a kind that is read."""
    return (head.startswith(_STARTS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
            or (head[4:8] == b"ftyp" and b"avi" in head[8:32])
            or (head[:2] == b"BM" and head[6:10] == bytes(4))
            or (head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace()))


def kind_not_read(data: bytes) -> str | None:
    """What a file is that is no image of a kind that is read, by its first 1024 bytes; None where they do not tell."""
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF:
        return "a HEIC photo"
    if b"<svg" in data[:1024]:
        return "an SVG drawing"
    return next((kind for start, kind in _OTHER_KINDS if data.startswith(start)), None)
