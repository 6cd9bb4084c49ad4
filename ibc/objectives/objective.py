"""The frame of an objective: how labels are read, what the network says of a batch, and the terms of the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from torch import Tensor, nn

from ibc.batch_labels import PartLabels
from ibc.config import Config
from ibc.network import IBC

TOTAL = "loss_total"
BatchLabels = tuple[PartLabels, ...]  # of all images of a batch, in their order, in one part or in halves
P = TypeVar("P", bound=NamedTuple)


class Term(NamedTuple):
    """A loss term. name: in logs. weight: a number, or its key in the configuration: ``align_w``, ``plus.nested_w``.

    value: the term (0-dim tensor) of a batch, from the predictions, the labels, and how much of the run is done, from
    0 to 1.
    """

    name: str
    weight: str | float
    value: Callable[[Any, BatchLabels, Tensor], Tensor]


class Objective(nn.Module, Generic[P]):
    """What a run minimises: the sum of ``terms``, each times its weight.

    A module, for the layers that it trains beside the network's own; most have none. A checkpoint keeps them apart from
    the network's. One file for each objective: it says what it needs to know of a batch (``predictions``) and lists its
    terms.
    """

    # Modules of the network that only the labels of images reach. Without any label they take no step, as in the
    # original.
    CLASS_MODULES: ClassVar[tuple[str, ...]] = ("classifier", "real_prediction", "hash_prediction")
    HAS_GATES: ClassVar[bool] = True    # whether it trains the rule matrix, ...
    HAS_FILTERS: ClassVar[bool] = True  # ... and conv_last

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.terms: tuple[Term, ...] = self.make_terms()
        self.weights = [float(attrgetter(term.weight)(config) if isinstance(term.weight, str) else term.weight)
                        for term in self.terms]

    def make_terms(self) -> tuple[Term, ...]:
        """The terms, in the order of the logs."""
        raise NotImplementedError

    def read_labels(self, labels: Tensor) -> BatchLabels:
        """(B, L) label rows of a batch, in main memory -> the labels of its parts."""
        raise NotImplementedError

    def predictions(self, network: IBC, features: Tensor, labels: BatchLabels) -> P:
        """What the terms look at: the network's answers to (B, 256, 6, 6) features."""
        raise NotImplementedError

    def over_processes(self, found: P) -> P:
        """``predictions`` of one of several processes, with what a term needs of the others'."""
        return found

    def losses(self, found: P, labels: BatchLabels, done: Tensor) -> dict[str, Tensor]:
        """Every term by name, and ``loss_total``. done: share of the run's updates that are made, 0-dim."""
        values = {term.name: term.value(found, labels, done) for term in self.terms}
        weighted = [weight * value for weight, value in zip(self.weights, values.values(), strict=True)]
        return {**values, TOTAL: sum(weighted[1:], start=weighted[0])}

    @contextmanager
    def in_use(self, network: IBC) -> Iterator[None]:
        """For the length of a block, the network as it is saved and encodes images; during training it may differ."""
        yield

    def own_state(self, network: IBC) -> dict[str, Tensor]:
        """What a checkpoint keeps beside the network, so that a run can go on; empty for most objectives."""
        return self.state_dict()

    def take_state(self, network: IBC, state: dict[str, Tensor]) -> None:
        """Go on from what ``own_state`` gave."""
        self.load_state_dict(state)

    @property
    def loss_names(self) -> tuple[str, ...]:
        """Names of the terms and of their sum."""
        return (*(term.name for term in self.terms), TOTAL)

    def class_parameters(self, network: IBC) -> frozenset[nn.Parameter]:
        """The weights that only the labels of images reach."""
        modules = [*(getattr(network.enc_style, name) for name in self.CLASS_MODULES), self]
        return frozenset(parameter for module in modules for parameter in module.parameters())
