"""Stand-ins for the objects of other programs in a file of ``torch.save``.

A stand-in keeps what was saved of an object, and runs nothing. So a file is read whatever lies beside its weights,
and even the weights of a whole saved model are found: its modules keep them in ``_parameters`` and ``_buffers``.
"""

from __future__ import annotations

import _compat_pickle
import pickletools
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

MOST_MODULES, DEEPEST_MODULE = 100_000, 100  # of one saved model
_DANGEROUS_MODULES = {"os", "posix", "nt", "sys", "subprocess", "importlib", "runpy", "pty", "shutil", "socket",
                      "ctypes", "code", "pdb", "timeit", "webbrowser", "marshal"}
_DANGEROUS_BUILTINS = {"exec", "eval", "compile", "open", "__import__", "execfile"}


class StandIn:
    """An object of another program: what was saved of it."""

    def __init__(self, *_arguments: Any, **_named: Any):
        self.saved: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        self.saved = state if isinstance(state, dict) else {}

    @property
    def is_module(self) -> bool:
        """Whether it stands for a saved model, or a layer of one."""
        return isinstance(getattr(self, "saved", {}).get("_modules"), Mapping)


class _List(list):
    """In the place of another program's kind of list."""

    def __init__(self, *_arguments: Any):
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        pass


class _Dict(OrderedDict):
    """In the place of another program's kind of dict."""

    def __new__(cls, *_arguments: Any, **_named: Any) -> Any:
        """A plain ordered dict, the only kind that torch's reader fills."""
        return OrderedDict()


Kinds = dict[str, type]  # full name of a foreign class -> object, dict or list: what kind of stand-in it needs
_BASES: Kinds = {"object": StandIn, "dict": _Dict, "list": _List}


def stand_ins(kinds: Kinds) -> AbstractContextManager:
    """Inside: torch's reader of weights puts a stand-in where a file names one of these classes or functions."""
    def made(name: str, kind: type) -> type:
        module, _, last = name.rpartition(".")
        return type(last, (_BASES[kind.__name__],), {"__module__": module, "__qualname__": last})

    return torch.serialization.safe_globals([(made(name, kind), name) for name, kind in kinds.items()])


def named_classes(pickles: Iterable[Any]) -> set[str]:
    """Full names of all classes and functions that pickles name, in the spelling of Python 3 too.

    pickles: files (with ``read`` and ``readline``) that stand before one. Raises ValueError where one is damaged.
    """
    return {spelling for part in pickles for operation, value, _ in pickletools.genops(part)
            if operation.name == "GLOBAL" for spelling in _spellings(*str(value).split(" ", 1))}


def _spellings(module: str, name: str) -> set[str]:
    """The name as it stands in the file, and as Python 3 calls what Python 2 called so."""
    pair = _compat_pickle.NAME_MAPPING.get((module, name), (_compat_pickle.IMPORT_MAPPING.get(module, module), name))
    return {f"{module}.{name}", ".".join(pair)}


def is_dangerous(name: str) -> bool:
    """Whether this is a class or function that starts programs or reads files, which no weights need."""
    module, _, last = name.rpartition(".")
    return module.partition(".")[0] in _DANGEROUS_MODULES or (
        module in ("builtins", "__builtin__", "io", "_io") and last in _DANGEROUS_BUILTINS)


def module_weights(model: StandIn) -> dict[str, Tensor]:
    """The state dict of the saved model that this stands for. Raises ValueError where its modules never end."""
    weights: OrderedDict[str, Tensor] = OrderedDict()
    waiting = [("", model)]
    seen = 0
    while waiting:
        prefix, module = waiting.pop()
        seen += 1
        if seen > MOST_MODULES or prefix.count(".") >= DEEPEST_MODULE:
            raise ValueError(f"more than {MOST_MODULES} modules, or modules {DEEPEST_MODULE} deep")
        weights.update((prefix + name, value) for name, value in _own_weights(module))
        children = module.saved["_modules"].items()
        waiting += [(f"{prefix}{name}.", child) for name, child in reversed(list(children))
                    if isinstance(child, StandIn) and child.is_module]
    return weights


def _own_weights(module: StandIn) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers of one saved module, without those of its children, as a state dict has them."""
    passing = module.saved.get("_non_persistent_buffers_set")
    for group in ("_parameters", "_buffers"):
        values = module.saved.get(group)
        for name, value in values.items() if isinstance(values, Mapping) else ():
            if isinstance(value, Tensor) and not (isinstance(passing, set) and name in passing):
                yield name, value
