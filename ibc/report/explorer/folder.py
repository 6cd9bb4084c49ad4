"""The page's folder: who may write where, and what is put there in which order.

A folder that is not empty is written to only where an earlier run of ``ibc explore`` made it. ``index.html`` comes
last.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from ibc import __version__
from ibc.errors import input_error
from ibc.files import atomic_write, remove_leftovers
from ibc.report.explorer.encoding import visible
from ibc.report.explorer.page_data import data_script

PAGE = Path(__file__).parent / "page"  # index.html, scripts and styles
MARK = "explorer.json"  # in the folder: says that it is ours
SPRITES, MASKS, DATA, INDEX = "sprites", "masks", "data.js", "index.html"


def claim_folder(folder: Path) -> None:
    """Make the folder, or take one that an earlier run made. Raises InputError for any other that is not empty."""
    if folder.exists() and not folder.is_dir():
        raise input_error(folder, "a file", "a folder to write the page to")
    mark = folder / MARK
    remove_leftovers(folder, (MARK,))
    if folder.is_dir() and any(folder.iterdir()) and not _is_ours(mark):
        raise input_error(folder, "a folder with other files", "a new or empty folder, or one that ibc explore made",
                          "choose another one by -o")
    with atomic_write(mark, "w") as handle:
        handle.write(json.dumps({"made_by": "ibc explore", "version": __version__}) + "\n")


def _is_ours(mark: Path) -> bool:
    try:
        return json.loads(mark.read_text(encoding="utf-8")).get("made_by") == "ibc explore"
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def write_page(folder: Path, data: dict[str, Any]) -> Path:
    """Write ``data.js``, the scripts and styles, and last ``index.html``; returns its path."""
    with atomic_write(folder / DATA, "w") as handle:
        handle.write(data_script(data))
    for source in sorted(PAGE.iterdir()):
        if source.is_file() and source.name != INDEX:
            with atomic_write(folder / source.name) as handle:
                handle.write(source.read_bytes())
    template = (PAGE / INDEX).read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
    with atomic_write(folder / INDEX, "w") as handle:
        handle.write(environment.from_string(template).render(title=visible(data["title"])))
    return folder / INDEX
