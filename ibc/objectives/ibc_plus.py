"""Our objective: no label in the forward pass, and the few bits trained as what they will be used for.

Every image is scored once, unmasked. The rule matrix gates the classifier instead of the code (``gated_logits``):
every class looks at any code through its own row of G, whatever the image shows. The same gates act on few bits (the 5,
13 and 32 largest gates of a class), on the filters behind the bits, and on the similarity of two codes as retrieval by
expert bits computes it.

c = codes (B x K), s = 2 c - 1, G = rule matrix (C x K), W, b = the code classifier, y = labels, m = pooled concept
maps, V, d = a classifier of the filters, which a checkpoint keeps beside the network's weights:

    hash_std_w              CE(c W^T + b, y)
    hash_mask_w             CE(c (W * G)^T + b, y)
    plus.nested_w           mean over n in nested_bits of CE(c (W * G_n)^T + b, y), G_n = the n largest gates of a row
    real_std_w              CE of the real-valued branch, y
    real_mask_w             CE(m (V * G)^T + d, y): the filters of a class must tell it as well as its bits do
    plus.contrast_w         contrastive, similarity sum_k s_ik s_jk / K
    plus.expert_contrast_w  contrastive, similarity over the expert bits of the anchor's class
    GRM_w, align_w, sparse_w  as in the paper
    plus.quantise_w         mean(4 c (1 - c)), its weight rising over the first half of the run

Multi-label: binary cross-entropies; two images are similar where they share a label, and the expert bits are those of
one label of the anchor, drawn for each update. Of several processes each computes both contrastive terms over the
codes of all.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ibc.batch_labels import whole_batch
from ibc.config import Config
from ibc.losses import (
    alignment_loss,
    class_loss,
    code_density,
    code_sparsity_loss,
    contrastive_loss,
    gated_logits,
    grm_loss,
    largest_gates,
    quantisation_error,
)
from ibc.network import IBC
from ibc.objectives.objective import BatchLabels, Objective, Term
from ibc.processes import gathered_rows, global_mean

RISE = 0.5  # share of the run over which the weight of the quantisation error rises


class Items(NamedTuple):
    """The images that are compared with each other: those of this process, or of all."""

    codes: Tensor           # (N, K) in (0, 1)
    targets: Tensor         # (N,) class ids, negative where there is none; multi-label: one of an image's classes
    vectors: Tensor | None  # (N, C) 0/1, multi-label only


class PlusPredictions(NamedTuple):
    """What the network says of a batch of B images."""

    codes: Tensor          # (B, K) in (0, 1)
    maps: Tensor           # (B, K, 6, 6) concept maps, at least 0
    real: Tensor           # (B, C) logits of the real-valued branch
    grm: Tensor            # (C, K) gated rule matrix
    weight: Tensor         # (C, K) of the code classifier
    bias: Tensor           # (C,)
    code_density: Tensor   # scalar: mean of how many bits are on
    items: Items


class IbcPlusObjective(Objective[PlusPredictions]):
    """``objective: ibc_plus``."""

    def __init__(self, config: Config):
        super().__init__(config)
        model, plus = config.model, config.plus
        self.nested = [min(count, model.code_len) for count in plus.nested_bits]
        self.expert_bits = [min(count, model.code_len) for count in plus.contrast_bits]
        self.filter_classifier = nn.Linear(model.code_len, model.class_num)

    def make_terms(self) -> tuple[Term, ...]:
        """The paper's seven without the leak, and four more."""
        model = self.config.model
        return (
            Term("loss_real_cls", "real_std_w", lambda p, labels, done: class_loss(p.real, labels[0])),
            Term("loss_code_cls", "hash_std_w", lambda p, labels, done: class_loss(self.code_logits(p), labels[0])),
            Term("loss_filter_gated", "real_mask_w", lambda p, labels, done: self.filter_loss(p, labels)),
            Term("loss_code_gated", "hash_mask_w",
                 lambda p, labels, done: class_loss(self.code_logits(p, p.grm), labels[0])),
            Term("loss_code_nested", "plus.nested_w", lambda p, labels, done: self.nested_loss(p, labels)),
            Term("loss_contrast", "plus.contrast_w", lambda p, labels, done: self.contrast(p.items)),
            Term("loss_contrast_expert", "plus.expert_contrast_w",
                 lambda p, labels, done: self.expert_contrast(p.items, p.grm)),
            Term("loss_rule_sparse", "GRM_w", lambda p, labels, done: grm_loss(p.grm, model.thr_g)),
            Term("loss_kl_div", "align_w", lambda p, labels, done: alignment_loss(p.maps, p.codes)),
            Term("loss_code_sparse", "sparse_w",
                 lambda p, labels, done: code_sparsity_loss(p.code_density, model.code_len)),
            Term("loss_quantise", "plus.quantise_w",
                 lambda p, labels, done: (done / RISE).clamp(max=1) * quantisation_error(p.codes)),
        )

    def read_labels(self, labels: Tensor) -> BatchLabels:
        """Those of the whole batch, as one part."""
        return (whole_batch(labels, self.config.model),)

    def predictions(self, network: IBC, features: Tensor, labels: BatchLabels) -> PlusPredictions:
        """Both branches, unmasked."""
        out, classifier = network.branches(features), network.enc_style.hash_prediction.fc
        items = Items(out.codes, labels[0].targets, labels[0].vectors)
        return PlusPredictions(out.codes, out.maps, out.real_logits, network.GRM, classifier.weight, classifier.bias,
                               code_density(out.codes), items)

    def over_processes(self, found: PlusPredictions) -> PlusPredictions:
        """Compare with the images of all processes; the density is that of the whole batch."""
        codes, targets, vectors = found.items
        items = Items(gathered_rows(codes), gathered_rows(targets),
                      None if vectors is None else gathered_rows(vectors))
        return found._replace(items=items, code_density=global_mean(found.code_density))

    def code_logits(self, found: PlusPredictions, gates: Tensor | None = None) -> Tensor:
        """(B, C) logits of the code classifier; with (C, K) gates, of each class through its row."""
        gates = torch.ones_like(found.grm) if gates is None else gates
        return gated_logits(found.codes, found.weight, found.bias, gates)

    def filter_loss(self, found: PlusPredictions, labels: BatchLabels) -> Tensor:
        """Cross-entropy of the gated classifier of the pooled concept maps."""
        pooled = found.maps.mean(dim=(2, 3), dtype=found.codes.dtype)
        head = self.filter_classifier
        return class_loss(gated_logits(pooled, head.weight, head.bias, found.grm), labels[0])

    def nested_loss(self, found: PlusPredictions, labels: BatchLabels) -> Tensor:
        """Mean, over the numbers of bits, of the cross-entropy with so many bits a class."""
        each = [class_loss(self.code_logits(found, largest_gates(found.grm, count)), labels[0])
                for count in self.nested]
        return torch.stack(each).mean()

    def contrast(self, items: Items) -> Tensor:
        """Contrastive loss over all bits."""
        signs = 2 * items.codes - 1
        vectors, targets = items.vectors, items.targets
        same = targets[:, None] == targets if vectors is None else vectors @ vectors.T > 0
        similarity = signs @ signs.T / signs.shape[1]
        return contrastive_loss(similarity / self.config.plus.temperature, same, targets >= 0)

    def expert_contrast(self, items: Items, grm: Tensor) -> Tensor:
        """Contrastive loss over the expert bits of each anchor's class, as retrieval by expert bits ranks."""
        signs, classes = 2 * items.codes - 1, items.targets.clamp(min=0)
        same = items.targets[:, None] == items.targets if items.vectors is None else items.vectors.T[classes] > 0
        each = []
        for count in self.expert_bits:
            gates = largest_gates(grm, count)[classes]
            similarity = (signs * gates) @ signs.T / gates.sum(dim=1, keepdim=True).clamp(min=1)
            each.append(contrastive_loss(similarity / self.config.plus.temperature, same, items.targets >= 0))
        return torch.stack(each).mean()
