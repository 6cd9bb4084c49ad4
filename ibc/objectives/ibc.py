"""The paper's objective: seven terms over a plain and a masked half of every batch.

The first half of a batch is scored as it is. In the second half, bits and concept maps are multiplied by the
rule-matrix row of each image's class, so that the class must be told by the few bits and filters that the rule matrix
gives it. The official implementation computes the same.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ibc.batch_labels import batch_halves
from ibc.losses import alignment_loss, class_loss, code_density, code_sparsity_loss, grm_loss
from ibc.network import IBC
from ibc.objectives.objective import BatchLabels, Objective, Term
from ibc.processes import global_mean


class HalvesPredictions(NamedTuple):
    """What the network says of a plain and a masked half, of B images each."""

    plain_real: Tensor    # (B, C) logits of the real-valued classifier, plain half
    plain_code: Tensor    # (B, C) logits of the code classifier, plain half
    masked_real: Tensor   # (B, C) the same of the masked half
    masked_code: Tensor   # (B, C)
    codes: Tensor         # (B, K) codes of the masked half in (0, 1), before masking
    maps: Tensor          # (B, K, 6, 6) concept maps of the masked half, at least 0, before masking
    code_density: Tensor  # scalar: mean over the masked half of how many bits are on
    grm: Tensor           # (C, K) gated rule matrix


class IbcObjective(Objective[HalvesPredictions]):
    """``objective: ibc``. The terms have the official names."""

    def make_terms(self) -> tuple[Term, ...]:
        """The official seven."""
        model = self.config.model
        return (
            Term("loss_real_cls_std", "real_std_w", lambda p, labels, done: class_loss(p.plain_real, labels[0])),
            Term("loss_code_cls_std", "hash_std_w", lambda p, labels, done: class_loss(p.plain_code, labels[0])),
            Term("loss_real_cls_mask", "real_mask_w", lambda p, labels, done: class_loss(p.masked_real, labels[1])),
            Term("loss_code_cls_mask", "hash_mask_w", lambda p, labels, done: class_loss(p.masked_code, labels[1])),
            Term("loss_rule_sparse", "GRM_w", lambda p, labels, done: grm_loss(p.grm, model.thr_g)),
            Term("loss_kl_div", "align_w", lambda p, labels, done: alignment_loss(p.maps, p.codes)),
            Term("loss_code_sparse", "sparse_w",
                 lambda p, labels, done: code_sparsity_loss(p.code_density, model.code_len)),
        )

    def read_labels(self, labels: Tensor) -> BatchLabels:
        """Those of the plain and of the masked half."""
        return batch_halves(labels, self.config.model)

    def predictions(self, network: IBC, features: Tensor, labels: BatchLabels) -> HalvesPredictions:
        """What both branches say, the second half masked by G[y]."""
        masked, grm, half = labels[1], network.GRM, len(features) // 2
        rows = grm[masked.targets.clamp(min=0)]  # (B, K)
        # Images without a class keep their bits and maps as they are.
        gates = torch.where(masked.rows[:, None] > 0, rows, torch.ones_like(rows))
        out = network.branches(features, torch.cat([torch.ones_like(gates), gates]))
        codes, real = out.codes, out.real_logits
        code = network.classify_codes(torch.cat([codes[:half], codes[half:] * gates]))
        return HalvesPredictions(real[:half], code[:half], real[half:], code[half:], codes[half:], out.maps[half:],
                                 code_density(codes[half:]), grm)

    def over_processes(self, found: HalvesPredictions) -> HalvesPredictions:
        """The sparsity loss is a function of the mean over the whole batch, not a mean of functions."""
        return found._replace(code_density=global_mean(found.code_density))
