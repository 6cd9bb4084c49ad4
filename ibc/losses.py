"""The seven loss terms of IBC: one pure function each, one table, one sum.

B images in a half of the batch, K bits, C classes. To add a term, write its function and its line in ``TERMS``, and
document its weight in ``ibc.config``. Shapes do not depend on which rows have a category, and the means over such rows
take their denominator from the labels, so that an update compiles and several processes divide by the global one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from ibc.batch_labels import HalfLabels
from ibc.config import Config
from ibc.labels import NO_TARGET

CODE_DENSITY = 0.2  # share of the bits that may be on before loss_code_sparse sets in (fixed in the paper)


class Predictions(NamedTuple):
    """What the network says of one batch: all that the loss terms look at.

    The plain half of the batch is scored as it is. In the masked half, bits and maps are first multiplied by the
    rule-matrix row of the image's class.
    """

    plain_real: Tensor    # (B, C) logits of the real-valued classifier, plain half
    plain_code: Tensor    # (B, C) logits of the code classifier, plain half
    masked_real: Tensor   # (B, C) the same of the masked half
    masked_code: Tensor   # (B, C)
    codes: Tensor         # (B, K) codes of the masked half in (0, 1), before masking
    maps: Tensor          # (B, K, 6, 6) concept maps of the masked half, at least 0, before masking
    code_density: Tensor  # scalar: mean over the masked half of how many bits are on
    grm: Tensor           # (C, K) gated rule matrix


def class_loss(logits: Tensor, labels: HalfLabels) -> Tensor:
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


class Term(NamedTuple):
    """A loss term. name: the official one. weight: its key in the configuration.

    value: the term of a batch, from its predictions, the labels of its plain and its masked half, and the
    configuration.
    """

    name: str
    weight: str
    value: Callable[[Predictions, HalfLabels, HalfLabels, Config], Tensor]


TERMS = (
    Term("loss_real_cls_std", "real_std_w", lambda p, plain, masked, config: class_loss(p.plain_real, plain)),
    Term("loss_code_cls_std", "hash_std_w", lambda p, plain, masked, config: class_loss(p.plain_code, plain)),
    Term("loss_real_cls_mask", "real_mask_w", lambda p, plain, masked, config: class_loss(p.masked_real, masked)),
    Term("loss_code_cls_mask", "hash_mask_w", lambda p, plain, masked, config: class_loss(p.masked_code, masked)),
    Term("loss_rule_sparse", "GRM_w", lambda p, plain, masked, config: grm_loss(p.grm, config.model.thr_g)),
    Term("loss_kl_div", "align_w", lambda p, plain, masked, config: alignment_loss(p.maps, p.codes)),
    Term("loss_code_sparse", "sparse_w",
         lambda p, plain, masked, config: code_sparsity_loss(p.code_density, config.model.code_len)),
)
TOTAL = "loss_total"
LOSS_NAMES = (*(term.name for term in TERMS), TOTAL)


def batch_losses(predictions: Predictions, plain: HalfLabels, masked: HalfLabels, config: Config) -> dict[str, Tensor]:
    """Every term of ``TERMS`` by name, and ``loss_total``: their sum, each times its weight."""
    values = {term.name: term.value(predictions, plain, masked, config) for term in TERMS}
    weighted = [getattr(config, term.weight) * values[term.name] for term in TERMS]
    return {**values, TOTAL: sum(weighted[1:], start=weighted[0])}
