"""The examination in its order: lists, labels, images, train against test, time, weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from ibc.config import Config
from ibc.data.list_file import ImageList
from ibc.data.loader import cpu_decoder, images_for_testing, images_for_training
from ibc.data.transform import MOST_ASPECT
from ibc.data.zip_folder import file_of, is_zip_folder, read_bytes
from ibc.datasets.doctor.duplicates import equal_pairs, near_pairs
from ibc.datasets.doctor.findings import Findings, some
from ibc.datasets.doctor.images import HAS_HASHES, ExaminedImage, examine_images
from ibc.datasets.doctor.labels import examine_labels
from ibc.errors import InputError
from ibc.foreign_names import leads_out
from ibc.json_report import MOST_BYTES, parse_json


def examine(config: Config, *, near: int, sample: int | None, workers: int,
            device: str | None) -> tuple[Findings, list[str]]:
    """Examine the data of a config; returns the findings, and the list files that they are about.

    near: bits of the perceptual hash in which near-identical images may differ, 0 to 10. sample: how many images of
    each list are opened, None for all. workers: processes that open images. device: auto, cpu or cuda, on which an
    epoch is timed; None: no estimate.
    """
    findings = Findings()
    lists = _read_lists(config, findings)
    if lists:
        examine_labels(config, lists, findings)
        _check_batch(config, lists, findings)
        _check_manifest(config, findings)
        files = {split: _sampled(images.files, sample) for split, images in lists.items()}
        examined = examine_images((file for some_files in files.values() for file in some_files),
                                  cpu_decoder(config.decoder), workers)
        for split, split_files in files.items():
            _report_images(config, split, [examined[file] for file in dict.fromkeys(split_files)], findings)
        if len(lists) == 2:
            _compare(files, examined, near, findings)
        if device is not None and "train" in lists and not findings.problems:
            from ibc.datasets.doctor.timing import estimate_epoch  # noqa: PLC0415 - the trainer, 2 s to load

            estimate_epoch(config, lists["train"], device, findings)
    _check_weights(config, findings)
    return findings, _inputs(config)


def _inputs(config: Config) -> list[str]:
    """The list files, or the archive that holds them, as far as they exist."""
    folder = config.data_folder or ""
    paths = [folder] if is_zip_folder(folder) else [file_of(folder, name) for name in
                                              (config.train_list_file, config.test_list_file) if name]
    return [path for path in paths if Path(path).is_file()]


def _read_lists(config: Config, findings: Findings) -> dict[str, ImageList]:
    lists = {}
    for split, read in (("train", images_for_training), ("test", images_for_testing)):
        try:
            lists[split] = read(config)
        except (InputError, OSError) as error:
            findings.problems.append(str(error) if isinstance(error, InputError) else
                                     f"{split} list: {error.filename}: {error.strerror}")
    return lists


def _check_batch(config: Config, lists: dict[str, ImageList], findings: Findings) -> None:
    if config.batch_size and "train" in lists and len(lists["train"]) < config.batch_size:
        findings.problems.append(f"train list: {len(lists['train'])} images do not fill a batch of {config.batch_size}")


def _check_manifest(config: Config, findings: Findings) -> None:
    """Warn where a list is no longer as ``ibc prepare`` wrote it, or the number of classes differs."""
    file = file_of(config.data_folder, "manifest.json")
    try:
        manifest = parse_json(read_bytes(file, regular=True, most=MOST_BYTES), file, "the manifest of ibc prepare")
    except (OSError, InputError):
        return
    known = manifest.get("lists") if isinstance(manifest, dict) else None
    if not isinstance(known, dict):
        return
    changed = [name for name, facts in known.items() if isinstance(facts, dict)
               and not leads_out(name) and _digest(config, name) not in (None, facts.get("sha256"))]
    if changed:
        findings.warnings.append(f"{some(changed)}: not as prepare wrote it (SHA-256 in manifest.json)")
    if manifest.get("class_num") not in (None, config.model.class_num):
        findings.warnings.append(f"class_num is {config.model.class_num}, the data set has {manifest['class_num']}")


def _digest(config: Config, name: str) -> str | None:
    try:
        return hashlib.sha256(read_bytes(file_of(config.data_folder, name), regular=True)).hexdigest()
    except (OSError, ValueError):  # ValueError: InputError, or characters that no file name has
        return None


def _sampled(files: list[str], sample: int | None) -> list[str]:
    """``sample`` of the files, evenly spread over the list; all for None."""
    if sample is None or sample >= len(files):
        return files
    return [files[place * len(files) // sample] for place in range(sample)]


def _report_images(config: Config, split: str, images: list[ExaminedImage], findings: Findings) -> None:
    """Report images that cannot be read, damage that decoders fill in, and sizes that do not fit crop and new_size."""
    bad = [image for image in images if image.fault]
    if bad:
        findings.problems.append(f"{split} list: {len(bad)} images cannot be read: "
                                 + some(f"{image.file} ({image.fault})" for image in bad))
    good = [image for image in images if not image.fault]
    damaged = [image for image in good if image.damage]
    if damaged:
        findings.warnings.append(f"{split} list: {len(damaged)} images are damaged, and their decoder fills in: "
                                 + some(f"{image.file} ({image.damage})" for image in damaged))
    height, width = config.crop_size
    small = [image for image in good if image.height < height or image.width < width]
    if small and config.resize != "always":
        text = f"images are smaller than the crop of {height} x {width}, and are enlarged in the loader"
        if len(small) == len(good):  # a set of small images, such as CIFAR
            findings.facts.append(f"{split} list: all {text}")
        else:
            findings.warnings.append(f"{split} list: {len(small)} {text}: {some(image.file for image in small)}")
    thin = [image for image in good if max(image.height, image.width) > MOST_ASPECT * min(image.height, image.width)]
    if thin:
        findings.warnings.append(f"{split} list: {len(thin)} images are more than {MOST_ASPECT} times as long as wide, "
                                 "and where they are resized only the middle is used: "
                                 + some(image.file for image in thin))
    size = config.train_size if split == "train" else config.test_size
    large = [image for image in good if min(image.height, image.width) > 1.2 * size]
    if large and config.resize != "always":
        findings.warnings.append(f"{split} list: {len(large)} images have a shorter side far above new_size {size}, so "
                                 "that a crop shows a small part of them: set resize: always, or prepare them: "
                                 + some(image.file for image in large))
    findings.numbers.setdefault("images", {})[split] = {
        "examined": len(images), "unreadable": len(bad), "damaged": len(damaged), "smaller_than_crop": len(small),
        "thin": len(thin), "larger_than_new_size": len(large), "unreadable_files": [image.file for image in bad]}


def _compare(files: dict[str, list[str]], examined: dict[str, ExaminedImage], near: int, findings: Findings) -> None:
    """Look for test images that are also training images, by content and by look."""
    usable = {split: [file for file in dict.fromkeys(names) if not examined[file].fault]
              for split, names in files.items()}
    train, test = usable["train"], usable["test"]
    if not train or not test:
        return
    digests = [np.array([examined[file].digest for file in names], dtype="S32") for names in (train, test)]
    same_test, same_train = equal_pairs(*digests)
    same = [(test[row], train[column]) for row, column in zip(same_test, same_train, strict=True)]
    findings.numbers["identical"] = [list(pair) for pair in same]
    if same:
        findings.warnings.append(f"{len(same)} test images are also training images, byte for byte: "
                                 + some(f"{left} = {right}" for left, right in same))
    if not HAS_HASHES:
        findings.facts.append("near-identical images: not looked for (install ImageHash)")
        return
    hashes_train, hashes_test = (np.array([examined[file].perceptual_hash for file in names], dtype=np.uint64)
                                 for names in (train, test))
    matches = near_pairs(hashes_train, hashes_test, near)
    known = set(same_test.tolist())
    alike = [(test[row], train[column], int(bits)) for row, column, bits in zip(*matches, strict=True)
             if row not in known]
    findings.numbers["near_identical"] = [list(triple) for triple in alike]
    if alike:
        alike.sort(key=lambda triple: triple[2])
        findings.warnings.append(f"{len(alike)} more test images look like training images (at most {near} of 64 hash "
                                 "bits differ): " + some(f"{left} ~ {right}" for left, right, _ in alike))
    if not same and not alike:
        findings.facts.append("train and test: no image in both, none that look alike")


def _check_weights(config: Config, findings: Findings) -> None:
    """Check the Places365 AlexNet, where the config names one."""
    if not config.model.is_sun or config.model.pretrained == "none":
        return
    from ibc.pretrained import places_weights  # noqa: PLC0415 - the network, 2 s to load; few configs need it

    try:
        weights, source = places_weights(config.model)
    except (InputError, OSError) as error:
        findings.problems.append(f"weights_file: {error}")
        return
    shape = tuple(weights["classifier.6.weight"].shape) if "classifier.6.weight" in weights else None
    if shape != (365, 4096):
        findings.problems.append(f"{source}: found classifier.6.weight of shape {shape}, expected (365, 4096), the "
                                 "Places365 AlexNet")
    else:
        findings.facts.append(f"weights: {source} is an AlexNet of 365 places")
