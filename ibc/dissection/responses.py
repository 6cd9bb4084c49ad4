"""Batches of images through the encoder: normalised pixels in, checked responses of each layer out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from ibc.dissection.encoders import Encoder, Response, memory_format
from ibc.dissection.reading import BrodenReader
from ibc.errors import input_error
from ibc.memory import lower_on_memory_error
from ibc.normalise import normalise

OFFICIAL_MEAN, OFFICIAL_SCALE = (123.68, 116.779, 103.939), 255 * 0.224
CPU_PART = 8  # images encoded at once on a CPU: as fast as more, in less memory


def official_normalise(images: Tensor) -> Tensor:
    """(N, 3, H, W) uint8 RGB -> float32: minus VGG's channel means, divided by 57.12 in all channels."""
    mean = torch.tensor(OFFICIAL_MEAN, device=images.device)[:, None, None]
    return images.float().sub_(mean).div_(OFFICIAL_SCALE)


def full_precision() -> AbstractContextManager:
    """Inside: convolutions on a GPU multiply in full 32 bits (no TF32) and repeat bit for bit."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


class Responder:
    """Reads the batches of a plan, normalises their pixels, encodes them and checks the responses."""

    def __init__(self, encoder: Encoder, reader: BrodenReader, normalization: str, units: Sequence[int] | None,
                 device: torch.device):
        """normalization: ``official`` or ``training``. units: 1-based units to keep, in ascending order; None: all."""
        self.encoder, self.reader, self.device = encoder, reader, device
        self.normalise = normalise if normalization == "training" else official_normalise
        self.units = units
        self._size_fits = False  # known after the first images

    def batches(self, numbers: Sequence[int]) -> Iterator[tuple[int, list[Response]]]:
        """(number, one Response a layer) of batches of the plan. Reading starts when the first one is asked for.

        Raises InputError on an image that cannot be read, and on responses that are not finite.
        """
        if numbers:
            for number, images in zip(numbers, self.reader.image_batches(numbers), strict=True):
                responses = self.respond(images)
                self._check(number, responses)
                yield number, responses

    def probe(self) -> list[Response]:
        """One Response a layer to a single black image, for its shapes."""
        return self.respond(torch.zeros(1, 3, *self.reader.size, dtype=torch.uint8))

    def respond(self, images: Tensor) -> list[Response]:
        """(B, 3, H, W) uint8 on the CPU -> one Response a layer, of the chosen units."""
        parts = [self._encode(part) for part in images.split(CPU_PART if self.device.type == "cpu" else len(images))]
        encoded = [torch.cat(same) if len(same) > 1 else same[0] for same in zip(*parts, strict=True)]
        responses = self.encoder.responses(encoded)
        return [self._chosen(response, layer) for response, layer in zip(responses, self.encoder.layers, strict=True)]

    def _encode(self, images: Tensor) -> list[Tensor]:
        try:
            with lower_on_memory_error("--batch_size", f"{len(images)} images of {self.reader.size[0]} x "
                                       f"{self.reader.size[1]} pixels at a time", "also try a smaller --memory"):
                images = images.to(self.device, non_blocking=True)
                pixels = images / 255 if self.encoder.normalises else self.normalise(images)
                encoded = self.encoder.encode(pixels.contiguous(memory_format=memory_format(self.device)))
        except (RuntimeError, TypeError) as error:
            if self._size_fits:
                raise
            height, width = self.reader.size
            raise input_error("--image_size", f"{height} x {width} pixels, which the network does not take ({error})",
                              "another size") from error
        self._size_fits = True
        return encoded

    def _chosen(self, response: Response, layer: str) -> Response:
        maps, codes = response.maps.float(), response.codes
        if codes is not None and codes.shape != maps.shape[:2]:
            raise input_error(layer, f"{codes.shape[1]} bits and {maps.shape[1]} units", "a bit for each unit")
        if self.units is None:
            return Response(maps, codes)
        if self.units[-1] > maps.shape[1]:
            raise input_error("--units", str(self.units[-1]), f"units from 1 to {maps.shape[1]} in {layer}")
        chosen = torch.tensor(self.units, device=maps.device) - 1
        return Response(maps[:, chosen], None if codes is None else codes[:, chosen])

    def _check(self, number: int, responses: list[Response]) -> None:
        for response, layer in zip(responses, self.encoder.layers, strict=True):
            good = torch.isfinite(response.maps).flatten(1).all(1)
            if not bool(good.all()):
                place = int(good.logical_not().nonzero()[0])
                record = self.reader.broden.records[self.reader.plan.images(number)[place]]
                raise input_error(record.image, f"responses of {layer} that are not finite numbers", "finite numbers",
                                  "the weights are damaged, or the model does not suit the images")
