"""Codes of a few image files, for a query: encoded by a checkpoint as extraction encodes a list.

Image files and a checkpoint flow in; codes flow out. What can be checked of model and codes file is checked.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ibc.checkpoint import code_fingerprint, find_checkpoint, load_model, read_config
from ibc.codes import CodeSet
from ibc.config import Config, config_from_dict, load_config
from ibc.data.decode import decode_image
from ibc.data.list_file import ImageList
from ibc.data.loader import cpu_decoder, encoding_batches
from ibc.errors import input_error
from ibc.extraction import encode_batches
from ibc.labels import NO_CATEGORY
from ibc.network import IBC
from ibc.ready_configs import find_config

RESIZE = ("auto", "always", "config")


def check_same_model(model: IBC, checkpoint: str | os.PathLike, codes: CodeSet, where: str | os.PathLike) -> None:
    """Raises InputError where codes are of another model: their number of bits, fingerprint or rule matrix differs.

    checkpoint, where: the files of the model and of the codes, for messages.
    """
    classes, bits = model.grm.shape
    if bits != codes.code_length:
        raise input_error(checkpoint, f"a model of {bits} bits", f"{codes.code_length}, as in {where}")
    if codes.model is not None:
        same = codes.model == code_fingerprint(model)
    else:  # codes of another program, or older ones
        grm = model.grm.cpu().numpy()
        same = codes.grm is None or (len(codes.grm) == classes and np.allclose(codes.grm, grm, atol=1e-6))
    if not same:
        raise input_error(checkpoint, f"another model than that of {where}", "the checkpoint that made the codes")


class QueryEncoder:
    """The model of a checkpoint with its configuration, ready to encode image files.

    checkpoint: the file that was found. config: with the crop and the size of images.
    """

    def __init__(self, checkpoint: str | os.PathLike, config: str | None, device: torch.device):
        """config: a YAML file; None: the configuration inside the checkpoint. Raises InputError where it has none."""
        self.checkpoint = find_checkpoint(checkpoint)
        self.device = device
        self.config = _config(self.checkpoint, config)
        size = "new_size" if self.config.new_size_b is None else "new_size_b"
        self.config.require("crop_image_height", "crop_image_width", size)
        self.model: IBC = load_model(self.checkpoint, self.config.model).to(device)

    def check(self, codes: CodeSet, where: str | os.PathLike) -> None:
        """Raises InputError where the codes of the file ``where`` are of another model; see ``check_same_model``."""
        check_same_model(self.model, self.checkpoint, codes, where)

    def encode(self, files: Sequence[str | os.PathLike], resize: str = "auto") -> np.ndarray:
        """(n, K) float32 codes in (0, 1), in the order of ``files``: the very codes that extraction gives.

        resize: "config": only what the configuration resizes, as for its lists; "always": every image, as for
        ``ibc extract --images``; "auto": an image whose shorter side is longer than the configured size as "always",
        the others as "config". Raises InputError for a file that is not an image.
        """
        codes = np.empty((len(files), self.model.grm.shape[1]), np.float32)
        always = np.array([self._resized(file, resize) for file in files], bool)
        for value in (False, True):
            places = np.flatnonzero(always == value)
            names = [os.fspath(files[place]) for place in places.tolist()]
            images = ImageList(names, names, np.full((len(names), 1), NO_CATEGORY, np.float32))
            if len(images):
                batches = encoding_batches(self.config, images, self.device, resize_always=value or None)
                codes[places] = encode_batches(self.model, batches, len(images), self.device).codes
        if not np.isfinite(codes).all():
            raise input_error(self.checkpoint, "weights that give codes which are not finite", "finite numbers")
        return codes

    def _resized(self, file: str | os.PathLike, resize: str) -> bool:
        if resize != "auto":
            return resize == "always"
        image = decode_image(os.fspath(file), cpu_decoder(self.config.decoder))
        return min(image.shape[-2:]) > self.config.test_size


def _config(checkpoint: Path, file: str | None) -> Config:
    if file is not None:
        return load_config(find_config(file))
    values = read_config(checkpoint)
    if not values:
        raise input_error(checkpoint, "a checkpoint without a configuration", "the crop and the size of images",
                          "give the configuration by --config")
    return config_from_dict(values, os.fspath(checkpoint))
