"""Forward pass and losses of one update, as a module: plain, compiled, or spread over processes.

The whole batch goes through the trunk once; the first half of it is scored without masks, the
second with the rule matrix row of each image's class.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from ibc import losses
from ibc.batch_labels import Half
from ibc.config import Config
from ibc.network import IBC
from ibc.normalise import normalise
from ibc.processes import global_mean, recorded

LOSS_NAMES = ("loss_real_cls_std", "loss_code_cls_std", "loss_real_cls_mask", "loss_code_cls_mask",
              "loss_rule_sparse", "loss_kl_div", "loss_code_sparse", "loss_total")


class LossModule(nn.Module):
    """Images and targets in, the eight official losses out.

    ``compiled`` compiles the trunk and what follows it by themselves: the gradients of the fully connected
    layers, nine tenths of all, are then there before the trunk's backward pass begins, and several processes
    average and use them meanwhile (``ibc.accelerate.sharded_adam``).
    """

    def __init__(self, model: IBC, config: Config, amp: str, compiled: bool = False):
        super().__init__()
        self.model, self.config = model, config
        self.amp = amp == "bf16"
        weights = config.model.class_weights
        self.class_weights = None if weights is None else torch.tensor(weights, device=model.GRM.device)
        self.before_heads: Callable[[], None] | None = None  # waits for weights that others send meanwhile
        self._features: Callable[..., Tensor] = torch.compile(self.features) if compiled else self.features
        self._heads: Callable[..., dict[str, Tensor]] = torch.compile(self.heads) if compiled else self.heads

    def forward(self, images: Tensor, plain: Half, masked: Half) -> dict[str, Tensor]:
        """images: (B, 3, H, W), uint8 or normalised; plain, masked: labels of the two halves, B / 2 each."""
        config = self.config
        features = self._features(images)
        if self.before_heads is not None:
            self.before_heads()
        values = self._heads(features, plain, masked)
        density = global_mean(values.pop("code_density"))
        values["loss_code_sparse"] = losses.code_sparsity_loss(density, config.model.code_len)
        values["loss_total"] = values["loss_total"] + config.sparse_w * values["loss_code_sparse"]
        return values

    def features(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) images -> (B, 256, 6, 6)."""
        if images.dtype == torch.uint8:
            images = normalise(images)
        with self._autocast(images.device):
            return self.model.features(images.to(self.model.GRM.dtype))

    def heads(self, features: Tensor, plain: Half, masked: Half) -> dict[str, Tensor]:
        """Both branches and the losses of this process's images; instead of the sparsity loss, ``code_density``."""
        config, grm, half = self.config, self.model.GRM, len(features) // 2
        # G[y] for the rows with a class; the others keep their bits and maps as they are.
        rows = grm[masked.targets.clamp(min=0)]
        gates = torch.where(masked.rows[:, None] > 0, rows, torch.ones_like(rows))
        with self._autocast(features.device):
            out = self.model.branches(features, torch.cat([torch.ones_like(gates), gates]))
        codes, real_logits = out.codes, out.real_logits.to(grm.dtype)
        code_logits = self.model.classify_codes(torch.cat([codes[:half], codes[half:] * gates]))
        values = {
            "loss_real_cls_std": self._class_loss(real_logits[:half], plain),
            "loss_code_cls_std": self._class_loss(code_logits[:half], plain),
            "loss_real_cls_mask": self._class_loss(real_logits[half:], masked),
            "loss_code_cls_mask": self._class_loss(code_logits[half:], masked),
            "loss_rule_sparse": losses.grm_loss(grm, config.model.thr_g),
            "loss_kl_div": losses.alignment_loss(out.maps[half:], codes[half:]),
            "code_density": losses.code_density(codes[half:]),
        }
        values["loss_total"] = (config.hash_std_w * values["loss_code_cls_std"]
                                + config.hash_mask_w * values["loss_code_cls_mask"]
                                + config.GRM_w * values["loss_rule_sparse"]
                                + config.align_w * values["loss_kl_div"]
                                + config.real_std_w * values["loss_real_cls_std"]
                                + config.real_mask_w * values["loss_real_cls_mask"])
        return values

    def _autocast(self, device: torch.device) -> AbstractContextManager:
        return torch.autocast(device.type, torch.bfloat16) if self.amp else nullcontext()

    def _class_loss(self, logits: Tensor, half: Half) -> Tensor:
        weights = None if self.class_weights is None else self.class_weights.to(logits.dtype)
        if half.vectors is not None:
            return losses.multi_label_loss(logits, half.vectors, half.rows, weights, half.denominator)
        return losses.class_loss(logits, half.targets, weights, half.denominator)


class CapturedUpdate:
    """An update recorded once as a CUDA graph and replayed on new inputs: no launch gaps.

    ``body(images, plain, masked)`` must have run a few times before, and returns a tensor. ``plain`` and
    ``masked`` are kept: later labels, from main memory or the device, overwrite them. While it is recorded, no
    other autograd graph of the same parameters may live: on another stream, it would draw that into the recording.
    """

    def __init__(self, body: Callable[..., Tensor], images: Tensor, plain: Half, masked: Half):
        self.images = images.clone()
        self.plain, self.masked = plain, masked
        self.graph = torch.cuda.CUDAGraph()
        recorded(self.graph)
        # thread_local: the thread that decodes the next images may go on allocating meanwhile.
        with torch.cuda.graph(self.graph, stream=torch.cuda.current_stream(), capture_error_mode="thread_local"):
            self.result = body(self.images, self.plain, self.masked)

    def __call__(self, images: Tensor, plain: Half, masked: Half) -> Tensor:
        self.images.copy_(images)
        self.plain.copy_(plain)
        self.masked.copy_(masked)
        self.graph.replay()
        return self.result.clone()  # the next replay overwrites it
