"""A ``Tally`` from what a file holds, checked: other shapes, types and numbers than a dissection writes are refused."""

from __future__ import annotations

import os
from dataclasses import fields
from typing import Any

import numpy as np

from ibc.dissection.tally import Alignment, Tally
from ibc.errors import InputError, input_error
from ibc.foreign_names import plain_name

# Axes (K units, L labels, C categories, R pairings, T images, h x w) and kind of numbers of each array.
ARRAYS = {"units": ("K", "i"), "thresholds": ("K", "f"), "primary": ("L", "i"), "both": ("KL", "i"),
          "activation": ("KC", "i"), "truth": ("L", "i"), "pixels": ("K", "i"), "null": ("KR", "f"),
          "top_images": ("KT", "i"), "top_peaks": ("KT", "f"), "top_maps": ("KThw", "f")}
ALIGNMENT = {field.name: ("K", "f" if field.name == "correlation" else "i") for field in fields(Alignment)}
ALIGNMENT_PREFIX = "alignment."
TEXT = {"layer": str, "key": str, "model": str, "categories": list, "names": list, "image_names": list,
        "settings": dict, "rank_error": (int, float), "images": int}  # as JSON; "model" came later
LISTS = ("categories", "names", "image_names")


def checked_tally(arrays: dict[str, np.ndarray], text: Any, where: str | os.PathLike) -> Tally:
    """The Tally. arrays: by name. text: the rest, from JSON. where: the file, for messages. Raises InputError."""
    if not isinstance(text, dict):
        raise _odd(where, "no JSON object")
    for name, kind in TEXT.items():
        if not isinstance(text.get(name, "" if name == "model" else None), kind):  # type: ignore[arg-type]
            raise _odd(where, f"'{name}' that is no {kind}")
    if not all(isinstance(item, str) for name in LISTS for item in text[name]):
        raise _odd(where, "names that are no texts")
    plain_name(text["layer"], where, "the layer")
    sizes = {"L": len(text["names"]), "C": len(text["categories"])}
    values: dict[str, Any] = {name: _checked(arrays, name, axes, kind, sizes, where)
                              for name, (axes, kind) in ARRAYS.items()}
    own = {name: _checked(arrays, ALIGNMENT_PREFIX + name, axes, kind, sizes, where)
           for name, (axes, kind) in ALIGNMENT.items()} if ALIGNMENT_PREFIX + "correlation" in arrays else {}
    if min(sizes[axis] for axis in "KLChw") < 1 or text["images"] < 1 or values["units"].min() < 1:
        raise _odd(where, "no units, labels, categories or images")
    for name, count in (("primary", sizes["C"]), ("top_images", len(text["image_names"]))):
        if values[name].size and not (values[name].min() >= 0 and values[name].max() < count):
            raise _odd(where, f"numbers in '{name}' that stand for nothing")
    return Tally(**values, **{name: text[name] for name in TEXT if name in text},
                 alignment=Alignment(**own) if own else None)


def _checked(arrays: dict[str, np.ndarray], name: str, axes: str, kind: str, sizes: dict[str, int],
             where: str | os.PathLike) -> np.ndarray:
    """The array of this name, of the kind and of the sizes that the others have. sizes: by axis, which this adds to."""
    array = arrays.get(name)
    if array is None:
        raise _odd(where, f"no array '{name}'")
    if array.ndim != len(axes) or array.dtype.kind not in (kind, "u" if kind == "i" else kind) or any(
            sizes.setdefault(axis, size) != size for axis, size in zip(axes, array.shape, strict=True)):
        raise _odd(where, f"'{name}' of {array.dtype}, shape {array.shape}")
    return array


def _odd(where: str | os.PathLike, what: str) -> InputError:
    return input_error(where, f"an unreadable file ({what})", "the tally of a dissection", "dissect again")
