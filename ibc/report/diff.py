"""What differs between two JSON files that commands wrote with ``--json``.

Two JSON reports flow in; lines for people flow out, section by section.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from typing import Any

from ibc.errors import input_error
from ibc.json_report import read_json
from ibc.screen import shortened

_LONGEST = 400  # characters of a line; keys are of any length
SECTIONS = ("command", "protocol", "seed", "inputs", "versions", "metrics")  # what causes a difference comes first


def read_report(path: str | os.PathLike) -> dict[str, Any]:
    """The content of a JSON file that a command wrote. Raises InputError for any other file."""
    report = read_json(path, "what --json writes")
    if not isinstance(report, dict) or "metrics" not in report:
        raise input_error(path, "JSON without 'metrics'", "what --json writes")
    inputs = report.get("inputs", [])
    if not isinstance(inputs, list) or not all(
            isinstance(item, dict) and isinstance(item.get("path"), str) and isinstance(item.get("sha256"), str)
            for item in inputs):
        raise input_error(path, "'inputs' that are no list of paths with their sha256", "what --json writes")
    return report


def differences(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """One line a difference, causes (protocol, inputs, versions) before metrics; empty where nothing differs."""
    lines = []
    for section in (*SECTIONS, *sorted((first.keys() | second.keys()) - set(SECTIONS))):
        if section == "inputs":
            found = list(_inputs(first.get(section) or [], second.get(section) or []))
        else:
            found = list(_compare(section, first.get(section), second.get(section)))
        lines += found
    return [shortened(line, _LONGEST) for line in lines]


def _inputs(first: list[dict[str, str]], second: list[dict[str, str]]) -> Iterator[str]:
    """By content: the same bytes under another name are the same input."""
    sums = [[item["sha256"] for item in items] for items in (first, second)]
    for which, items, other in (("first", first, sums[1]), ("second", second, sums[0])):
        for item in items:
            if item["sha256"] not in other:
                yield f"inputs: only in the {which}: {item['path']} (sha256 {item['sha256'][:12]})"
    if sums[0] != sums[1] and set(sums[0]) == set(sums[1]):
        yield "inputs: the same files in other places, as queries and database exchanged"


def _compare(name: str, first: Any, second: Any) -> Iterator[str]:
    if isinstance(first, dict) and isinstance(second, dict):
        for key in [*first, *(key for key in second if key not in first)]:
            place = f"{name}.{key}"
            if key not in second or key not in first:
                yield f"{place}: only in the {'first' if key in first else 'second'}"
            else:
                yield from _compare(place, first[key], second[key])
    elif _numbers(first) and _numbers(second) and isinstance(first, list):
        yield from _compare_lists(name, first, second)
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for number, (left, right) in enumerate(zip(first, second, strict=True)):
            yield from _compare(f"{name}[{number}]", left, right)
    elif first != second and not (_is_nan(first) and _is_nan(second)):
        yield f"{name}: {_short(first)} -> {_short(second)}{_change(first, second)}"


def _compare_lists(name: str, first: list[float], second: list[float]) -> Iterator[str]:
    if len(first) != len(second):
        yield f"{name}: {len(first)} -> {len(second)} values"
        return
    moved = [abs(right - left) for left, right in zip(first, second, strict=True) if left != right]
    if moved:
        yield f"{name}: {len(moved)} of {len(first)} values differ, by at most {max(moved):.6g}"


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and all(_number(item) for item in value) and bool(value)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _change(first: Any, second: Any) -> str:
    if not (_number(first) and _number(second)):
        return ""
    moved = float(second) - float(first)
    relative = f", {moved / abs(first):+.2%}" if first else ""
    return f" ({moved:+.6g}{relative})"


def _short(value: Any) -> str:
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.6g}"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
