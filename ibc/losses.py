"""Loss terms: one pure function each. ``ibc.objectives`` puts them together.

B images, K bits, C classes. Shapes do not depend on which rows have a category, and the means over such rows take their
denominator from the labels, so that an update compiles and several processes divide by the global one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ibc.batch_labels import PartLabels
from ibc.labels import NO_TARGET

CODE_DENSITY = 0.2  # share of the bits that may be on before loss_code_sparse sets in (fixed in the paper)
SMALLEST_GATE = 1e-3  # below it a gate's share of the gradient of ``largest_gates`` grows no further
NEVER = -1e9  # similarity of a pair that is not looked at


def class_loss(logits: Tensor, labels: PartLabels) -> Tensor:
    """Cross-entropy of the rows that have a category; multi-label: binary cross-entropy of all C classes.

    logits: (B, C). The sum, weighted by class, over ``labels.denominator``. Multi-label class weights are pos_weights.
    """
    if labels.vectors is None:
        total = F.cross_entropy(logits, labels.targets, labels.class_weights, ignore_index=NO_TARGET, reduction="sum")
    else:
        elements = F.binary_cross_entropy_with_logits(logits, labels.vectors, pos_weight=labels.class_weights,
                                                      reduction="none")
        total = (elements * labels.rows[:, None]).sum()
    return total / labels.denominator


def grm_loss(grm: Tensor, threshold: float) -> Tensor:
    """relu(sum |G| - threshold) over all C x K entries: keeps the rule matrix sparse."""
    return F.relu(grm.abs().sum() - threshold)


def alignment_loss(maps: Tensor, codes: Tensor) -> Tensor:
    """KL(softmax(codes) || softmax(pooled maps)) over the K bits, mean over all B x K elements.

    maps: (B, K, h, w) concept maps before masking; codes: (B, K). The mean over elements (not over images) is the
    official definition: K times smaller than the KL of an image.
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


def quantisation_error(codes: Tensor) -> Tensor:
    """Mean of 4 c (1 - c) over all entries of (B, K) codes: 0 where all are 0 or 1, 1 where all are 0.5."""
    return (4 * codes * (1 - codes)).mean()


def gated_logits(inputs: Tensor, weight: Tensor, bias: Tensor, gates: Tensor) -> Tensor:
    """inputs (W * G)^T + b: every class scores the same (B, K) inputs, each through its own row of the gates.

    weight, gates: (C, K). bias: (C,). Returns (B, C) logits. No label enters, unlike in the paper's masked half, where
    the row of the true class masks the code, and which bits are zero tells the answer.
    """
    return F.linear(inputs, weight * gates, bias)


def largest_gates(grm: Tensor, count: int) -> Tensor:
    """(C, K): 1 at the ``count`` largest entries of each row of the rule matrix, else 0.

    The gradient goes to the chosen entries of G, as of G / G: an entry that is about to fall out is held the most.
    """
    chosen = torch.zeros_like(grm).scatter(1, grm.topk(count, dim=1).indices, 1.0)
    return chosen * grm / grm.detach().clamp(min=SMALLEST_GATE)


def contrastive_loss(similarity: Tensor, positives: Tensor, known: Tensor) -> Tensor:
    """Supervised contrastive loss (Khosla et al., 2020): the negative mean log-softmax over a row at its positives.

    similarity: (N, N) of anchors (rows) with all items, divided by the temperature. positives: (N, N) bool, true where
    an item shares the class of the anchor. known: (N,) bool, items that have a class; the others are neither anchors
    nor negatives. The anchor itself is left out of its row. Mean over the known anchors; 0 without any.
    """
    itself = torch.eye(len(similarity), dtype=torch.bool, device=similarity.device)
    log_p = F.log_softmax(similarity.masked_fill(itself | ~known, NEVER), dim=1)
    pairs = (positives & known & known[:, None] & ~itself).to(log_p.dtype)
    of_anchor = (log_p * pairs).sum(dim=1) / pairs.sum(dim=1).clamp(min=1)
    return -of_anchor.sum() / known.sum().clamp(min=1)
