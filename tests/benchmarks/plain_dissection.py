"""Dissection in the design of the official tool, for comparison: 64-bit maps on disk, one unit at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ibc.data.broden.dataset import Broden
from ibc.dissection.quantiles import exact_quantile, quantile_position
from ibc.network import IBC

BATCH = 128


def pixels(broden: Broden, index: int) -> np.ndarray:
    """(3, H, W) float32, normalised as the official tool does."""
    image = np.asarray(Image.open(broden.path(broden.records[index].image)).convert("RGB"), np.float32)
    return ((image - np.array([123.68, 116.779, 103.939], np.float32)) / np.float32(57.12)).transpose(2, 0, 1)


def extract(model: IBC, broden: Broden, folder: Path) -> tuple[np.memmap, np.memmap]:
    """Feature maps (N, K, 6, 6) and maxima (N, K), float64 on disk."""
    maps = maxima = None
    with torch.inference_mode():
        for begin in range(0, len(broden), BATCH):
            batch = range(begin, min(begin + BATCH, len(broden)))
            images = torch.from_numpy(np.stack([pixels(broden, index) for index in batch]))
            values = model.concept_maps(images).numpy()
            if maps is None:
                shape = (len(broden), *values.shape[1:])
                maps = np.memmap(folder / "conv_last.mmap", np.float64, "w+", shape=shape)
                maxima = np.memmap(folder / "conv_last_max.mmap", np.float64, "w+", shape=shape[:2])
            maps[begin : batch.stop] = values
            maxima[begin : batch.stop] = values.max((2, 3))
    return maps, maxima


def thresholds_of(maps: np.ndarray, fraction: float) -> np.ndarray:
    """(K,) thresholds: the official quantile of (N, K, h, w) maps."""
    values = maps.transpose(1, 0, 2, 3).reshape(maps.shape[1], -1)
    return exact_quantile(values, quantile_position(fraction, "official"))


def resize(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w) -> (height, width) = ``size`` by Pillow, as the official tool does."""
    image = Image.fromarray(values.astype(np.float32), mode="F")
    return np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))


def tally(maps: np.ndarray, maxima: np.ndarray, thresholds: np.ndarray, broden: Broden) -> tuple[np.ndarray, ...]:
    """both (K, L), activation (K, C) and truth (L,), image by image and unit by unit."""
    units, labels, categories = len(thresholds), broden.label_count, len(broden.categories)
    one_hot = np.eye(categories)[broden.primary]
    both, activation, truth = np.zeros((units, labels)), np.zeros((units, categories)), np.zeros(labels)
    for index in range(len(broden)):
        planes, scalars = broden.read_planes(index), list(broden.records[index].scalars)
        size = planes.shape[1:]
        truth += np.bincount(planes.ravel(), minlength=labels)
        for scalar in scalars:
            truth[scalar] += size[0] * size[1]
        for unit in np.flatnonzero(maxima[index] > thresholds):
            mask = resize(maps[index, unit], size) > thresholds[unit]
            area = mask.sum()
            inside = np.bincount(planes[:, mask].ravel(), minlength=labels).astype(float)
            inside[0] = 0
            present = inside @ one_hot
            both[unit] += inside
            for scalar in scalars:
                both[unit, scalar] += area
                present += one_hot[scalar]
            activation[unit] += area * (present > 0)
    truth[0] = 0
    return both, activation, truth


def page(maps: np.ndarray, maxima: np.ndarray, thresholds: np.ndarray, broden: Broden, folder: Path) -> None:
    """One strip of ten images for each unit."""
    for unit in range(len(thresholds)):
        tiles = []
        for index in np.argsort(maxima[:, unit])[: -1 - 10 : -1]:
            image = np.asarray(Image.open(broden.path(broden.records[index].image)).convert("RGB"))
            mask = resize(maps[index, unit], image.shape[:2]) > thresholds[unit]
            tiles += [(image * (0.2 + 0.8 * mask[..., None])).astype(np.uint8),
                      np.full((image.shape[0], 3, 3), 255, np.uint8)]
        Image.fromarray(np.concatenate(tiles[:-1], axis=1)).save(folder / f"{unit:04d}.jpg")
