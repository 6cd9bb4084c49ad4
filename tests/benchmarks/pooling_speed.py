"""Max pooling of AlexNet's maps on a GPU: ours beside torch's ``max_pool2d``, and the memory's own time.

    python tests/benchmarks/pooling_speed.py
    python tests/benchmarks/pooling_speed.py --batch 800
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from torch import Tensor

import ibc.accelerate.pooling  # noqa: F401  (registers the operators)
from tests.benchmarks.train_speed import copy_rate, seconds

MAPS = ((64, 55), (192, 27), (256, 13))  # channels and side of the three
CALLS = 20  # in a CUDA graph, so that launching does not count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=200)
    args = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("no usable GPU")
    rate = copy_rate(torch.device("cuda"))
    print(f"machine: {torch.cuda.get_device_name()}, torch {torch.__version__}, copies {rate / 1e12:.2f} TB/s")
    print("          maps      type      pass   ours us  torch us  ratio  memory alone us")
    for dtype in (torch.bfloat16, torch.float32):
        for channels, side in MAPS:
            maps = torch.randn(args.batch, channels, side, side, device="cuda").to(dtype)
            compare(maps.contiguous(memory_format=torch.channels_last), rate)


def compare(maps: Tensor, rate: float) -> None:
    ours, theirs = torch.ops.ibc, torch.ops.aten
    window, side = ([3, 3], [2, 2]), maps.shape[-1]
    pooled, taken = ours.max_pool(maps)
    expected, places = theirs.max_pool2d_with_indices(maps, *window)
    gradient = torch.randn_like(pooled)
    passes = {
        "forward": (lambda: ours.max_pool(maps), lambda: theirs.max_pool2d_with_indices(maps, *window)),
        "backward": (lambda: ours.max_pool_backward(gradient, taken, side, side),
                     lambda: theirs.max_pool2d_with_indices_backward(gradient, maps, *window, [0, 0], [1, 1], False,
                                                                     places)),
    }
    assert torch.equal(pooled, expected)
    assert torch.equal(*(call() for call in passes["backward"]))
    moved = maps.nbytes + pooled.nbytes + taken.nbytes
    for name, calls in passes.items():
        fast, slow = (1e6 * seconds(recorded(call).replay, 7, 3) / CALLS for call in calls)
        what = f"{len(maps)} x {maps.shape[1]} x {side:>2}²  {str(maps.dtype)[6:]:>8}  {name:>8}"
        print(f"{what}  {fast:8.0f}  {slow:8.0f}  {slow / fast:5.1f}  {1e6 * moved / rate:15.0f}", flush=True)


def recorded(call) -> torch.cuda.CUDAGraph:
    """``call``, several times, as a CUDA graph."""
    call()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(CALLS):
            call()
    return graph


if __name__ == "__main__":
    main()
