"""Fetch the archive of a data set, or say plainly what to fetch and where to name it."""

from __future__ import annotations

from pathlib import Path

from ibc.errors import input_error


def torchvision_archive(url: str, filename: str, md5: str, folder: Path) -> str:
    """torchvision's download of an archive, checked by its checksum and kept in ``folder`` for a later run."""
    from torchvision.datasets.utils import download_url

    try:
        download_url(url, str(folder), filename, md5)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "reason", error)
        raise input_error(url, f"no download ({reason})", "a connection to that address",
                          f"fetch {filename} where there is one, and give it by --source") from None
    return str(folder / filename)
