"""The state dict in what a torch file holds, under the names that a network has for its weights.

Programs wrap a state dict ({'model': …, 'epoch': 3}), and their ways of running a network change its names:
``module.`` comes from DataParallel, ``_orig_mod.`` from torch.compile, ``model.`` from a class around the network.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from ibc.errors import InputError, input_error
from ibc.stand_ins import StandIn, module_weights

# Names under which programs keep the state dict, the usual ones first.
WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "weights", "params")
INSERTED = ("module", "_orig_mod")  # parts of names, at any place
DEEPEST = 4  # dicts in dicts
_NAMED = 6   # keys in a message


def state_dict_of(content: Any, where: str | os.PathLike) -> dict[str, Tensor]:
    """The state dict in ``content``, as it was saved: bare, in a dict, or in a whole model.

    An ordered dict keeps its ``_metadata``, the versions of layers that ``load_state_dict`` looks at. Raises InputError
    where there is none, or more than one of unknown names.
    """
    try:
        found = _find(content)
    except ValueError as error:
        raise input_error(where, f"a saved model that cannot be read ({error})", "a state dict") from None
    if len(found) == 1:
        _check_kinds(found[0], where)
        return found[0]
    raise _none_found(content, len(found), where)


def _find(content: Any, depth: int = 0) -> list[dict[str, Tensor]]:
    """The state dicts in ``content``: one, none, or several where no name tells which is meant."""
    if isinstance(content, StandIn):
        return [module_weights(content)] if content.is_module else []
    if not isinstance(content, Mapping) or not content or depth == DEEPEST:
        return []
    if all(isinstance(value, Tensor) and isinstance(name, str) for name, value in content.items()):
        return [_with_metadata(content)]
    for name in WRAPPERS:
        if name in content and (found := _find(content[name], depth + 1)):
            return found
    return [found for value in content.values() for found in _find(value, depth + 1)]


def _check_kinds(weights: Mapping[str, Tensor], where: str | os.PathLike) -> None:
    """Raise InputError for a tensor that is no plain array of numbers in memory."""
    for name, value in weights.items():
        if value.is_nested or value.is_quantized or value.layout != torch.strided or value.device.type != "cpu":
            kind = "nested" if value.is_nested else f"{value.layout} on {value.device}"
            raise input_error(where, f"'{name}' of {value.dtype}, {kind}", "plain numbers")


def _with_metadata(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    copied: OrderedDict[str, Tensor] = OrderedDict(weights)
    metadata = getattr(weights, "_metadata", None)
    if isinstance(metadata, Mapping):
        copied._metadata = {name: dict(entry) for name, entry in metadata.items()  # type: ignore[attr-defined]
                            if isinstance(name, str) and isinstance(entry, Mapping)}
    return copied


def _none_found(content: Any, count: int, where: str | os.PathLike) -> InputError:
    do = "save the weights alone: torch.save(network.state_dict(), FILE)"
    if not isinstance(content, Mapping):
        return input_error(where, f"a {_kind(content)}", "a dict with 'state_dict'", do)
    inner = next((content[name] for name in WRAPPERS if isinstance(content.get(name), Mapping)), content)
    odd = [(name, value) for name, value in inner.items() if not isinstance(value, Tensor)]
    if any(isinstance(value, Tensor) for value in inner.values()) and odd:
        return input_error(where, f"'{odd[0][0]}', a {_kind(odd[0][1])}, among the weights", "tensors only", do)
    keys = ", ".join(repr(name) for name in list(content)[:_NAMED]) + (", …" if len(content) > _NAMED else "")
    found = f"{count} state dicts" if count else "no 'state_dict' of tensors"
    return input_error(where, f"{found} under the keys {keys or '(none)'}", "a checkpoint", do)


def _kind(value: Any) -> str:
    """What a value is, by the full name of its class."""
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def plain_names(weights: dict[str, Tensor], wanted: Collection[str]) -> dict[str, Tensor]:
    """The same weights under the names that a network of the names ``wanted`` has for them.

    What programs insert into names goes, and so does a first part that all names share and the network has not.
    """
    inserted = set(INSERTED) - {part for name in wanted for part in name.split(".")}
    first_parts = {name.partition(".")[0] for name in wanted}
    parts = [[part for part in name.split(".") if part not in inserted] for name in weights]
    outer = 0
    while all(len(own) > outer + 1 and own[outer] == parts[0][outer] for own in parts) and (
            parts[0][outer] not in first_parts):
        outer += 1

    def plain(path: str) -> str:
        return ".".join([part for part in path.split(".") if part not in inserted][outer:])

    renamed: OrderedDict[str, Tensor] = OrderedDict((plain(name), value) for name, value in weights.items())
    if len(renamed) < len(weights):
        return weights
    metadata = getattr(weights, "_metadata", None)
    if metadata is not None:
        renamed._metadata = {plain(name): entry for name, entry in metadata.items()}  # type: ignore[attr-defined]
    return renamed
