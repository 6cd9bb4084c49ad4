"""What the labels of the two lists say: classes without images, imbalance, queries without a relevant image."""

from __future__ import annotations

import numpy as np

from ibc.config import Config
from ibc.data.list_file import ImageList
from ibc.datasets.doctor.findings import Findings, some
from ibc.labels import NO_CATEGORY

IMBALANCE = 10  # largest class over smallest, above which it is worth a warning


def examine_labels(config: Config, lists: dict[str, ImageList], findings: Findings) -> None:
    """Count the labels of the lists, and add what is found. Their range was checked when the lists were read."""
    for split, images in lists.items():
        counts = _class_counts(config, images.labels)
        _describe(config, split, images, counts, findings)
        empty = np.flatnonzero(counts == 0).tolist()
        if empty:
            findings.warnings.append(f"{split} list: {len(empty)} of {len(counts)} classes have no image: {some(empty)}"
                                     + (" (is class_num right?)" if split == "train" else ""))
        present = counts[counts > 0]
        if split == "train" and len(present) and present.max() > IMBALANCE * present.min():
            findings.warnings.append(f"train list: the largest class has {present.max()} images, the smallest "
                                     f"{present.min()}; model.class_weights can even that out")
    if "train" in lists and not _labelled(config, lists["train"].labels).any():
        findings.problems.append("train list: no image has a category, so that nothing is learnt from it")
    if "test" in lists:
        _examine_queries(config, lists["test"], findings)
    if len({images.labels.shape[1] for images in lists.values()}) > 1:
        findings.warnings.append("the lists differ in their label columns: " + ", ".join(
            f"{split} {images.labels.shape[1]}" for split, images in lists.items()))


def _labelled(config: Config, labels: np.ndarray) -> np.ndarray:
    """(N,) bool: which images have a category, or in a multi-label set a positive class."""
    if config.model.multi_label:
        return (labels == 1).any(axis=1) & (labels[:, 0] != NO_CATEGORY)
    return labels[:, 0] != NO_CATEGORY


def _class_counts(config: Config, labels: np.ndarray) -> np.ndarray:
    """(C,) number of images of each class."""
    labels = labels[_labelled(config, labels)]
    if config.model.multi_label:
        return (labels == 1).sum(axis=0).astype(np.int64)
    return np.bincount(labels[:, 0].astype(np.int64), minlength=config.model.class_num)


def _describe(config: Config, split: str, images: ImageList, counts: np.ndarray, findings: Findings) -> None:
    labelled = int(_labelled(config, images.labels).sum())
    attributes = 0 if config.model.multi_label else images.labels.shape[1] - 1
    findings.numbers[split] = {
        "images": len(images), "with_category": labelled, "attributes": attributes,
        "class_images_min": int(counts.min()), "class_images_median": float(np.median(counts)),
        "class_images_max": int(counts.max())}
    text = f"{split} list: {len(images)} images"
    text += f" ({len(images) - labelled} without category)" if labelled < len(images) else ""
    text += f", {len(counts)} classes of {counts.min()} to {counts.max()} images"
    findings.facts.append(text + (f", {attributes} attributes" if attributes else ""))


def _examine_queries(config: Config, images: ImageList, findings: Findings) -> None:
    """The test images are queries and database at once, so each query needs another test image that is relevant."""
    labels = images.labels
    if config.model.multi_label:
        positive = (labels == 1).astype(np.float32)
        alone = positive @ positive.T.sum(axis=1) <= positive.sum(axis=1)  # shares no class with any other
        count = int(alone.sum())
    else:
        count = int((np.unique(labels[:, 0], return_counts=True)[1] == 1).sum())
        for column in range(1, labels.shape[1]):
            positives = int((labels[:, column] == 1).sum())
            if positives < 2:
                findings.warnings.append(f"test list: attribute column {column} has "
                                         f"{'one positive image' if positives else 'no positive image'}: its "
                                         "retrieval cannot be scored")
    findings.numbers["queries_without_relevant"] = count
    if count:
        findings.warnings.append(f"test list: {count} queries have no other relevant image; they score 0")
