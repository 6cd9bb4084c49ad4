"""The loss terms of IBC, one pure function each: tensors in, scalar out.

B images in a half of the batch, K bits, C classes. Shapes do not depend on which rows have a
category, and the means over such rows take their denominator as an argument, so that the update
compiles and several processes can divide by the global one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ibc.labels import NO_TARGET

CODE_DENSITY = 0.2  # share of the bits that may be on before loss_code_sparse sets in (fixed in the paper)


def class_loss(logits: Tensor, targets: Tensor, weights: Tensor | None, denominator: Tensor) -> Tensor:
    """Cross-entropy of the rows that have a category, summed with weights, over ``denominator``.

    logits: (B, C). targets: (B,) int64, NO_TARGET where there is none. weights: (C,) or None.
    denominator: scalar, ``class_denominator`` of the same rows.
    """
    return F.cross_entropy(logits, targets, weights, ignore_index=NO_TARGET, reduction="sum") / denominator


def class_denominator(targets: Tensor, weights: Tensor | None) -> Tensor:
    """What the weighted mean of the cross-entropy divides by: the weights of the targets, summed."""
    present = targets[targets != NO_TARGET]
    if weights is None:
        return torch.tensor(float(len(present)))
    return weights[present].sum()


def multi_label_loss(logits: Tensor, vectors: Tensor, rows: Tensor, weights: Tensor | None,
                     denominator: Tensor) -> Tensor:
    """Binary cross-entropy with logits, summed over the valid rows and C classes, over ``denominator``.

    logits, vectors: (B, C), vectors in {0, 1}. rows: (B,) 1 where the row counts, else 0.
    weights: (C,) pos_weight or None. denominator: scalar, number of valid rows times C.
    """
    elements = F.binary_cross_entropy_with_logits(logits, vectors, pos_weight=weights, reduction="none")
    return (elements * rows[:, None]).sum() / denominator


def grm_loss(grm: Tensor, threshold: float) -> Tensor:
    """relu(sum |G| - threshold) over all C x K entries: keeps the rule matrix sparse."""
    return F.relu(grm.abs().sum() - threshold)


def alignment_loss(maps: Tensor, codes: Tensor) -> Tensor:
    """KL(softmax(codes) || softmax(pooled maps)) over the K bits, mean over all B x K elements.

    maps: (B, K, h, w) concept maps before masking; codes: (B, K). The element mean (not the
    batch mean) is the official definition: K times smaller than the KL of a sample.
    """
    log_p = F.log_softmax(maps.mean(dim=(2, 3), dtype=codes.dtype), dim=1)
    log_q = F.log_softmax(codes, dim=1)
    return F.kl_div(log_p, log_q, reduction="sum", log_target=True) / codes.numel()


def code_density(codes: Tensor) -> Tensor:
    """Mean over the images of the L1 norm of their codes (B, K): how many bits are on."""
    return codes.abs().sum(dim=1).mean()


def code_sparsity_loss(density: Tensor, code_len: int) -> Tensor:
    """relu(density - 0.2 K), ``density`` from ``code_density``."""
    return F.relu(density - CODE_DENSITY * code_len)
