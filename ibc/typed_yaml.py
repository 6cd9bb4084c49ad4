"""YAML read into dataclasses; every error names the file and the line.

``key`` declares a documented field of a dataclass. ``read_tree`` reads a file into entries that know their lines,
``override`` replaces one of them, and ``build`` makes the dataclass from them and checks names and types.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import types
import typing
from collections.abc import Callable
from dataclasses import MISSING
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ibc.errors import InputError, input_error
from ibc.screen import shortened
from ibc.text_files import decode_text

MOST_BYTES = 1 << 19   # of a file; the longest ready one has 3 kB, and weights of 20,000 classes take 150 kB
MOST_VALUES = 50_000   # in a file, those that an alias (*name) stands for counted at each alias
LARGEST = 2**63 - 1    # of a number that is meant to be whole
_SHOWN = 200           # characters of a value in a message
_NOTHING = (None, "", "~")  # an unquoted text that means no value in any place
_IMPLICIT = tuple(f"tag:yaml.org,2002:{name}" for name in ("timestamp", "int", "float", "value", "merge"))


class ConfigError(InputError):
    """A configuration that no run can use: an unknown key, a wrong type, an impossible value."""


def key(doc: str, default: Any = MISSING, choices: tuple[str, ...] = (), low: float | None = None,
        factory: Callable[[], Any] | None = None) -> Any:
    """A field of a dataclass that is a key of the file.

    doc: what it means. default: none means that the file must have it. choices: the words allowed, if only some are.
    low: the smallest value allowed. factory: makes the default of a section.
    """
    metadata = {"doc": doc, "choices": choices, "low": low}
    if factory is not None or isinstance(default, list):
        return dataclasses.field(default_factory=factory or (lambda: list(default)), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


class Entry(NamedTuple):
    """A value with the place it came from.

    value: a plain value, or a dict of name -> Entry for a section. where: the file, or the flag ``--set``.
    line: from 1; None where there is none to name. text: a single value as it is written, for keys that hold text: YAML
    reads 2024, no, 1e5 and 2024-01-01 as something else. None where it is quoted or not known.
    """

    value: Any
    where: str
    line: int | None
    text: str | None = None


class _NoValue(str):
    """Why an unquoted text, such as a date that does not exist, is no value; it may still be meant as text."""


def wrap(value: Any, source: str, levels: int = 2) -> Entry:
    """Plain values as entries without lines. source: named in messages. levels: of sections, below which none is."""
    if isinstance(value, dict) and levels:
        value = {str(key): wrap(item, source, levels - 1) for key, item in value.items()}
    return Entry(value, source, None)


def read_tree(path: Path) -> Entry:
    """The file as nested entries that know their lines. Raises ConfigError where it is not a YAML section."""
    with open(path, "rb") as handle:  # which may be a pipe, as in --config <(sed ... config.yaml)
        data = handle.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise input_error(path, f"more than {MOST_BYTES} bytes", "a configuration", kind=ConfigError)
    try:
        node = _compose(decode_text(data, path, kind=ConfigError))
        if node is None:
            raise input_error(path, "an empty file", "keys and values", kind=ConfigError)
        tree = _entry(path, node)
        if not isinstance(tree.value, dict):
            raise input_error(path, _show(tree.value), "keys and values", line=tree.line, kind=ConfigError)
        return tree
    except RecursionError:
        raise input_error(path, "a section within itself, or very many within each other", "key: value",
                          kind=ConfigError) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise input_error(path, f"text that is not YAML ({error.problem})", "key: value", line=line,
                          kind=ConfigError) from None
    except yaml.YAMLError as error:
        raise input_error(path, f"text that is not YAML ({error})", "key: value", kind=ConfigError) from None


def _compose(text: str) -> yaml.Node | None:
    """The nodes of a YAML text. Raises YAMLError, also for aliases that stand for very many values."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if node is not None:
        _count(node, {})
    return node


