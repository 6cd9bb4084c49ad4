"""One run as the report shows it: its files, codes, scores, training curves and configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ibc.codes import CodeSet
from ibc.report.locate import Curve, RunFiles
from ibc.report.scores import RunScores


@dataclass
class ReportRun:
    """One column of the report.

    scalars: tag -> curve of TensorBoard. config: flat ``a.b`` keys. sha256: of the codes file. class_names: id -> name.
    """

    name: str
    files: RunFiles
    codes: CodeSet
    scores: RunScores
    scalars: dict[str, Curve]
    config: dict[str, Any]
    sha256: str
    class_names: dict[int, str]
