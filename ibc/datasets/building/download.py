"""Fetch the archive of a data set, or say plainly what to fetch and where to name it."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from ibc.errors import InputError, input_error
from ibc.progress import Progress

_CHUNK = 1 << 20
_PARTIAL, _FINISHED = 206, 416  # HTTP: the rest of the file; nothing left to send


def torchvision_archive(url: str, filename: str, md5: str, folder: Path) -> str:
    """Download an archive through torchvision, which checks its checksum; returns its path.

    It is kept in ``folder`` for a later run. Raises InputError where there is no connection.
    """
    from torchvision.datasets.utils import download_url  # noqa: PLC0415 - torch, 2 s; only a download needs it

    try:
        download_url(url, str(folder), filename, md5)
    except (OSError, RuntimeError) as error:
        raise _offline(url, filename, error) from None
    return str(folder / filename)


def fetch(url: str, folder: Path) -> Path:
    """Download a file to ``folder``, from where an earlier attempt stopped; returns its path.

    Raises InputError where there is no connection, and where it breaks; what has arrived by then is kept.
    """
    filename = PurePosixPath(urlsplit(url).path).name
    target, part, stamp = folder / filename, folder / f"{filename}.part", folder / f"{filename}.version"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url)
    if have and stamp.exists() and stamp.read_text():  # go on only if the file there is still the same one
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", stamp.read_text())
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            goes_on = answer.status == _PARTIAL
            stamp.write_text(answer.headers.get("ETag") or answer.headers.get("Last-Modified") or "")
            total = int(answer.headers["Content-Length"]) if "Content-Length" in answer.headers else None
            have = have if goes_on else 0
            with open(part, "ab" if goes_on else "wb") as handle, Progress(
                    total and have + total, filename, "bytes", initial=have) as bar:
                while chunk := answer.read(_CHUNK):
                    handle.write(chunk)
                    bar.update(len(chunk))
    except urllib.error.HTTPError as error:
        if error.code != _FINISHED:
            raise _offline(url, filename, error) from None
        total, have = 0, part.stat().st_size
    except OSError as error:
        raise _offline(url, filename, error) from None
    if total is not None and part.stat().st_size != have + total:
        raise input_error(url, f"a connection that broke after {part.stat().st_size} of {have + total} bytes",
                          "the whole file", "run the same command again to go on from there")
    part.replace(target)
    stamp.unlink(missing_ok=True)
    return target


def _offline(url: str, filename: str, error: Exception) -> InputError:
    return input_error(url, f"no download ({getattr(error, 'reason', error)})", "an answer from that address",
                       f"fetch {filename} in another way, and give it by --source")