def _count(node: yaml.Node, counts: dict[int, int]) -> int:
    """How many values a node stands for. Raises YAMLError for too many; RecursionError for a node within itself."""
    if id(node) not in counts:
        total = 1
        if isinstance(node, yaml.MappingNode):
            total += sum(_count(part, counts) for pair in node.value for part in pair)
        elif isinstance(node, yaml.SequenceNode):
            total += sum(_count(part, counts) for part in node.value)
        if total > MOST_VALUES:
            raise yaml.MarkedYAMLError(problem=f"more than {MOST_VALUES} values", problem_mark=node.start_mark)
        counts[id(node)] = total
    return counts[id(node)]


def _entry(path: str | Path, node: yaml.Node, *, lines: bool = True) -> Entry:
    """A node and all below it. path: of the file, for messages. lines: whether there are lines to name.

    Raises ConfigError for keys that are no words or are there twice, and for values that cannot be read.
    """
    def line_of(part: yaml.Node) -> int | None:
        return part.start_mark.line + 1 if lines else None

    line = line_of(node)
    if not isinstance(node, yaml.MappingNode):
        text = node.value if isinstance(node, yaml.ScalarNode) and not node.style else None
        try:
            return Entry(_construct(node), os.fspath(path), line, text)
        except ValueError as error:  # for example a date that does not exist
            raise input_error(path, f"a value that cannot be read ({error})", "a number, a word or a [list]",
                              line=line, kind=ConfigError) from None
    entries: dict[str, Entry] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise input_error(path, "a list or section as a key", "a word", line=line_of(key_node), kind=ConfigError)
        if key_node.value in entries:
            raise input_error(path, f"the key '{key_node.value}' twice", "each key once",
                              line=line_of(key_node), kind=ConfigError)
        entry = _entry(path, value_node, lines=lines)
        entries[str(key_node.value)] = entry._replace(line=line_of(key_node))
    return Entry(entries, os.fspath(path), line)


def _construct(node: yaml.Node) -> Any:
    """The value of a node that is no section. Raises ValueError."""
    try:
        return yaml.constructor.SafeConstructor().construct_object(node, deep=True)
    except RecursionError:
        raise
    except Exception as error:  # a tag on a text that it does not fit (!!bool x) ends in an error of any kind
        reason = (str(error) or type(error).__name__).splitlines()[0]
        if isinstance(node, yaml.ScalarNode) and not node.style and node.tag in _IMPLICIT:
            return _NoValue(reason)
        raise ValueError(reason) from None


def override(tree: Entry, text: str) -> None:
    """Replace (or add) the value in ``tree`` that a text such as ``model.code_len=64`` names.

    Raises ConfigError where the text or its value cannot be read.
    """
    name, equals, value = text.partition("=")
    where = f"--set {shortened(text, _SHOWN)}"
    if not equals or not name:
        raise input_error("--set", f"'{text}'", "key=value, as in lr=1e-3 or model.code_len=64", kind=ConfigError)
    try:
        node = _compose(value)
        parsed = Entry(None, where, None) if node is None else _entry(where, node, lines=False)
    except (yaml.YAMLError, RecursionError):
        raise input_error(where, "a value that is not YAML", "a number, a word or a [list]",
                          kind=ConfigError) from None
    *sections, key = name.split(".")
    for section in sections:
        below = tree.value.setdefault(section, Entry({}, where, None))
        if not isinstance(below.value, dict):
            raise input_error(where, f"'{section}', which holds no keys", "a section such as model",
                              kind=ConfigError)
        tree = below
    tree.value[key] = parsed


