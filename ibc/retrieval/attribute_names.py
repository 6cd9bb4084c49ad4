"""Names of the attribute columns of the paper's data sets, and how people refer to a column.

Columns are numbered from 1 among the label columns after the category, as in the official scripts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from ibc.errors import input_error
from ibc.retrieval.bits import near_names
from ibc.text_files import names_of_text, read_text, whole_number

IMAGENET_150K = (
    "black", "blue", "brown", "gray", "green", "orange", "pink", "red", "purple", "white", "yellow", "colorful",
    "spots", "stripes", "rectangular", "round", "columnar", "sharp", "metal", "wooden", "furry", "has tail",
    "has horn", "has two legs/bipedal", "has four legs/quadruped",
)

SUN = (
    "sailing/ boating", "driving", "biking", "transporting things or people", "sunbathing", "vacationing/ touring",
    "hiking", "climbing", "camping", "reading", "studying/ learning", "teaching/ training", "research", "diving",
    "swimming", "bathing", "eating", "cleaning", "socializing", "congregating", "waiting in line/ queuing",
    "competing", "sports", "exercise", "playing", "gaming", "spectating/ being in an audience", "farming",
    "constructing/ building", "shopping", "medical activity", "working", "using tools", "digging",
    "conducting business", "praying", "fencing", "railing", "wire", "railroad", "trees", "grass", "vegetation",
    "shrubbery", "foliage", "leaves", "flowers", "asphalt", "pavement", "shingles", "carpet", "brick", "tiles",
    "concrete", "metal", "paper", "wood (not part of a tree)", "vinyl/ linoleum", "rubber/ plastic", "cloth",
    "sand", "rock/stone", "dirt/soil", "marble", "glass", "waves/ surf", "ocean", "running water", "still water",
    "ice", "snow", "clouds", "smoke", "fire", "natural light", "direct sun/sunny", "electric/indoor lighting",
    "aged/ worn", "glossy", "matte", "sterile", "moist/ damp", "dry", "dirty", "rusty", "warm", "cold", "natural",
    "man-made", "open area", "semi-enclosed area", "enclosed area", "far-away horizon", "no horizon",
    "rugged scene", "mostly vertical components", "mostly horizontal components", "symmetrical", "cluttered space",
    "scary", "soothing", "stressful",
)

KNOWN_NAMES = {"imagenet150k": IMAGENET_150K, "sun": SUN}  # by the name of the data set, as ``ibc evaluate --data``


def column_names(columns: int, known: Sequence[str] = (), path: str | os.PathLike | None = None) -> list[str]:
    """A name for each of ``columns`` attribute columns.

    From the file ``path`` (one a line), else the known names where there are as many, else "column 1" and so on.
    Raises InputError for a file of another number of names.
    """
    if path is not None:
        names = names_of_text(read_text(path), path)
        if len(names) != columns:
            raise input_error(path, f"{len(names)} names", f"{columns}, one for each attribute column")
        return names
    return list(known) if len(known) == columns else [f"column {number}" for number in range(1, columns + 1)]


def find_column(text: str, names: Sequence[str]) -> int:
    """The 0-based column that is meant by a name, a word of one name, or a number from 1.

    Raises InputError, with similar names, where no column or several are meant.
    """
    if (number := whole_number(text)) is not None:
        if not 1 <= number <= len(names):
            raise input_error("--attribute", text, f"an attribute column from 1 to {len(names)}")
        return number - 1
    wanted = text.strip().casefold()
    plain = [name.casefold() for name in names]
    if wanted in plain:
        return plain.index(wanted)
    parts = [column for column, name in enumerate(plain) if wanted in name.replace("/", " ").split()]
    if len(parts) == 1:
        return parts[0]
    raise input_error("--attribute", f"'{text}'", f"one of the {len(names)} attribute names, or a column number",
                      near_names(wanted, plain))
