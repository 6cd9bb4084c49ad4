"""Work for a GPU, recorded once as a CUDA graph and replayed on new inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Captured:
    """``body(*inputs)`` as one launch: no gaps between kernels, and no time of the interpreter.

    ``body`` must have run a few times before, and returns a tensor; what it computes is a function of what the
    ``inputs`` hold. These are kept, and later inputs are copied into them (``copy_``). ``stream``: where to record
    (None: on one that torch keeps for it).
    """

    def __init__(self, body: Callable[..., Tensor], *inputs: Any, stream: torch.cuda.Stream | None = None):
        self.inputs = inputs
        self.graph = torch.cuda.CUDAGraph()
        # thread_local: the threads that decode the next images may go on allocating meanwhile.
        with torch.cuda.graph(self.graph, stream=stream, capture_error_mode="thread_local"):
            self.result = body(*inputs)

    def __call__(self, *inputs: Any) -> Tensor:
        for kept, new in zip(self.inputs, inputs, strict=True):
            kept.copy_(new)
        self.graph.replay()
        return self.result.clone()  # the next replay overwrites it
