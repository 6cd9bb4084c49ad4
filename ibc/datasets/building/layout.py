"""How the folders of a source are to be read: what wraps them, which are splits, which are classes.

Published sets differ: images/<class> beside annotations, train/<class>, train/train/<class>, seg_train/<class>,
<class>/train, dev for val. ``read_layout`` finds a place "split/class/rest" for each file by the names and the depth of
the folders that hold images. What it leaves out is listed with a reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

NO_IMAGE_ENDINGS = (
    ".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".rst", ".html", ".htm", ".pdf", ".mat",
    ".npy", ".npz", ".h5", ".hdf5", ".pkl", ".pickle", ".pt", ".pth", ".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz",
    ".rar", ".7z", ".py", ".ipynb", ".sh", ".bat", ".log", ".ini", ".cfg", ".db", ".sqlite", ".doc", ".docx", ".xls",
    ".xlsx", ".ods", ".names", ".index", ".lst", ".parquet", ".tfrecord", ".mp4", ".avi", ".mov", ".mkv", ".wav",
    ".mp3", ".js", ".css")
_ROLES = {"train": "train", "training": "train", "trn": "train", "trainval": "train",
          "test": "test", "testing": "test", "tst": "test",
          "eval": "test", "evaluation": "test", "val": "val", "valid": "val", "validation": "val", "dev": "val"}
_OTHER_ROLES = {"query", "queries", "gallery", "database", "probe", "fold", "unlabeled", "unlabelled", "pred",
                "predict", "prediction", "holdout"}  # parts of a set that no rule here turns into lists
_IMAGE_WORDS = {"image", "images", "img", "imgs", "jpeg", "jpegs", "jpg", "png", "photo", "photos", "picture",
                "pictures", "data", "dataset", "set", "raw", "original", "originals"}
_OTHER_WORDS = {"annotation", "annotations", "mask", "masks", "label", "labels", "segmentation", "segmentations", "seg",
                "trimap", "trimaps", "part", "parts", "attribute", "attributes", "list", "lists", "split", "splits",
                "meta", "metadata", "doc", "docs", "bbox", "bboxes", "gt", "xml", "xmls", "json", "sample", "samples",
                "example", "examples", "info", "thumbnails", "features", "devkit"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")
_JOINED = re.compile(r"(train|test|val)(set|data|images|imgs)")
_SPLIT_FILE = re.compile(r"(.*[_-])?(train|test|val|split|splits|train_test_split)([_-].*)?\.(txt|csv|tsv|mat|json)")
_NO_IMAGE = re.compile(r"(readme|license|licence|copying|sources?|checksums?|md5sums?|sha256sums?)")


@dataclass
class Layout:
    """places: path -> "split/class/rest", whose split is empty where there is none. left_out: path -> reason.

    given: the splits that the source has. notes: what the user should know.
    """

    places: dict[str, str]
    left_out: dict[str, str] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


def read_layout(paths: Iterable[str], by_class: bool) -> Layout:
    """The layout of the files of a source. by_class: class folders are looked for, and what is beside them left out."""
    places = {path: path for path in paths}
    images = {path for path in places if looks_like_image(path)}
    if not images:
        return Layout({path: f"/{path}" for path in places})
    layout = Layout(places)
    _unwrap(layout, images, by_class)
    split_of = _top_splits(layout, images, by_class)
    if split_of:
        _keep_splits(layout, images, split_of)
    elif by_class and (swapped := _splits_below_classes(layout, images)):
        layout.places = swapped
        layout.given = {place.split("/")[0] for place in swapped.values()}
    else:
        layout.places = {path: f"/{place}" for path, place in layout.places.items()}
    if "test" not in layout.given and "val" in layout.given:
        layout.places = {path: place.replace("val/", "test/", 1) if place.startswith("val/") else place
                         for path, place in layout.places.items()}
        layout.given = layout.given - {"val"} | {"test"}
    names = sorted(path for path in places if path not in images and _SPLIT_FILE.fullmatch(path.split("/")[-1].lower()))
    if by_class and names and "test" not in layout.given:
        layout.notes.append(f"'{names[0]}' may be a published split; it is not read, the test list is drawn")
    return layout


def looks_like_image(path: str) -> bool:
    """Whether a file may be an image by its name: any but a text, an archive and the like, or README."""
    name = path.rsplit("/", 1)[-1].lower()
    return not name.endswith(NO_IMAGE_ENDINGS) and not _NO_IMAGE.fullmatch(name)


def is_split(folder: str) -> bool:
    """Whether the name of a folder is that of a split, or of another part of a set: query, fold_1."""
    return _role(folder)[0] != "" or _is_of(folder, _OTHER_ROLES)


def is_container(folder: str) -> bool:
    """Whether the name of a folder says that it holds images, or what goes with them, rather than what they show."""
    return _is_of(folder, _IMAGE_WORDS | _OTHER_WORDS)


def _is_of(folder: str, words: set[str]) -> bool:
    found = [word for word in _words(folder) if not word.isdigit()]
    return bool(found) and all(word in words for word in found)


def _words(folder: str) -> list[str]:
    words: list[str] = []
    for word in _WORD.findall(folder):
        joined = _JOINED.fullmatch(word.lower())
        words += joined.groups() if joined else (word.lower(),)
    return words


def _role(folder: str) -> tuple[str, tuple[str, ...]]:
    """(split, other words) of the name of a folder: ("train", ("seg",)) of seg_train; ("", ...) of no split."""
    words = _words(folder)
    roles = {_ROLES[word] for word in words if word in _ROLES}
    rest = tuple(word for word in words if word not in _ROLES and word not in _IMAGE_WORDS and not word.isdigit())
    return (roles.pop() if len(roles) == 1 else ""), rest


def _top(place: str) -> str:
    return place.split("/", 1)[0] if "/" in place else ""


def _unwrap(layout: Layout, images: set[str], by_class: bool) -> None:
    """Leave out the folders that wrap all images, as long as there are folders below for classes or splits; and what
    lies beside a folder of images: annotations, masks."""
    while True:
        tops = {_top(layout.places[path]) for path in images}
        if len(tops) == 1:
            (top,) = tops
            depth = min(layout.places[path].count("/") for path in images)
            if depth < 2 or _ROLES.get(top.lower()):
                return
            layout.places = {path: place.partition("/")[2] for path, place in layout.places.items()
                             if _top(place) == top}
            continue
        of_images = [top for top in tops if _is_of(top, _IMAGE_WORDS)]
        others = tops - set(of_images)
        if not by_class or len(of_images) != 1 or not all(_is_of(top, _OTHER_WORDS | {"class", "object"})
                                                          for top in others):
            return
        for path in sorted(images):
            if (top := _top(layout.places[path])) in others:
                layout.left_out[path] = f"in {top}, beside {of_images[0]}"
                images.discard(path)
                del layout.places[path]


def _top_splits(layout: Layout, images: set[str], by_class: bool) -> dict[str, str]:
    """Top folder -> its split; empty where the top folders are no splits.

    "train" may also be the name of a class. So either all top folders are splits, or those of training and testing have
    class folders below; and names such as seg_train count in pairs alone.
    """
    tops = {_top(layout.places[path]) for path in images} - {""}
    exact = {top: _ROLES[top.lower()] for top in tops if top.lower() in _ROLES}
    if tops and len(exact) == len(tops) and len(set(exact.values())) == len(exact):
        return exact
    groups: dict[tuple[str, ...], dict[str, str]] = {}
    for top in tops:
        role, rest = _role(top)
        if role:
            groups.setdefault(rest, {})[top] = role
    for found in groups.values():
        both = "train" in found.values() and {"test", "val"} & set(found.values())
        if not both or len(set(found.values())) < len(found):
            continue
        if len(found) == len(tops):
            return found
        below = [layout.places[path] for path in images if _top(layout.places[path]) in found]
        if by_class and all(place.count("/") >= 2 for place in below):
            return found
    return {}


def _keep_splits(layout: Layout, images: set[str], split_of: Mapping[str, str]) -> None:
    """Places below the splits; a folder that wraps all of a split, such as train/train or val/images, is left out."""
    kept: dict[str, str] = {}
    for top, split in split_of.items():
        below = {path: place.partition("/")[2] for path, place in layout.places.items() if _top(place) == top}
        while True:
            inner = {_top(place) for path, place in below.items() if path in images}
            if len(inner) != 1:
                break
            (folder,) = inner
            if not folder or not (is_container(folder) or _role(folder)[0] == split):
                break
            below = {path: place.partition("/")[2] for path, place in below.items() if _top(place) == folder}
        kept |= {path: f"{split}/{place}" for path, place in below.items()}
    for path in sorted(images - set(kept)):
        layout.left_out[path] = "beside " + " and ".join(sorted(split_of))
    layout.places = kept
    layout.given = set(split_of.values())


def _splits_below_classes(layout: Layout, images: set[str]) -> dict[str, str]:
    """path -> place, of class/train/rest and class/test/rest; empty for another layout."""
    swapped, roles = {}, set()
    for path in images:
        parts = layout.places[path].split("/", 2)
        role = _ROLES.get(parts[1].lower()) if len(parts) == 3 else None
        if role is None:
            return {}
        roles.add(role)
        swapped[path] = f"{role}/{parts[0]}/{parts[2]}"
    return swapped if "train" in roles and len(roles) > 1 else {}
