"""What an examination finds: facts to print, warnings, and problems that stop a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

SHOWN = 3  # examples in a message


@dataclass
class Findings:
    """What is found, in the order in which it is found.

    problems: what would stop training or evaluation. warnings: what would let it run, but mislead or waste time.
    facts: lines for people. numbers: the same for ``--json``.
    """

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """"ready", "ready, with 2 warnings", "not ready: 1 problem", ..."""
        parts = [_count(len(self.problems), "problem")] if self.problems else []
        parts += [_count(len(self.warnings), "warning")] if self.warnings else []
        return ("not ready: " if self.problems else "ready" + (", with " if parts else "")) + " and ".join(parts)

    def lines(self) -> list[str]:
        """Everything as lines for people; the verdict comes last."""
        return [*self.facts, *(f"warning: {text}" for text in self.warnings),
                *(f"problem: {text}" for text in self.problems), f"verdict: {self.verdict}"]


def some(items: Iterable[object]) -> str:
    """The first few items as text, and how many more there are."""
    items = list(items)
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(str(item) for item in items[:SHOWN]) + more


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
