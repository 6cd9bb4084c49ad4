"""The frame of the methods to compare with: only h, the outputs of the hash layer, is trained; bit k is h_k > 0.

They have neither rule matrix nor concept filters, so codes files of such a model hold no GRM. The code classifier is
trained beside them on the finished bits, without a gradient to these: it says how well the class can be read.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from ibc.batch_labels import PartLabels, whole_batch
from ibc.config import Config
from ibc.errors import input_error
from ibc.losses import class_loss
from ibc.network import IBC
from ibc.objectives.objective import BatchLabels, Objective, Term
from ibc.processes import gathered_rows


class HashPredictions(NamedTuple):
    """What the network says of a batch of B images; where images are compared, of the N images of all processes."""

    h: Tensor               # (B or N, K) outputs of the hash layer
    probe: Tensor           # (B, C) logits of the code classifier, of the bits as they are
    targets: Tensor         # (B or N,) class ids, negative where there is none
    vectors: Tensor | None  # (B or N, C) 0/1, multi-label only


class HashingObjective(Objective[HashPredictions]):
    """A method that trains codes alone: ``hash_terms`` says how."""

    HAS_GATES = HAS_FILTERS = False
    MULTI_LABEL: ClassVar[bool] = False  # whether the method is defined for images with several labels
    COMPARES: ClassVar[bool] = False     # whether images of a batch are compared, so that it is needed whole

    def __init__(self, config: Config):
        if config.model.multi_label and not self.MULTI_LABEL:
            raise input_error(config.source or None, f"multi_label: true with objective: {config.objective}",
                              "one class an image", "the method is not defined for several")
        super().__init__(config)

    def make_terms(self) -> tuple[Term, ...]:
        """The method's, then the code classifier's, which changes no bit."""
        return (*self.hash_terms(), Term("loss_probe", 1.0, lambda p, labels, done: class_loss(p.probe, labels[0])))

    def hash_terms(self) -> tuple[Term, ...]:
        """The terms of the method."""
        raise NotImplementedError

    def read_labels(self, labels: Tensor) -> BatchLabels:
        """Those of the whole batch, as one part."""
        return (whole_batch(labels, self.config.model),)

    def predictions(self, network: IBC, features: Tensor, labels: BatchLabels) -> HashPredictions:
        """The hash layer's outputs, and the class that the bits tell."""
        h = network.hash_logits(features)
        bits = (self.code_outputs(h.detach()) > 0).to(h.dtype)
        return HashPredictions(h, network.classify_codes(bits), labels[0].targets, labels[0].vectors)

    def code_outputs(self, h: Tensor) -> Tensor:
        """(B, K): what the signs are taken of, once training is done."""
        return h

    def over_processes(self, found: HashPredictions) -> HashPredictions:
        """With the images of all processes, where images are compared."""
        if not self.COMPARES:
            return found
        vectors = None if found.vectors is None else gathered_rows(found.vectors)
        return found._replace(h=gathered_rows(found.h), targets=gathered_rows(found.targets), vectors=vectors)


def row_mean(values: Tensor, labels: PartLabels) -> Tensor:
    """Mean of (B,) values over the images that have a class, weighted by class where the configuration says so."""
    weights = labels.rows
    if labels.class_weights is not None and labels.vectors is None:
        weights = weights * labels.class_weights[labels.targets.clamp(min=0)]
    per_class = 1 if labels.vectors is None else labels.vectors.shape[1]  # what the denominator of BCE counts
    return (values * weights).sum() * per_class / labels.denominator


def straight_through_sign(h: Tensor) -> Tensor:
    """-1 or 1; the gradient is that of h itself."""
    return h + (torch.where(h > 0, 1.0, -1.0).to(h.dtype) - h).detach()