def build(kind: type, tree: Entry, path: str, prefix: str = "") -> Any:
    """Make the dataclass ``kind`` from the entries of a file.

    path: of the file, for messages. prefix: names of the sections around it, as in ``model.``. Raises ConfigError on an
    unknown or missing key and on a value that its field does not allow.
    """
    if not isinstance(tree.value, dict):
        raise input_error(tree.where, _show(tree.value), f"keys and values{_under(prefix)}", line=tree.line,
                          kind=ConfigError)
    fields = {f.name: f for f in dataclasses.fields(kind) if not f.metadata.get("hidden")}
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, entry in tree.value.items():
        if name not in fields:
            raise _unknown(entry, prefix, name, list(fields))
        values[name] = _convert(entry, hints[name], fields[name], path, f"{prefix}{name}")
    for name, field in fields.items():
        if name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise input_error(path, f"no key '{prefix}{name}'", f"'{prefix}{name}' ({field.metadata['doc']})",
                              f"add '{name}: ...'{_under(prefix)}", line=tree.line, kind=ConfigError)
    return kind(**values)


def _under(prefix: str) -> str:
    return f" under {prefix[:-1]}:" if prefix else ""


def _unknown(entry: Entry, prefix: str, name: str, known: list[str]) -> InputError:
    near = difflib.get_close_matches(name, known, 1, 0.5)
    hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}"
    return input_error(entry.where, f"the unknown key '{prefix}{name}'", "a documented key", hint, line=entry.line,
                       kind=ConfigError)


def _convert(entry: Entry, hint: Any, field: dataclasses.Field, path: str, name: str) -> Any:
    """The value of one key as the type of its field; raises ConfigError where it is not one."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return build(hint, entry, path, f"{name}.")
    if typing.get_origin(hint) is types.UnionType:
        if entry.value is None:
            return None
        (hint,) = [option for option in typing.get_args(hint) if option is not types.NoneType]
    is_text = hint is str and entry.text not in _NOTHING
    if isinstance(entry.value, _NoValue) and not is_text:
        raise input_error(entry.where, f"a value that cannot be read ({entry.value})", _expected(hint), line=entry.line,
                          kind=ConfigError)
    value = _value(entry.text if is_text else entry.value, hint)
    if value is None:
        too_large = hint is int and isinstance(entry.value, int) and entry.value > LARGEST
        raise input_error(entry.where, f"{name}: {_show(entry.value)}",
                          f"at most {LARGEST}" if too_large else _expected(hint), line=entry.line, kind=ConfigError)
    choices, low = field.metadata["choices"], field.metadata["low"]
    if choices and value not in choices:
        near = difflib.get_close_matches(value, choices, 1)
        raise input_error(entry.where, f"{name}: {_show(value)}", " or ".join(choices),
                          f"did you mean '{near[0]}'?" if near else None, line=entry.line, kind=ConfigError)
    if low is not None and value < low:
        raise input_error(entry.where, f"{name}: {value}", f"at least {low:g}", line=entry.line, kind=ConfigError)
    return value


def _value(value: Any, hint: Any) -> Any:
    """``value`` as the type ``hint``, or None where it is not one."""
    if typing.get_origin(hint) is list:
        (item_hint,) = typing.get_args(hint)
        items = [_value(item, item_hint) for item in value] if isinstance(value, list) else [None]
        return None if None in items else items
    if hint is str:
        return value if isinstance(value, str) and _may_be_path(value) else None
    if hint is bool:
        return value if isinstance(value, bool) else None
    if isinstance(value, str):  # YAML 1.1 reads 1e-3 as text
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if (isinstance(value, float) and not math.isfinite(value)) or abs(value) > (LARGEST if hint is int else 1e300):
        return None
    if hint is int:
        return int(value) if value == int(value) else None
    return float(value)


def _may_be_path(text: str) -> bool:
    """Whether no file system refuses a text for its characters: a zero byte, or half of a pair of UTF-16."""
    return "\0" not in text and not any("\ud800" <= mark < "\udc80" or "\udcff" < mark < "\ue000" for mark in text)


def _expected(hint: Any) -> str:
    if typing.get_origin(hint) is list:
        return f"a list of {'integers' if typing.get_args(hint)[0] is int else 'numbers'}"
    return {int: "an integer", float: "a number", bool: "true or false", str: "text"}[hint]


def _show(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a section"
    try:
        return shortened(repr(value), _SHOWN)
    except (ValueError, RecursionError):  # a whole number of thousands of digits
        return "a value too long to show"


