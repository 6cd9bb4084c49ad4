"""What a search found, with everything that a table, a contact sheet or a page shows of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ibc.codes import CodeSet
from ibc.data.zip_folder import file_of
from ibc.labels import NO_CATEGORY, Labels
from ibc.retrieval.bit_names import BitName
from ibc.retrieval.explained_search import Hit, Ranked
from ibc.retrieval.shared_bits import SharedBit


@dataclass(frozen=True)
class QueryImage:
    """An example of a query. path: as in its codes file, or of an image file; None where it is not known.

    wanted: False for a negative example. number: of the item, from 1; None for an image file.
    """

    path: str | None
    title: str
    wanted: bool
    number: int | None


@dataclass(frozen=True)
class CommonBits:
    """What a set of images shares. title: of the set. count: its images. bits: best first."""

    title: str
    count: int
    bits: list[SharedBit]


@dataclass(frozen=True)
class SearchReport:
    """Rankings of one query over a codes file, and its context.

    codes, labels: of the database. folder: that its paths are in, or "". weight: kind of weights, or None.
    names: bit -> the concept with its best IoU. want, without: concepts of the wish.
    """

    codes: CodeSet
    labels: Labels
    title: str
    query_images: list[QueryImage]
    rankings: list[Ranked]
    class_names: list[str] = field(default_factory=list)
    folder: str = ""
    weight: str | None = None
    common: CommonBits | None = None
    names: dict[int, BitName] = field(default_factory=dict)
    want: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def path(self, row: int) -> str:
        """The path of an image of the database, or its number."""
        return self.codes.paths[row] if self.codes.paths else f"item {row + 1}"

    def file(self, row: int) -> str | None:
        """What to open for an image of the database; None where its path is not known."""
        return file_of(self.folder, self.codes.paths[row]) if self.codes.paths else None

    def query_file(self, image: QueryImage) -> str | None:
        """What to open for an example."""
        if image.path is None:
            return None
        return file_of(self.folder, image.path) if image.number is not None else str(Path(image.path))

    def class_text(self, row: int) -> str:
        """The class of an image, or its labels, by name where names are known; "none" without."""
        if self.labels.multi_label:
            ids = self.labels.values[row].nonzero()[0].tolist()
        else:
            label = int(self.labels.values[row])
            ids = [] if label == NO_CATEGORY else [label]
        return "; ".join(self.class_names[label] if 0 <= label < len(self.class_names) else str(label)
                         for label in ids) or "none"

    def files(self) -> list[str | None]:
        """What to open for every result, then for every example."""
        return [self.file(hit.row) for _, hit in self.hits()] + [self.query_file(image) for image in self.query_images]

    def hits(self) -> list[tuple[Ranked, Hit]]:
        """Every result with its ranking."""
        return [(ranked, hit) for ranked in self.rankings for hit in ranked.hits]
