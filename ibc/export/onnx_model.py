"""``encoder.onnx`` of an export: pixels in, code values out, for any runtime that reads ONNX.

Input ``images``: (B, 3, H, W) uint8, RGB, of the crop size; the normalisation is inside the graph. Output ``codes``:
(B, K) float32 in (0, 1); a bit is 1 above 0.5. B is free. The file's metadata name the bits.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ibc.errors import input_error
from ibc.export.optional import optional_library
from ibc.files import atomic_write
from ibc.network import IBC
from ibc.normalise import MEAN, STD

INPUT, OUTPUT = "images", "codes"
TOLERANCE = 1e-5  # largest difference of a code value between onnxruntime and torch
SMALLEST_CROP = 63  # pixels a side; of smaller images the third pooling leaves nothing


class PixelEncoder(nn.Module):
    """The network from pixels to codes: normalisation and the hash branch."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: IBC):
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(STD)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 -> (B, K) float32, as ``ibc.extraction.encode_pixels``."""
        return self.model.encode((images.float() / 255 - self.mean) / self.std)


def require_onnx() -> tuple[Any, Any]:
    """The modules onnx and onnxruntime; also onnxscript, which torch's exporter needs, must be there (InputError)."""
    optional_library("onnxscript", "--onnx")
    return optional_library("onnx", "--onnx"), optional_library("onnxruntime", "--onnx")


def write_onnx(path: Path, model: IBC, crop: tuple[int, int], metadata: dict[str, Any]) -> float:
    """Write the encoder of ``model`` (in eval mode, on the CPU) for images of ``crop`` = (height, width) pixels.

    The file is checked before it gets its name: onnxruntime must give the codes of torch. Returns the largest
    difference. metadata: name -> plain values, stored as JSON texts. Raises InputError for a crop that is too small,
    and where the codes differ by more than TOLERANCE.
    """
    onnx, runtime = require_onnx()
    if min(crop) < SMALLEST_CROP:
        raise input_error("--crop", f"{crop[0]} x {crop[1]} pixels", f"at least {SMALLEST_CROP} a side")
    encoder = PixelEncoder(model).eval()
    example = torch.zeros(2, 3, *crop, dtype=torch.uint8)
    with _silence():
        program = torch.onnx.export(encoder, (example,), dynamo=True, input_names=[INPUT], output_names=[OUTPUT],
                                    dynamic_shapes={"images": {0: torch.export.Dim("batch")}})
    if program is None:  # by its signature; with dynamo=True it never is
        raise RuntimeError("torch.onnx.export gave no program")
    graph = program.model_proto
    _forget_sources(graph)
    onnx.helper.set_model_props(graph, {name: value if isinstance(value, str) else json.dumps(value)
                                        for name, value in metadata.items()})
    content = graph.SerializeToString()
    difference = largest_difference(runtime, content, encoder, crop)
    if difference > TOLERANCE:
        raise input_error(path, f"codes that differ by {difference:g} from torch's", f"at most {TOLERANCE:g}",
                          "install other versions of onnx, onnxscript or onnxruntime")
    with atomic_write(path) as handle:
        handle.write(content)
    return difference


def largest_difference(runtime: Any, content: bytes, encoder: PixelEncoder, crop: tuple[int, int]) -> float:
    """The largest difference of a code value between onnxruntime and torch, on batches of 1 and 3 random images."""
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    random = torch.Generator().manual_seed(0)
    largest = 0.0
    for batch in (1, 3):
        images = torch.randint(0, 256, (batch, 3, *crop), dtype=torch.uint8, generator=random)
        with torch.inference_mode():
            wanted = encoder(images)
        found = torch.from_numpy(session.run([OUTPUT], {INPUT: images.numpy()})[0])
        largest = max(largest, float((found - wanted).abs().max()))
    return largest


def _forget_sources(graph: Any) -> None:
    """Remove what the exporter notes of the Python source of every node: paths of this machine, and much text."""
    del graph.metadata_props[:]
    parts = [graph.graph, *graph.functions]
    for part in parts:
        del part.metadata_props[:]
        for item in [*part.node, *part.value_info, *getattr(part, "input", []), *getattr(part, "output", []),
                     *getattr(part, "initializer", [])]:
            if hasattr(item, "metadata_props"):
                del item.metadata_props[:]


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Without the exporter's notes on stdout and in the log; its errors are exceptions."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
